"""What makes a COCO segmentation well-formed; pycocotools fails obscurely on what is not, or misreads it."""

import reprlib
from typing import Any

import numpy as np
import pycocotools.mask as coco_mask

FARTHEST = 1e5
"""Pixels; pycocotools follows each edge pixel by pixel, far outside the image as well, until memory is used up."""

MOST_PIXELS = 2**31 - 1
"""Of an image: pycocotools counts pixels with 32 bits and a sign, and so do decoders of images."""


def check_pixels(height: int, width: int) -> None:
    """Refuse an image with more pixels than can be counted.

    Raises:
        ValueError: it has more than `MOST_PIXELS`.
    """
    if height * width > MOST_PIXELS:
        raise ValueError(
            f"an image of {width} x {height} (width x height) pixels is too large; {MOST_PIXELS} pixels are the most "
            "that can be counted: split it"
        )


def checked_polygon(polygon: Any) -> list[float]:
    """Return one polygon's coordinates x1, y1, x2, y2, ... in pixels, at least three points.

    Raises:
        ValueError: it is no flat list of finite numbers in pairs, or has too few.
    """
    if isinstance(polygon, (int, float)):
        raise ValueError("A segmentation must be a list of polygons; got one flat list of numbers")
    points = _numbers(polygon)
    if points is None:
        raise ValueError(
            f"A polygon must be a flat list of numbers x1, y1, x2, y2, ...; got {shown(polygon)}"
        )
    # pycocotools would take four numbers for a box.
    if len(points) < 6 or len(points) % 2:
        raise ValueError(
            f"A polygon needs at least 3 points (6 numbers, x and y in turn); got {len(points)} numbers"
        )
    if not np.isfinite(points).all():
        raise ValueError("A polygon has coordinates that are not finite")
    if abs(points).max() > FARTHEST:
        raise ValueError(
            f"A polygon has the coordinate {points[abs(points).argmax()]:g}; beyond {FARTHEST:g} is no image"
        )
    return points.astype(np.float64).tolist()


def checked_rle(rle: dict[str, Any], height: int, width: int) -> dict[str, Any]:
    """Return an RLE dict of an image of height x width pixels as pycocotools takes it, compressed.

    Raises:
        ValueError: a part is missing or of another type, or its counts do not fill the image.
    """
    runs, counts = checked_runs(rle, height, width), rle["counts"]
    if isinstance(counts, (str, bytes)):
        return {"size": [height, width], "counts": _encoded(counts)}
    return coco_mask.frPyObjects({"size": [height, width], "counts": runs}, height, width)


def checked_runs(rle: dict[str, Any], height: int, width: int) -> np.ndarray | list[int]:
    """Return the lengths of an RLE's runs, of zeros and ones in turn, in an image of height x width pixels.

    Raises:
        ValueError: as `checked_rle`.
    """
    size, counts = rle_size(rle), rle["counts"]
    if size != [height, width]:
        raise ValueError(f"An RLE of size {size} does not fit its image, {[height, width]}")
    if isinstance(counts, (str, bytes)):
        decoded = runs_of_compressed(_encoded(counts))
        # As floats, which are exact up to any image's pixels and do not wrap where integers would.
        _check_total(int(decoded.sum(dtype=np.float64)), height, width)
        return decoded
    runs = _whole_numbers(counts)
    if runs is None:
        raise ValueError(f'An RLE\'s "counts" must be whole numbers or a string; got {shown(counts)}')
    if min(runs, default=0) < 0:
        raise ValueError("An RLE has a negative count")
    _check_total(sum(runs), height, width)
    return runs


def _encoded(counts: str | bytes) -> bytes:
    return counts.encode("utf-8", "surrogatepass") if isinstance(counts, str) else counts


def rle_size(rle: dict[str, Any]) -> list[int]:
    """Return [height, width] in pixels of an RLE dict.

    Raises:
        ValueError: "size" or "counts" is missing, or the size is no pair of whole numbers.
    """
    if not {"size", "counts"} <= rle.keys():
        raise ValueError(f'An RLE needs "size" and "counts"; got {sorted(rle)}')
    size = _whole_numbers(rle["size"])
    if size is None or len(size) != 2 or min(size) < 0:
        raise ValueError(f'An RLE\'s "size" must be [height, width] in pixels; got {shown(rle["size"])}')
    return size


def runs_of_compressed(encoded: bytes) -> np.ndarray:
    """Return the runs [R] int64 of COCO's compressed counts, which pycocotools does not check.

    Each run is written in base 32, low digit first, from character 48 on; 32 marks that another digit
    follows, 16 in the last digit a negative number; from the fourth run on it is the difference to the run two
    before.

    Raises:
        ValueError: they are malformed, or one is negative.
    """
    digits = np.frombuffer(encoded, np.uint8).astype(np.int64) - 48
    if digits.size == 0 or digits.min() < 0 or digits.max() > 63 or digits[-1] & 32:
        raise ValueError("An RLE's compressed counts are truncated or not in COCO's format")
    ends = np.flatnonzero(digits & 32 == 0)
    starts = np.concatenate([[0], ends[:-1] + 1])
    lengths = ends - starts + 1
    if lengths.max() > 12:
        raise ValueError("An RLE's compressed counts are not in COCO's format")
    shifts = 5 * (np.arange(digits.size) - np.repeat(starts, lengths))
    runs = np.add.reduceat((digits & 31) << shifts, starts)
    runs -= np.where(digits[ends] & 16, 1 << 5 * lengths, 0)
    runs[1::2] = runs[1::2].cumsum()
    runs[2::2] = runs[2::2].cumsum()
    if runs.min() < 0:
        raise ValueError("An RLE has a negative count")
    return runs


def _numbers(values: Any) -> np.ndarray | None:
    """Return a flat list of numbers as an array [N], or None if it is anything else."""
    try:
        array = np.asarray(values)
    except ValueError:  # lists of different lengths inside
        return None
    return array if array.ndim == 1 and array.dtype.kind in "iuf" else None


def _whole_numbers(values: Any) -> list[int] | None:
    """Return a flat list of numbers as Python's integers, which never overflow; None if it is anything else."""
    array = _numbers(values)
    if array is None or not np.isfinite(array).all() or (array != np.floor(array)).any():
        return None
    return [int(value) for value in array.tolist()]


def shown(value: Any) -> str:
    """Return the start of a value in one line, for messages."""
    return reprlib.repr(value.tolist() if isinstance(value, np.ndarray) else value)


def _check_total(total: int, height: int, width: int) -> None:
    if total != height * width:
        raise ValueError(f"An RLE's counts fill {total} pixels; its image has {height} x {width}")
