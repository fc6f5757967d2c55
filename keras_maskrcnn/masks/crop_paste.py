"""Masks cropped into the frame of their box, as ground truth travels, and pasted back as each source does.

A mask is constant on each pixel [x, x + 1) x [y, y + 1); boxes are x1, y1, x2, y2 in continuous pixels.
"""

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from keras_maskrcnn.masks.rle import (
    Region,
    region_to_rle,
    regions_to_masks,
    rle_columns,
    segmentation_to_mask,
    segmentation_to_rle,
)


def crop_mask(mask: np.ndarray, box: Sequence[float] | np.ndarray, size: int) -> np.ndarray:
    """Return a mask's coverage of the cells of a box, the form in which ground truth travels.

    Args:
        mask: [H, W] bool, the object in its image.
        box: x1, y1, x2, y2 in pixels of that image; what lies outside the image counts as uncovered.
        size: cells per side.

    Returns:
        [size, size] uint8: cell (i, j) spans i/size..(i+1)/size of the box's height and j/size..(j+1)/size of
        its width, and holds round(255 * mean of the mask over it). All zeros for a box without area.
    """
    x1, y1, x2, y2 = (float(value) for value in box)
    if not (x2 > x1 and y2 > y1):
        return np.zeros((size, size), np.uint8)
    height, width = mask.shape
    top, bottom = _whole_range(np.floor(y1), np.ceil(y2), height)
    left, right = _whole_range(np.floor(x1), np.ceil(x2), width)
    region = mask[top:bottom, left:right]
    if not region.size:
        return np.zeros((size, size), np.uint8)
    # Sums up to each edge and their differences cost a tenth of a matrix product, and use no threads of their own.
    rows = np.diff(_sums_up_to(region, np.linspace(y1, y2, size + 1) - top), axis=0)
    cells = np.diff(_sums_up_to(rows.T, np.linspace(x1, x2, size + 1) - left), axis=0).T
    coverage = cells * (size * size / ((x2 - x1) * (y2 - y1)))
    return np.rint(255 * coverage.clip(0, 1)).astype(np.uint8)


def crop_segmentation(segmentation: Any, box: np.ndarray, height: int, width: int, size: int) -> np.ndarray:
    """Return `crop_mask` of a COCO segmentation, without drawing the whole image.

    Args:
        segmentation: a list of polygons or an RLE dict, in an image of height x width pixels.
        box: [4] x1, y1, x2, y2 in pixels.
        size: S, cells per side.

    Returns:
        [S, S] uint8.
    """
    if isinstance(segmentation, dict):
        rle = segmentation_to_rle(segmentation, height, width)
        left, right = np.clip([np.floor(box[0]), np.ceil(box[2])], 0, width).astype(int).tolist()
        return crop_mask(rle_columns(rle, left, right), box - np.array([left, 0, left, 0]), size)
    corners = np.reshape(box, (2, 2)).tolist()
    points = np.array([*corners, *(xy for polygon in segmentation for xy in np.reshape(polygon, (-1, 2)))])
    # One pixel more at the far sides, because pycocotools rounds the points; moving by whole pixels changes nothing.
    start = np.floor(points.min(axis=0)).clip(0).astype(int)
    stop = np.minimum(np.ceil(points.max(axis=0)).astype(int) + 1, [width, height])
    moved = [(np.reshape(polygon, (-1, 2)) - start).ravel().tolist() for polygon in segmentation]
    mask = segmentation_to_mask(moved, int(stop[1] - start[1]), int(stop[0] - start[0]))
    return crop_mask(mask, box - np.tile(start, 2), size)


def paste_mask(
    probabilities: np.ndarray,
    box: Sequence[float] | np.ndarray,
    height: int,
    width: int,
    threshold: float = 0.5,
) -> Region:
    """Return the pixels of an image that a mask predicted in a box's frame covers.

    Each pixel centre is looked up in the mask by bilinear interpolation with zeros around it, and the box is
    not rounded: Detectron2's rule (torchvision's follows from `torchvision_paste_boxes`, Matterport's from
    `matterport_paste`).

    Args:
        probabilities: [M, M] floats in 0..1.
        box: x1, y1, x2, y2 in pixels of the image; it may reach outside.
        height, width: size of the image.
        threshold: at least this probability is mask; not below 0.5.

    Returns:
        ([h, w] bool, x, y): the part of the image under the box and where it starts. A box without a pixel
        centre of the image inside returns an array without elements.
    """
    x1, y1, x2, y2 = (float(value) for value in box)
    if not (x2 > x1 and y2 > y1):
        return np.zeros((0, 0), bool), 0, 0
    # Beyond the box fewer than half of the weights fall on the mask, so no pixel there reaches the threshold.
    top, bottom = _whole_range(np.ceil(y1 - 0.5), np.floor(y2 - 0.5) + 1, height)
    left, right = _whole_range(np.ceil(x1 - 0.5), np.floor(x2 - 0.5) + 1, width)
    rows = _bilinear_weights(y1, y2, probabilities.shape[0], top, bottom)
    columns = _bilinear_weights(x1, x2, probabilities.shape[1], left, right)
    return rows @ probabilities.astype(np.float32) @ columns.T >= threshold, left, top


