"""OpenCV's bilinear resizing of uint8 images, which computes in whole numbers."""

from collections.abc import Sequence

import numpy as np

ONE = 2**11
"""What stands for 1 in the weights of neighbours."""
DROPPED = 4, 16, 2
"""Bits that are dropped after the horizontal sum, after each vertical product, and last."""


def resize_fixed_point(image: np.ndarray, size: Sequence[int]) -> np.ndarray:
    """Resize bilinearly with half-pixel centres and no antialiasing, to the bit as OpenCV does.

    Weights are whole numbers of 1 / 2048. Most of what is dropped on the way is not rounded, so that one pixel in
    eight is another than of exact arithmetic. Where both sides are halved exactly and there are neither 1, 3 nor 4
    channels, OpenCV rounds half a gray level to even, and this up.

    Args:
        image: [H, W, C] uint8.
        size: (height, width) in pixels.

    Returns:
        [height, width, C] uint8.
    """
    across, down, last = DROPPED
    height, width = int(size[0]), int(size[1])
    x, right, weights_left, weights_right = _columns(image.shape[1], width)
    y, below, weights_above, weights_below = _rows(image.shape[0], height)
    rows = image.take(x, axis=1) * weights_left[:, None]
    rows += image.take(right, axis=1) * weights_right[:, None]
    rows >>= across
    rows = rows.reshape(len(rows), -1)  # [H, width * C]
    resized, lower = rows.take(y, axis=0), rows.take(below, axis=0)
    for one, weights in ((resized, weights_above), (lower, weights_below)):
        one *= weights[:, None]
        one >>= down
    resized += lower
    resized += 2 ** (last - 1)
    resized >>= last
    return resized.astype(np.uint8).reshape(height, width, -1)


def _columns(old: int, new: int) -> tuple[np.ndarray, ...]:
    """Both neighbours of each new column and their weights; beyond the border, the border alone."""
    first, fraction = _before(old, new)
    inside = (first >= 0) & (first < old - 1)
    first, fraction = first.clip(0, old - 1), np.where(inside, fraction, np.float32(0))
    return first, (first + 1).clip(0, old - 1), *_weights(fraction)


def _rows(old: int, new: int) -> tuple[np.ndarray, ...]:
    """As `_columns`, but beyond the border the border twice, by which a sum may be one less."""
    first, fraction = _before(old, new)
    return first.clip(0, old - 1), (first + 1).clip(0, old - 1), *_weights(fraction)


def _before(old: int, new: int) -> tuple[np.ndarray, np.ndarray]:
    """Behind which of `old` pixels' centres those of the `new` ones lie, and how far behind it, float32."""
    centres = ((np.arange(new) + 0.5) * (old / new) - 0.5).astype(np.float32)
    first = np.floor(centres)
    return first.astype(np.int64), centres - first


def _weights(fraction: np.ndarray) -> tuple[np.ndarray, ...]:
    return tuple(np.rint(one * np.float32(ONE)).astype(np.int32) for one in (1 - fraction, fraction))
