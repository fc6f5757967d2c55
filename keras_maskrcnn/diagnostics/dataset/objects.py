"""What is wrong with the objects of one record, by its numbers alone."""

from collections.abc import Iterator
from typing import Any

import numpy as np
import pycocotools.mask as coco_mask
from scipy.spatial import cKDTree

from keras_maskrcnn.data.checks import (
    EDGE_TOLERANCE,
    check_keypoints,
    check_mask_meets_box,
    clipped_box,
    has_area,
    mask_extent,
)
from keras_maskrcnn.data.records import Record
from keras_maskrcnn.diagnostics.dataset.areas import doubtful_area
from keras_maskrcnn.diagnostics.dataset.issues import Issue
from keras_maskrcnn.masks.rle import segmentation_to_rle

_SIZED = "box as x, y, width, height"
_SURE_IOU = 0.9
"""IoU of a box, read another way, with the extent of its mask that no chance explains."""
AGREEING_IOU = 0.5
"""Least IoU of a box with the extent of its mask; the least of 1363 objects of COCO is 0.53."""
SAME_OBJECT_IOU = 0.95
"""Objects of one class that overlap by more are taken for one that was annotated twice."""


def box_issues(record: Record) -> Iterator[Issue]:
    """Yield each box that is no box of the image."""
    for index, box in enumerate(np.asarray(record.boxes, np.float64).tolist()):
        try:
            clipped = clipped_box(box, record.height, record.width)
        except ValueError as error:
            kind = _kind_of_box(box, record, index)
            hint = "; it fits as x, y, width, height" if kind == _SIZED else ""
            yield Issue("error", kind, f"{error}{hint}", object=index)
        else:
            if not has_area(clipped):
                yield Issue("error", "box without area", f"box {_numbers(box)} has no area", object=index)


def mask_issues(record: Record) -> Iterator[Issue]:
    """Yield each mask that is broken, empty, or not of its box, and the objects that are annotated twice.

    Objects whose box `box_issues` yields are not looked at: one fault would be reported twice.
    """
    broken = {issue.object for issue in box_issues(record)}
    boxes = np.asarray(record.boxes, np.float64)
    encoded: dict[int, dict[str, Any] | None] = {}
    for index, box in enumerate(boxes.tolist()):
        if index in broken:
            continue
        try:
            encoded[index] = rle = _encoded(record, index)
        except ValueError as error:
            kind = "RLE" if isinstance((record.masks or ())[index], dict) else "polygon"
            yield Issue("error", kind, str(error), object=index)
            continue
        if rle is not None and coco_mask.area(rle) == 0:
            del encoded[index]
            yield Issue("error", "empty mask", "its mask is empty", object=index)
        elif rle is not None:
            yield from list(_disagreement(record, rle, box, index)) or doubtful_area(record, index, rle)
    yield from _duplicates(record, encoded)


def keypoint_issues(record: Record) -> Iterator[Issue]:
    """Yield each object whose keypoints are broken, outside the image, or all outside the object's box."""
    for index, points in enumerate(() if record.keypoints is None else record.keypoints):
        try:
            check_keypoints(points)
        except ValueError as error:
            yield Issue("error", "keypoints", str(error), object=index)
            continue
        x, y = points[points[:, 2] > 0, :2].T
        outside = [-x, -y, x - record.width, y - record.height]
        if max(side.max(initial=0) for side in outside) > EDGE_TOLERANCE:
            reason = f"a labelled keypoint lies outside the image, {record.width} x {record.height}"
            yield Issue("warning", "keypoint outside the image", reason, object=index)
            continue
        x1, y1, x2, y2 = record.boxes[index]
        away = np.max([x1 - x, y1 - y, x - x2, y - y2], axis=0)
        # Nothing is learned from keypoints outside the region of interest.
        if len(away) and away.min() > EDGE_TOLERANCE:
            reason = "all its labelled keypoints lie outside its box; they are in pixels of the image"
            yield Issue("warning", "keypoints outside their box", reason, object=index)


def whole_mask(record: Record, index: int) -> dict[str, Any] | None:
    """Return the mask of an object as compressed RLE; None if it has none or a broken one."""
    try:
        return _encoded(record, index)
    except ValueError:
        return None


