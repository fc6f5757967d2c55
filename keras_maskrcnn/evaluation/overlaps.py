"""Which objects and detections overlap, and how much: counted once from label images, as few pairs of many do."""

from __future__ import annotations

import dataclasses
import warnings
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

import numpy as np
from scipy import sparse

from keras_maskrcnn.data.checks import error_prefix
from keras_maskrcnn.detections.detections import Detections, check_detected_names
from keras_maskrcnn.detections.label_image import paint_by_score
from keras_maskrcnn.evaluation.coco import check_ground_truth, check_same_size
from keras_maskrcnn.masks.label_image import paint_labels
from keras_maskrcnn.utils.counted import counted

if TYPE_CHECKING:
    from keras_maskrcnn.data.records import Record

_FEW_NUMBERS = 2**24
"""Up to which a table of all numbers is faster than sorting the pixels."""


@dataclasses.dataclass(frozen=True, eq=False)
class Overlaps:
    """The overlapping pairs of T objects and D detections of N images, numbered from 0 through all images."""

    pairs: np.ndarray
    """[P, 2] int64: object, detection."""
    ious: np.ndarray
    """[P] float64, above 0."""
    object_images: np.ndarray
    """[T] int64: the image of each object."""
    detection_images: np.ndarray
    """[D] int64."""
    scores: np.ndarray
    """[D] float32."""
    in_crowd: np.ndarray
    """[D] bool: what is mostly inside a crowd of its class, and is no mistake if it matches no object."""
    images: int

    def above(self, score: float) -> Overlaps:
        """Return the overlaps of the detections that score at least this.

        They are those of a label image of these detections alone: what scores less never has a pixel that they want.
        """
        kept = self.scores >= np.float32(score)
        pairs = kept[self.pairs[:, 1]]
        renumbered = np.cumsum(kept) - 1
        return dataclasses.replace(
            self,
            pairs=np.stack([self.pairs[pairs, 0], renumbered[self.pairs[pairs, 1]]], axis=1),
            ious=self.ious[pairs],
            detection_images=self.detection_images[kept],
            scores=self.scores[kept],
            in_crowd=self.in_crowd[kept],
        )


def label_image_overlaps(images: Iterable[tuple[np.ndarray, np.ndarray]]) -> Overlaps:
    """Return the overlaps of pairs of label images: the true one, and the predicted one of the same shape.

    Raises:
        ValueError: the two have other shapes, or are no whole numbers from 0; the message says which pair.
    """
    parts = []
    for index, (true, predicted) in enumerate(images):
        with error_prefix(f"label images {index}"):
            if np.shape(true) != np.shape(predicted):
                raise ValueError(f"the true one is {np.shape(true)}, the predicted one {np.shape(predicted)}")
            parts.append(_of_dense(*_dense(true), *_dense(predicted)))
    return _joined(parts)


def record_overlaps(
    records: Sequence[Record], detections: Sequence[Detections], min_score: float
) -> Overlaps:
    """Return the overlaps of records' objects with detections of their class, in label images of both.

    Args:
        records: N images' ground truth with masks; of objects that overlap, the smaller one has the pixels.
        detections: of the same N images; of those that overlap, the better score has the pixels.
        min_score: detections that score less are left out, 0..1.

    Raises:
        ValueError: there is no ground truth at all, masks are missing, or records and detections do not fit together.
    """
    if len(records) != len(detections):
        raise ValueError(f"{len(detections)} detections do not belong to {len(records)} records")
    check_ground_truth(records)
    parts, hidden, first_hidden = [], 0, ""
    for index, found in enumerate(detections):
        record = records[index]
        part, covered = _of_record(record, found, min_score)
        parts.append(part)
        first_hidden = first_hidden if hidden or not covered else record.name
        hidden += covered
    if hidden:
        warnings.warn(
            f"{counted(hidden, 'annotated object')} lie wholly under smaller ones, have no pixel in a label image, and "
            f"are left out of matching, first in {first_hidden}",
            stacklevel=2,
        )
    return _joined(parts)


def _of_record(record: Record, found: Detections, min_score: float) -> tuple[Overlaps, int]:
    """The overlaps in one image, and how many annotated objects have no pixel."""
    check_same_size(record, found)
    true = record.to_label_image(np.uint32)
    with error_prefix(record.name):
        check_detected_names(found, record.class_names)
        predicted = paint_by_score(found.masks, found.scores, found.height, found.width, min_score)
    objects, rows = _numbers(true), _numbers(predicted)
    part = _of_dense(_renumbered(true, objects), len(objects), _renumbered(predicted, rows), len(rows))
    same = record.class_ids[objects[part.pairs[:, 0]] - 1] == found.class_ids[rows[part.pairs[:, 1]] - 1]
    part = dataclasses.replace(
        part,
        pairs=part.pairs[same],
        ious=part.ious[same],
        scores=found.scores[rows - 1],
        in_crowd=_in_crowds(record, predicted, found.class_ids)[rows - 1],
    )
    return part, int((~record.crowd).sum()) - len(objects)