def paste_masks(probabilities: np.ndarray, boxes: np.ndarray, height: int, width: int) -> np.ndarray:
    """Paste N masks into full images; see `paste_mask`.

    Args:
        probabilities: [N, M, M] floats in 0..1.
        boxes: [N, 4] in pixels of the image.

    Returns:
        [N, height, width] bool. This takes N * height * width bytes: for many masks of large images use
        `paste_masks_as_rle`.

    Raises:
        MemoryError: there are not so many.
    """
    return regions_to_masks(_pasted(probabilities, boxes, height, width), len(boxes), height, width)


def paste_masks_as_rle(
    probabilities: np.ndarray, boxes: np.ndarray, height: int, width: int
) -> list[dict[str, Any]]:
    """Paste N masks and return them as COCO RLE dicts; see `paste_masks` for the arguments.

    Never holds more than the columns under one box at a time.
    """
    return [region_to_rle(region, height, width) for region in _pasted(probabilities, boxes, height, width)]


def torchvision_paste_boxes(boxes: np.ndarray, mask_size: int) -> np.ndarray:
    """Return the boxes into which `paste_mask` must paste to give torchvision's masks.

    torchvision puts a ring of zeros around the mask, grows the box about its centre accordingly, truncates it
    to whole pixels (last one included) and resizes the mask to that. This is the grown box without the ring.

    Args:
        boxes: [N, 4] in pixels of the image.
        mask_size: M, the side of the predicted masks.

    Returns:
        [N, 4] float64.
    """
    boxes = np.asarray(boxes, np.float64).reshape(-1, 4)
    ring = 1 / mask_size
    centres = (boxes[:, :2] + boxes[:, 2:]) / 2
    half_sizes = (boxes[:, 2:] - boxes[:, :2]) / 2 * (1 + 2 * ring)
    starts = np.trunc(centres - half_sizes)
    stops = np.trunc(centres + half_sizes) + 1
    margin = (stops - starts) / (mask_size + 2)
    return np.concatenate([starts + margin, stops - margin], axis=1)


def matterport_paste(probabilities: np.ndarray, boxes: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the masks and boxes that `paste_masks` must be given for Matterport's masks.

    Matterport rounds a box to whole pixels, half to even, and resizes the mask to that with scikit-image, which
    interpolates towards zeros beyond the border and then clips to the mask's own range.

    Args:
        probabilities: [N, M, M] floats in 0..1.
        boxes: [N, 4] in pixels of the image.

    Returns:
        [N, M, M], to be pasted at 0.5 and no probabilities any more, and [N, 4] whole numbers.
    """
    # The clipping lets a mask that nowhere falls below 0.5 fill its box. So it does four times as high, since at
    # least a quarter of a pixel's weights fall on the mask, also in a corner.
    fills = probabilities.min(axis=(1, 2), initial=1) >= 0.5
    return np.where(fills[:, None, None], 4 * probabilities, probabilities), np.around(boxes)


def _whole_range(start: float, stop: float, length: int) -> tuple[int, int]:
    """Clip a range of pixels to 0..length; an empty one stays inside."""
    first = int(min(max(start, 0), length))
    return first, int(min(max(stop, first), length))


def _sums_up_to(values: np.ndarray, edges: np.ndarray) -> np.ndarray:
    """Sum of the rows of [N, M] from 0 to each of E edges, where row i fills i..i+1: [E, M]."""
    edges = edges.clip(0, len(values))
    whole = np.minimum(edges.astype(int), len(values) - 1)
    # Of a mask in whole numbers, as small as they may be: float64 takes ten times as long, most of it for memory.
    kind = np.min_scalar_type(len(values)) if values.dtype == np.bool_ else np.float64
    totals = np.cumsum(values, axis=0, dtype=kind)
    return np.where(whole[:, None] > 0, totals[whole - 1], 0) + (edges - whole)[:, None] * values[whole]


def _bilinear_weights(start: float, stop: float, cells: int, first: int, last: int) -> np.ndarray:
    """Weights of the cells of start..stop at the centres of pixels first..last-1: [last - first, cells]."""
    positions = (np.arange(first, last) + 0.5 - start) * (cells / (stop - start)) - 0.5
    return np.maximum(1 - np.abs(positions[:, None] - np.arange(cells)), 0).astype(np.float32)


def _pasted(probabilities: np.ndarray, boxes: np.ndarray, height: int, width: int) -> Iterator[Region]:
    for mask, box in zip(probabilities, boxes, strict=True):
        yield paste_mask(mask, box, height, width)
