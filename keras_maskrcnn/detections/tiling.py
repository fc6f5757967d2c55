"""Large images in overlapping tiles, and one row again for each object that several tiles show.

N rows; windows are x1, y1, x2, y2 in whole pixels of the image.
"""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pycocotools.mask as coco_mask

from keras_maskrcnn.detections.detections import Detections

BORDER = 0.02
"""A box that ends this near to a tile's inner border is truncated by it, as a fraction of the tile's side."""
SAME_AS_WHOLE = 0.25
"""IoU of a truncated object with what its tile shows of a whole one, from which the two are the same. It is low, since
the borders of a detected sliver are off by more than it is wide."""
COVERED = 0.5
"""Fraction of a truncated object's area under another such one, in what both tiles show, from which they are parts of
one."""


def tile_windows(height: int, width: int, tile: int, overlap: int) -> list[tuple[int, int, int, int]]:
    """Return the windows, row by row, that cover an image; one where it is no larger than a tile.

    They are as few as leave neighbours at least `overlap` pixels in common. All have the tile's size, cropped to the
    image's, so that the last ones overlap more.

    Args:
        height, width: of the image, in pixels.
        tile: side of a tile in pixels.
        overlap: at least 0 and less than `tile`.
    """
    return [
        (x, y, min(x + tile, width), min(y + tile, height))
        for y in _starts(height, tile, overlap)
        for x in _starts(width, tile, overlap)
    ]


def _starts(side: int, tile: int, overlap: int) -> list[int]:
    last = max(side - tile, 0)
    return [min(start, last) for start in range(0, last + tile - overlap, tile - overlap)]


def merge_tiles(
    detections: Detections, windows: np.ndarray, nms_iou: float, class_agnostic: bool = False
) -> Detections:
    """Make one row of the rows that are the same object, seen in several tiles.

    Of objects that no inner border of their tile truncates, one that overlaps a better one by more than `nms_iou` is
    dropped, as within an image. A truncated object is dropped if it is what its tile shows of a whole one. Those that
    are left are parts of one object if they cover each other by half in what both their tiles see: they are joined
    to the box around them and the union of their masks, with the highest score, and each keypoint is that of the part
    with the best score for it. The score of a joined mask is that of the best part's.

    Between neighbours each tile has chosen already, by hard or soft NMS. Here `nms_iou` tells what is the same object
    in two tiles, so it counts with a `soft_nms_sigma` too.

    Args:
        detections: N rows in pixels of the image, masks as RLEs if there are any.
        windows: `[N, 4]` the part of the image that each was detected in. Rows of one window are left as they are.
        nms_iou: 0..1.
        class_agnostic: whether objects of different classes can be the same.

    Returns:
        At most N rows, best first.
    """
    boxes, windows = detections.boxes.astype(np.float64), np.asarray(windows, np.float64).reshape(-1, 4)
    classes = np.zeros(len(detections), int) if class_agnostic else detections.class_ids
    truncated = _is_truncated(boxes, windows, (detections.width, detections.height))
    order = np.argsort(-detections.scores, kind="stable")

    def comparable(row: int, others: Sequence[int]) -> np.ndarray:
        other = np.asarray(others, int)
        same = (classes[other] == classes[row]) & (windows[other] != windows[row]).any(axis=1)
        return other[same]

    whole: list[int] = []
    for row in order[~truncated[order]].tolist():
        if not (_iou(boxes[row], boxes[comparable(row, whole)]) > nms_iou).any():
            whole.append(row)
    parts: list[int] = []
    for row in order[truncated[order]].tolist():
        seen = _shared(windows[row], boxes[comparable(row, whole)])
        if not (_iou(boxes[row], seen) >= SAME_AS_WHOLE).any():
            parts.append(row)
    groups = [[row] for row in whole] + _objects_of_parts(parts, boxes, windows, comparable)
    merged = _joined(detections, groups)
    return merged[np.argsort(-merged.scores, kind="stable")]


def _is_truncated(boxes: np.ndarray, windows: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Whether each box `[N]` ends at a side of its window that is no side of the image, (width, height)."""
    near = BORDER * np.tile(windows[:, 2:] - windows[:, :2], 2)
    inner = np.concatenate([windows[:, :2] > 0, windows[:, 2:] < size], axis=1)
    return (inner & (np.abs(boxes - windows) <= near)).any(axis=1)


def _objects_of_parts(
    parts: list[int],
    boxes: np.ndarray,
    windows: np.ndarray,
    comparable: Callable[[int, Sequence[int]], np.ndarray],
) -> list[list[int]]:
    """Group the rows of truncated objects that belong together, also by way of others."""
    groups: list[list[int]] = []
    for row in parts:
        others = comparable(row, [other for group in groups for other in group])
        seen_by_both = _shared(windows[row], windows[others])
        own, theirs = _shared(boxes[row], seen_by_both), _shared(boxes[others], seen_by_both)
        both, smaller = _area(_shared(own, theirs)), np.minimum(_area(own), _area(theirs))
        same = set(others[(both > 0) & (both >= COVERED * smaller)].tolist())
        joined = [group for group in groups if same & set(group)]
        groups = [group for group in groups if not same & set(group)]
        groups.append([other for group in joined for other in group] + [row])
    return groups


def _joined(detections: Detections, groups: list[list[int]]) -> Detections:
    """One row of each group, with the score of its best."""
    groups = [sorted(group, key=lambda row: -detections.scores[row]) for group in groups]
    best = detections[np.array([group[0] for group in groups], int)]
    masks, keypoints = best.masks, best.keypoints
    for number, group in enumerate(groups):
        if len(group) == 1:
            continue
        low, high = detections.boxes[group, :2].min(axis=0), detections.boxes[group, 2:].max(axis=0)
        best.boxes[number] = [*low, *high]
        if masks is not None and detections.masks is not None:
            masks[number] = _union([detections.masks[row] for row in group])
        if keypoints is not None and detections.keypoints is not None:
            points = detections.keypoints[group]  # [parts, J, 3]
            keypoints[number] = points[points[..., 2].argmax(axis=0), np.arange(points.shape[1])]
    return best


def _union(masks: list[dict[str, Any]]) -> dict[str, Any]:
    merged = coco_mask.merge(masks)
    return {"size": merged["size"], "counts": merged["counts"].decode("ascii")}


def _shared(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """The boxes `[..., 4]` that two have in common; inverted where there is none."""
    low, high = np.maximum(first, second), np.minimum(first, second)
    return np.concatenate([low[..., :2], high[..., 2:]], axis=-1)


def _iou(box: np.ndarray, others: np.ndarray) -> np.ndarray:
    """IoU `[M]` of a box `[4]` with others `[M, 4]`, of which inverted ones are empty."""
    both = _area(_shared(box, others))
    return both / np.maximum(_area(box) + _area(others) - both, 1e-9)


def _area(boxes: np.ndarray) -> np.ndarray:
    return np.prod(np.maximum(boxes[..., 2:] - boxes[..., :2], 0), axis=-1)