def _in_crowds(record: Record, predicted: np.ndarray, class_ids: np.ndarray) -> np.ndarray:
    """Whether more than half of each detection [N], row r being r + 1, is inside crowds of its class."""
    inside = np.zeros(len(class_ids), bool)
    if record.masks is None or not record.crowd.any():
        return inside
    areas = np.bincount(predicted.reshape(-1), minlength=len(class_ids) + 1)[1:]
    for class_id in np.unique(record.class_ids[record.crowd]):
        crowds = np.flatnonzero(record.crowd & (record.class_ids == class_id))
        crowded = paint_labels(record.masks, crowds.tolist(), record.height, record.width) > 0
        covered = np.bincount(predicted[crowded], minlength=len(class_ids) + 1)[1:]
        inside |= (class_ids == class_id) & (2 * covered > areas)
    return inside


def _dense(labels: np.ndarray) -> tuple[np.ndarray, int]:
    """A label image with the numbers 1..M, and M."""
    if not isinstance(labels, np.ndarray) or labels.dtype.kind not in "iu" or labels.min(initial=0) < 0:
        found = labels.dtype if isinstance(labels, np.ndarray) else type(labels).__name__
        raise ValueError(f"a label image must be an array of whole numbers from 0; got {found}")
    numbers = _numbers(labels)
    return _renumbered(labels, numbers), len(numbers)


def _numbers(labels: np.ndarray) -> np.ndarray:
    """The numbers but 0 in a label image, ascending."""
    if labels.max(initial=0) < _FEW_NUMBERS:
        return np.flatnonzero(np.bincount(labels.reshape(-1).astype(np.int64))[1:]) + 1
    return np.unique(labels[labels > 0]).astype(np.int64)


def _renumbered(labels: np.ndarray, numbers: np.ndarray) -> np.ndarray:
    """A label image whose numbers, given in ascending order, become 1..M, flat."""
    if numbers.max(initial=0) < _FEW_NUMBERS:
        table = np.zeros(int(numbers.max(initial=0)) + 1, np.int64)
        table[numbers] = np.arange(1, len(numbers) + 1)
        return table[labels.reshape(-1)]
    return np.where(labels > 0, np.searchsorted(numbers, labels) + 1, 0).reshape(-1)


def _of_dense(true: np.ndarray, objects: int, predicted: np.ndarray, found: int) -> Overlaps:
    """The overlaps of two flat label images with the numbers 1..objects and 1..found."""
    true_areas = np.bincount(true, minlength=objects + 1)[1:]
    predicted_areas = np.bincount(predicted, minlength=found + 1)[1:]
    both = np.flatnonzero((true > 0) & (predicted > 0))
    ones, cells = np.ones(len(both), np.int64), (true[both] - 1, predicted[both] - 1)
    common = sparse.coo_matrix((ones, cells), (objects, found)).tocsr().tocoo()  # adds up what is of one pair
    pairs = np.stack([common.row, common.col], axis=1).astype(np.int64)
    union = true_areas[pairs[:, 0]] + predicted_areas[pairs[:, 1]] - common.data
    return Overlaps(
        pairs=pairs,
        ious=common.data / union,
        object_images=np.zeros(objects, np.int64),
        detection_images=np.zeros(found, np.int64),
        scores=np.ones(found, np.float32),
        in_crowd=np.zeros(found, bool),
        images=1,
    )


def _joined(parts: Sequence[Overlaps]) -> Overlaps:
    """The overlaps of images one after the other as those of all."""
    if not parts:
        raise ValueError("There are no images to compare")
    objects = np.cumsum([0, *(len(part.object_images) for part in parts)])
    found = np.cumsum([0, *(len(part.detection_images) for part in parts)])
    return Overlaps(
        pairs=np.concatenate([part.pairs + [objects[n], found[n]] for n, part in enumerate(parts)]),
        ious=np.concatenate([part.ious for part in parts]),
        object_images=np.repeat(np.arange(len(parts)), np.diff(objects)),
        detection_images=np.repeat(np.arange(len(parts)), np.diff(found)),
        scores=np.concatenate([part.scores for part in parts]),
        in_crowd=np.concatenate([part.in_crowd for part in parts]),
        images=len(parts),
    )
