"""RLE (run-length encoding), COCO's form of masks, to and from arrays, polygons and regions of an image."""

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
import pycocotools.mask as coco_mask

from keras_maskrcnn.masks.segmentation_checks import (
    check_pixels,
    checked_polygon,
    checked_rle,
    checked_runs,
    rle_size,
    runs_of_compressed,
    shown,
)

Region = tuple[np.ndarray, int, int]
"""A bool array [h, w] and the column and row of the image where its first pixel lies."""


def mask_region(mask: np.ndarray) -> Region:
    """Return the part of a mask [H, W] bool that is around its pixels; [0, 0] of it if there are none."""
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    if not rows.size:
        return mask[:0, :0], 0, 0
    top, left = int(rows[0]), int(columns[0])
    return mask[top : rows[-1] + 1, left : columns[-1] + 1], left, top


def regions_to_masks(regions: Iterable[Region], count: int, height: int, width: int) -> np.ndarray:
    """Put each of `count` regions into an image of its own: [count, height, width] bool.

    Raises:
        MemoryError: so many bytes are not to be had; says what takes less.
    """
    try:
        masks = np.zeros((count, height, width), bool)
    except MemoryError:
        raise MemoryError(
            f"{count} masks of {height} x {width} pixels take {count * height * width / 2**30:.1f} GiB; as RLE "
            '(masks="rle") they take little'
        ) from None
    for mask, (part, left, top) in zip(masks, regions, strict=True):
        mask[top : top + part.shape[0], left : left + part.shape[1]] = part
    return masks


def region_to_rle(region: Region, height: int, width: int) -> dict[str, Any]:
    """Encode a region of an image of height x width pixels, which is empty elsewhere, as `mask_to_rle` does.

    The image is never made: a region costs its own pixels.
    """
    part, left, top = region
    rows, columns = part.shape
    # Column by column, each followed by a zero that ends its last run, and one zero before the first.
    flat = np.zeros(1 + columns * (rows + 1), bool)
    flat[1:].reshape(columns, rows + 1)[:, :rows] = part.T
    changes = np.flatnonzero(flat[1:] != flat[:-1])
    ends = left * height + top + changes + changes // (rows + 1) * (height - rows - 1)
    if rows == height:  # a run that reaches the bottom may go on at the top of the next column
        goes_on = np.flatnonzero(ends[1:-1:2] == ends[2::2])
        ends = np.delete(ends, np.concatenate([2 * goes_on + 1, 2 * goes_on + 2]))
    pixels = height * width
    if not ends.size or ends[-1] < pixels:
        ends = np.append(ends, pixels)
    rle = coco_mask.frPyObjects({"size": [height, width], "counts": np.diff(ends, prepend=0)}, height, width)
    return {"size": [height, width], "counts": rle["counts"].decode("ascii")}


def mask_to_rle(mask: np.ndarray) -> dict[str, Any]:
    """Encode a mask [H, W] bool as COCO's RLE: {"size": [H, W], "counts": str}, ready for JSON."""
    return region_to_rle((np.asarray(mask, bool), 0, 0), *mask.shape)


def rle_to_mask(rle: dict[str, Any]) -> np.ndarray:
    """Decode a COCO RLE dict, compressed (str or bytes) or a list of counts, into [H, W] bool.

    Raises:
        ValueError: the dict is malformed, or the counts do not fill the size.
    """
    height, width = rle_size(rle)
    return segmentation_to_mask(rle, height, width)


def segmentation_to_mask(segmentation: Any, height: int, width: int) -> np.ndarray:
    """Rasterise a COCO segmentation into [height, width] bool; see `segmentation_to_rle`."""
    return coco_mask.decode(segmentation_to_rle(segmentation, height, width)).view(bool)


def rle_area(rle: dict[str, Any]) -> int:
    """Return the number of pixels of a mask, an RLE as `segmentation_to_rle` returns it."""
    return int(coco_mask.area(rle))


def rle_areas(rles: Sequence[dict[str, Any]]) -> np.ndarray:
    """Return the numbers of pixels [N] float64 of masks, RLEs as `segmentation_to_rle` returns them."""
    some = range(0, len(rles), 255)  # with numpy 2 pycocotools measures no more in one call
    return np.array(
        [area for first in some for area in coco_mask.area([*rles[first : first + 255]])], np.float64
    )


def rle_columns(rle: dict[str, Any], left: int, right: int) -> np.ndarray:
    """Decode the columns left..right of a mask alone: under an object that is small in a large image, few.

    Args:
        rle: as `segmentation_to_rle` returns it.
        left, right: inside the image; the column `right` is left out.

    Returns:
        [height, right - left] bool.
    """
    height = rle["size"][0]
    ends = runs_of_compressed(rle["counts"]).cumsum().clip(left * height, right * height)
    set_ones = np.arange(len(ends)) % 2 == 1  # runs go down column by column, and the first is of zeros
    return np.repeat(set_ones, np.diff(ends, prepend=left * height)).reshape(right - left, height).T


def runs_of_ones(segmentation: Any, height: int, width: int) -> np.ndarray:
    """Return where the pixels of a segmentation are, counted down the columns: [R, 2] int64, start and end of each run.

    Arguments and errors are those of `segmentation_to_rle`.
    """
    rle = segmentation if isinstance(segmentation, dict) else segmentation_to_rle(segmentation, height, width)
    ends = np.cumsum(checked_runs(rle, height, width), dtype=np.int64)
    return ends[: len(ends) // 2 * 2].reshape(-1, 2)  # runs alternate, and the first is of zeros


def rle_region(rle: dict[str, Any]) -> Region:
    """Decode the part of a COCO RLE dict that is around its mask alone; [0, 0] pixels if it is empty.

    Raises:
        ValueError: as `rle_to_mask`.
    """
    rle = segmentation_to_rle(rle, *rle_size(rle))
    x, y, width, height = (int(value) for value in coco_mask.toBbox(rle))
    return rle_columns(rle, x, x + width)[y : y + height], x, y


def segmentation_to_rle(segmentation: Any, height: int, width: int) -> dict[str, Any]:
    """Bring a COCO segmentation to compressed RLE with pycocotools' rules.

    Args:
        segmentation: a list of polygons, each a flat list x1, y1, x2, y2, ... whose union is the object, or
            an RLE dict with "size" [height, width] and "counts" as list of ints, str or bytes.
        height, width: size of the image.

    Returns:
        {"size": [height, width], "counts": bytes}, as pycocotools takes it.

    Raises:
        ValueError: the segmentation is empty, has another size, or is malformed, or the image has more pixels than can
            be counted; the message says how.
    """
    check_pixels(height, width)
    if isinstance(segmentation, dict):
        return checked_rle(segmentation, height, width)
    if not isinstance(segmentation, Sequence) or not len(segmentation):
        raise ValueError(
            f"A segmentation must be a list of polygons or an RLE dict; got {shown(segmentation)}"
        )
    polygons = [checked_polygon(polygon) for polygon in segmentation]
    return coco_mask.merge(coco_mask.frPyObjects(polygons, height, width))