def _kind_of_box(box: list[float], record: Record, index: int) -> str:
    x1, y1, x2, y2 = box
    if not np.isfinite(box).all():
        return "box that is not finite"
    if x2 >= x1 and y2 >= y1:
        return "box outside the image"
    return _SIZED if _fits_as_sized(box, record, index) else "inverted box"


def _fits_as_sized(box: list[float], record: Record, index: int) -> bool:
    """Whether a box makes sense as x, y, width, height: by its mask, or else by its image."""
    x, y, width, height = box
    if min(x, y) < 0 or min(width, height) <= 0:
        return False
    rle = whole_mask(record, index)
    if rle is None:
        return x + width <= record.width + EDGE_TOLERANCE and y + height <= record.height + EDGE_TOLERANCE
    return _box_iou(np.array([mask_extent(rle)]), np.array([[x, y, x + width, y + height]]))[0, 0] > _SURE_IOU


def _encoded(record: Record, index: int) -> dict[str, Any] | None:
    if record.masks is None:
        return None
    return segmentation_to_rle(record.masks[index], record.height, record.width)


def _disagreement(record: Record, rle: dict[str, Any], box: list[float], index: int) -> Iterator[Issue]:
    extent = mask_extent(rle)
    overlap = _box_iou(np.array([extent]), np.array([box]))[0, 0]
    if overlap >= AGREEING_IOU or np.abs(np.subtract(extent, box)).max() <= EDGE_TOLERANCE:
        return
    if _fits_as_sized(box, record, index):
        reason = f"box {_numbers(box)} fits its mask only as x, y, width, height; x1, y1, x2, y2 are needed"
        yield Issue("error", _SIZED, reason, object=index)
        return
    try:
        check_mask_meets_box(rle, box)
    except ValueError as error:
        yield Issue("error", "mask outside its box", str(error), object=index)
        return
    reason = f"its mask spans {_numbers(extent)} and its box {_numbers(box)}: IoU {overlap:.2f}"
    yield Issue("warning", "mask and box disagree", reason, object=index)


def _duplicates(record: Record, encoded: dict[int, dict[str, Any] | None]) -> Iterator[Issue]:
    """The objects of `encoded` that are of the class and in the place of an earlier one."""
    single = [index for index in encoded if not record.crowd[index]]
    boxes, class_ids = np.asarray(record.boxes, np.float64)[single], record.class_ids[single]
    for first, second in _same_places(boxes):
        if class_ids[first] != class_ids[second]:
            continue
        one, other = encoded[single[first]], encoded[single[second]]
        # Things that cross have one box and two masks.
        if one and other and coco_mask.iou([one], [other], [0])[0, 0] <= SAME_OBJECT_IOU:
            continue
        reason = f"objects {single[first]} and {single[second]} are of one class and in one place"
        yield Issue("warning", "object annotated twice", reason, object=single[second])


def _same_places(boxes: np.ndarray) -> Iterator[tuple[int, int]]:
    """Yield each pair of rows of `[N, 4]`, the earlier one first, that overlap by more than `SAME_OBJECT_IOU`."""
    if not len(boxes):
        return
    # No corner is then further away than the rest of the union, which is at most 1 / IoU of either.
    sides = (boxes[:, 2:] - boxes[:, :2]).max(axis=1)
    radius = sides * (1 / SAME_OBJECT_IOU - 1)
    near = cKDTree(boxes).query_ball_point(boxes, radius, p=np.inf, return_sorted=True)
    for row, others in enumerate(near):
        later = np.array([other for other in others if other > row], int)
        overlaps = _box_iou(boxes[row : row + 1], boxes[later])[0]
        yield from ((row, int(other)) for other in later[overlaps > SAME_OBJECT_IOU])


def _box_iou(boxes: np.ndarray, others: np.ndarray) -> np.ndarray:
    """IoU [N, M] of boxes x1, y1, x2, y2: [N, 4] and [M, 4], by pycocotools, which takes x, y, width, height."""
    if not len(boxes) or not len(others):
        return np.zeros((len(boxes), len(others)))
    sized, other_sized = (np.concatenate([b[:, :2], b[:, 2:] - b[:, :2]], axis=1) for b in (boxes, others))
    return coco_mask.iou(sized, other_sized, np.zeros(len(others), np.uint8))


def _numbers(values: list[float]) -> str:
    return "[" + ", ".join(f"{value:g}" for value in values) + "]"
