"""What COCO's metrics take of one image: its objects and its detections, as arrays."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any

import numpy as np

from keras_maskrcnn.detections.detections import Detections
from keras_maskrcnn.masks.rle import mask_to_rle, rle_areas, segmentation_to_rle

if TYPE_CHECKING:
    from keras_maskrcnn.data.records import Record


@dataclasses.dataclass(frozen=True, eq=False)
class Objects:
    """The G annotated objects of an image."""

    boxes: np.ndarray
    """[G, 4] float64: x, y, width, height."""
    class_ids: np.ndarray
    """[G] int64."""
    areas: np.ndarray
    """[G] float64: as annotated."""
    crowd: np.ndarray
    """[G] bool."""
    masks: list[dict[str, Any]] | None
    """G compressed RLEs."""
    keypoints: np.ndarray | None
    """[G, J, 3] float64: x, y, visibility."""

    def __len__(self) -> int:
        return len(self.boxes)


@dataclasses.dataclass(frozen=True, eq=False)
class Found:
    """The D detections of an image, as boxes, masks or keypoints are scored."""

    boxes: np.ndarray
    """[D, 4] float64: x, y, width, height."""
    class_ids: np.ndarray
    """[D] int64."""
    scores: np.ndarray
    """[D] float64: those that rank what is scored."""
    areas: np.ndarray
    """[D] float64: of what is scored, as pycocotools takes it."""
    masks: list[dict[str, Any]] | None
    """D compressed RLEs if masks are scored."""
    keypoints: np.ndarray | None
    """[D, J, 3] float64 if keypoints are scored: x, y, score."""

    def __len__(self) -> int:
        return len(self.boxes)

    def rows(self, rows: np.ndarray) -> Found:
        """Return the detections of some rows [R], in their order."""
        return Found(
            boxes=self.boxes[rows],
            class_ids=self.class_ids[rows],
            scores=self.scores[rows],
            areas=self.areas[rows],
            masks=None if self.masks is None else [self.masks[row] for row in rows.tolist()],
            keypoints=None if self.keypoints is None else self.keypoints[rows],
        )


def objects_of(record: Record) -> Objects:
    """Return a record's objects.

    Raises:
        ValueError: a mask is malformed; the message names the image and the object.
    """
    masks = None
    if record.masks is not None:
        masks = [_rle_of(record, row, record.masks[row]) for row in range(len(record.boxes))]
    return Objects(
        boxes=_corner_and_size(record.boxes),
        class_ids=np.asarray(record.class_ids, np.int64),
        areas=np.asarray(record.areas, np.float64),
        crowd=np.asarray(record.crowd, bool),
        masks=masks,
        keypoints=None if record.keypoints is None else np.asarray(record.keypoints, np.float64),
    )


def _rle_of(record: Record, row: int, mask: Any) -> dict[str, Any]:
    try:
        return segmentation_to_rle(mask, record.height, record.width)
    except ValueError as error:
        raise ValueError(f"{record.name}: object {row}: {error}") from error


def found_of(detections: Detections, kind: str) -> Found:
    """Return detections as "box", "mask" or "keypoint" is scored."""
    boxes = _corner_and_size(detections.boxes)
    areas = boxes[:, 2] * boxes[:, 3]
    masks = keypoints = None
    if kind == "mask" and detections.masks is not None:
        masks = [mask if isinstance(mask, dict) else mask_to_rle(mask) for mask in detections.masks]
        # Whether an unmatched detection counts for small, medium or large goes by its mask's area here.
        areas = rle_areas(masks)
    if kind == "keypoint" and detections.keypoints is not None:
        # And here by the box around its keypoints, as pycocotools takes it from results without boxes.
        rows = [detections.coco_keypoints(row) for row in range(len(detections))]
        keypoints = np.array(rows, np.float64).reshape(detections.keypoints.shape)
        areas = np.ptp(keypoints[:, :, :2], axis=1).prod(axis=1)
    return Found(
        boxes=boxes,
        class_ids=np.asarray(detections.class_ids, np.int64),
        scores=ranking_scores(detections, kind).astype(np.float64),
        areas=areas,
        masks=masks,
        keypoints=keypoints,
    )


def ranking_scores(detections: Detections, kind: str) -> np.ndarray:
    """Return the scores [N] by which AP of "box", "mask" or "keypoint" ranks detections: of masks their own, if any."""
    own = detections.mask_scores if kind == "mask" else None
    return detections.scores if own is None else own


def _corner_and_size(boxes: np.ndarray) -> np.ndarray:
    """x, y, width, height [N, 4] float64 of boxes x1, y1, x2, y2."""
    corners = np.asarray(boxes, np.float64).reshape(-1, 4)
    return np.concatenate([corners[:, :2], corners[:, 2:] - corners[:, :2]], axis=1)
