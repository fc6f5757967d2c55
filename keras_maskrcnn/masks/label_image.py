"""Label images: one integer per pixel, 0 for the background, and a number for each object."""

from collections.abc import Iterable
from typing import Any

import numpy as np
from numpy.typing import DTypeLike

from keras_maskrcnn.masks.rle import runs_of_ones

UINT16_MAX = np.iinfo(np.uint16).max


def paint_labels(masks: Any, order: Iterable[int], height: int, width: int) -> np.ndarray:
    """Paint masks over each other, one at a time.

    Args:
        masks: N masks, [H, W] bool each, or COCO segmentations.
        order: rows in the order of painting: a pixel belongs to the last one that covers it. Others are left out.
        height, width: of the image in pixels.

    Returns:
        [H, W] uint32: row r is r + 1, and 0 is where no mask is.
    """
    labels = np.zeros((height, width), np.uint32, order="F")
    columns = labels.reshape(-1, order="F")  # a view in the order of RLEs, which run down the columns
    for row in order:
        mask = masks[row]
        if isinstance(mask, np.ndarray):
            labels[mask.astype(bool, copy=False)] = row + 1  # numbers would be indices
            continue
        for start, stop in runs_of_ones(mask, height, width).tolist():
            columns[start:stop] = row + 1
    return np.ascontiguousarray(labels)


def first_pixels(labels: np.ndarray, count: int) -> np.ndarray:
    """Return where a scan of the rows, from the top and each from the left, first meets the numbers 0..count.

    Args:
        labels: [H, W] integers.
        count: the largest number.

    Returns:
        [count + 1] int64: the index of a pixel in the flattened image; that of the background, and of numbers that
        have no pixel, is H x W.
    """
    flat = labels.reshape(-1)
    places = np.flatnonzero(flat)[::-1]
    first = np.full(count + 1, flat.size)
    first[flat[places]] = places  # of several, numpy keeps the last that it is given
    return first


def renumbered(labels: np.ndarray, numbers: np.ndarray, dtype: DTypeLike | None) -> np.ndarray:
    """Return a label image in which each number n is numbers[n], in the least type that is asked for.

    Args:
        labels: [H, W] integers.
        numbers: [N + 1], of which the first is 0.
        dtype: uint16 or uint32; None is uint16 where it holds the numbers.

    Raises:
        ValueError: the type is another one, or does not hold the numbers; the message says how many there are.
    """
    most = int(numbers.max(initial=0))
    if dtype is None:
        dtype = np.uint16 if most <= UINT16_MAX else np.uint32
    try:
        known = np.dtype(dtype)
    except TypeError:
        known = None
    if known not in (np.uint16, np.uint32):
        raise ValueError(f"dtype of a label image must be uint16 or uint32; got {dtype!r}")
    if most > np.iinfo(known).max:
        raise ValueError(f"uint16 holds the numbers up to {UINT16_MAX}; {most} are needed: dtype=uint32")
    return numbers.astype(known)[labels]
