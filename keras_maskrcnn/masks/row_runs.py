"""Runs of pixels counted along the rows of a part of an image, as CVAT writes masks; COCO's go down the columns."""

from collections.abc import Sequence

import numpy as np


def row_runs(part: np.ndarray) -> list[int]:
    """Return the lengths of the runs of a mask [h, w] bool, of zeros and ones in turn, row after row.

    The first is of zeros, and is 0 if the first pixel is set.
    """
    flat = part.ravel()
    ends = np.flatnonzero(flat[1:] != flat[:-1]) + 1
    runs = np.diff(ends, prepend=0, append=flat.size).tolist()
    return [0, *runs] if flat.size and flat[0] else runs


def part_of_row_runs(runs: Sequence[int], height: int, width: int) -> np.ndarray:
    """Return the mask [height, width] bool of `row_runs`.

    Raises:
        ValueError: a run is negative, or they do not fill the part.
    """
    if min(runs, default=0) < 0:
        raise ValueError("its RLE has a negative run")
    if sum(runs) != height * width:
        raise ValueError(f"its RLE fills {sum(runs)} pixels, its box has {width} x {height} (width x height)")
    return np.repeat(np.arange(len(runs)) % 2 == 1, runs).reshape(height, width)
