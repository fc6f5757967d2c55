"""Turns frames as a video says that they are to be shown: phones write them as the sensor has them."""

from typing import Any

import numpy as np

MATRIX = "DISPLAYMATRIX"


def display_matrix(frame: Any) -> np.ndarray | None:
    """Return the 2 x 2 part of the matrix by which a frame of PyAV is to be shown, as signs; None if it has none.

    Raises:
        ValueError: it turns by another angle than multiples of 90 degrees.
    """
    data = frame.side_data.get(MATRIX) if len(frame.side_data) else None
    if data is None:
        return None
    matrix = np.frombuffer(bytes(data), np.int32).reshape(3, 3)[:2, :2]
    signs = np.sign(matrix)
    if (np.abs(signs).sum(axis=0) != 1).any() or (np.abs(signs).sum(axis=1) != 1).any():
        raise ValueError(
            f"its frames are to be shown rotated by {frame.rotation} degrees: only multiples of 90 are known"
        )
    return signs


def is_turned(matrix: np.ndarray | None) -> bool:
    """Whether width and height change places."""
    return matrix is not None and matrix[0, 0] == 0


def upright(image: np.ndarray, matrix: np.ndarray | None) -> np.ndarray:
    """Turn and flip an image `[H, W, C]` by such a matrix: x' = a x + c y, y' = b x + d y of [[a, b], [c, d]]."""
    if matrix is None:
        return image
    turned = is_turned(matrix)
    if turned:
        image = image.transpose(1, 0, 2)
    x_sign = matrix[1, 0] if turned else matrix[0, 0]
    y_sign = matrix[0, 1] if turned else matrix[1, 1]
    return np.ascontiguousarray(image[::y_sign, ::x_sign])
