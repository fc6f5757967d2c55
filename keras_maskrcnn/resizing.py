"""Bilinear resizing on whole pixel values, as the sources do that make floats of an image only afterwards."""

from typing import Literal

import numpy as np
from PIL import Image


def resize_whole(image: np.ndarray, size: tuple[int, int], method: str) -> np.ndarray:
    """Resize an image by Pillow's or by scikit-image's rule.

    "pillow" is Detectron2's: antialiased where the image shrinks, and rounded; but values that are not uint8 are
    interpolated without antialiasing. "skimage" is Matterport's: not antialiased, interpolated towards zeros beyond
    the border, clipped to the image's own range, and cut to whole values.

    Args:
        image: [H, W, C] uint8 or float.
        size: (height, width) in pixels.
        method: "pillow" or "skimage".

    Returns:
        [height, width, C] of the image's type.
    """
    if method == "skimage":
        resized = _interpolated(image, size, "constant").clip(image.min(), image.max())
        return resized.astype(image.dtype)
    if image.dtype != np.uint8:
        return _interpolated(image, size, "edge").astype(image.dtype)
    # Band by band, since Pillow would take some numbers of channels for colours with alpha and weigh by it.
    bands = [Image.fromarray(np.ascontiguousarray(band)) for band in np.moveaxis(image, 2, 0)]
    shape = int(size[1]), int(size[0])
    return np.stack([np.asarray(band.resize(shape, Image.Resampling.BILINEAR)) for band in bands], axis=2)


def _interpolated(
    image: np.ndarray, size: tuple[int, int], beyond: Literal["constant", "edge"]
) -> np.ndarray:
    """Interpolate at the centres of the new pixels: [height, width, C] float64.

    In the order in which scipy's `zoom` multiplies and adds, on which it depends whether a whole number comes out
    whole or just below, to be cut to the one before.
    """
    padded = np.pad(image.astype(np.float64), ((1, 1), (1, 1), (0, 0)), mode=beyond)
    y, lower = _places(image.shape[0], size[0])
    x, right = _places(image.shape[1], size[1])
    lower, right = lower[:, None, None], right[None, :, None]
    above, below = padded[y] * (1 - lower), padded[y + 1] * lower
    resized = above[:, x] * (1 - right)
    resized += above[:, x + 1] * right
    resized += below[:, x] * (1 - right)
    resized += below[:, x + 1] * right
    return resized


def _places(old: int, new: int) -> tuple[np.ndarray, np.ndarray]:
    """Where the `new` pixels' centres lie among `old` ones padded by one: before which pixel, and how far on."""
    centres = (np.arange(new) + 0.5) * (old / new) - 0.5
    before = np.floor(centres)
    return before.astype(int) + 1, centres - before
