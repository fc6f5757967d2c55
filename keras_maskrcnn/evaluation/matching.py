"""Which detection belongs to which object, at one IoU and one score: what a confusion matrix counts."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from keras_maskrcnn.detections.detections import Detections
from keras_maskrcnn.evaluation.greedy import NONE, choose_objects
from keras_maskrcnn.evaluation.scored_rows import Found, Objects, found_of, objects_of
from keras_maskrcnn.evaluation.similarity import Pairs, similarity

if TYPE_CHECKING:
    from keras_maskrcnn.data.records import Record


@dataclasses.dataclass(frozen=True)
class Match:
    """An object and the detection that is matched with it, be its class right or wrong; or one of them alone."""

    image: int
    """Index of the record."""
    object: int | None
    """Row of the record, or None for a detection where no object is."""
    detection: int | None
    """Row of the image's detections, or None for an object that was missed."""
    iou: float
    """Of the two; of one alone the largest that it has with any of the others in its image, or 0."""
    nearest: int | None = None
    """For one alone the row of that other: a detection's object, or an object's detection, whatever that scores."""


def match_objects(
    records: Sequence[Record],
    detections: Sequence[Detections],
    kind: str,
    iou_threshold: float = 0.5,
    score_threshold: float = 0.5,
) -> list[Match]:
    """Pair objects with detections, each at most once.

    First within each class, by COCO's rule, so that these pairs are the true positives of its average precision. What
    is left is then paired across classes: the best score first, each detection with the object that it overlaps most.
    Crowds are left out, and so are detections inside a crowd of their class.

    Args:
        records: of N images.
        detections: of the same N images.
        kind: what overlaps: "mask" or "box".
        iou_threshold: pairs overlap by at least this, above 0 to 1.
        score_threshold: detections that score less are taken for none, 0..1.

    Returns:
        The pairs and what is alone, image by image.

    Raises:
        ValueError: a threshold is out of range.
    """
    if not 0 < iou_threshold <= 1:
        raise ValueError(f"iou_threshold must be above 0 and at most 1; got {iou_threshold}")
    if not 0 <= score_threshold <= 1:
        raise ValueError(f"score_threshold must be in 0..1; got {score_threshold}")
    matches: list[Match] = []
    for image, of_image in enumerate(detections):
        objects, found = objects_of(records[image]), found_of(of_image, kind)
        overlaps = similarity(found, np.arange(len(found)), objects, np.arange(len(objects)))
        best_first = np.argsort(-found.scores, kind="stable")
        pairs, in_crowd = _paired_within_classes(objects, found, overlaps, best_first, iou_threshold)
        counted = [
            row for row in best_first.tolist() if found.scores[row] >= score_threshold and row not in in_crowd
        ]
        overlaps = np.where(objects.crowd, 0, overlaps)
        matches.extend(_of_image(image, objects, overlaps, pairs, counted, iou_threshold))
    return matches


def _paired_within_classes(
    objects: Objects, found: Found, overlaps: np.ndarray, best_first: np.ndarray, iou_threshold: float
) -> tuple[dict[int, int], set[int]]:
    """Return {row of a detection: row of its object}, and the rows of detections inside crowds of their class."""
    rows, others = np.nonzero(found.class_ids[best_first, None] == objects.class_ids)
    pairs = Pairs(rows, others, overlaps[best_first[rows], others])
    crowd, threshold = objects.crowd, np.array([iou_threshold])
    compared, chosen = choose_objects(pairs, objects.class_ids, crowd, crowd[:, None], threshold)
    matched = {
        row: other
        for row, other in zip(best_first[compared].tolist(), chosen.reshape(-1).tolist(), strict=True)
        if other != NONE
    }
    in_crowd = {row for row, other in matched.items() if crowd[other]}
    return {row: other for row, other in matched.items() if row not in in_crowd}, in_crowd


def _of_image(
    image: int,
    objects: Objects,
    overlaps: np.ndarray,
    pairs: dict[int, int],
    counted: list[int],
    iou_threshold: float,
) -> list[Match]:
    pairs = {row: pairs[row] for row in counted if row in pairs}
    free = set(np.flatnonzero(~objects.crowd).tolist()) - set(pairs.values())
    for row in counted:
        candidates = [other for other in free if overlaps[row, other] >= iou_threshold]
        if row not in pairs and candidates:
            pairs[row] = max(candidates, key=lambda other: overlaps[row, other])
            free.remove(pairs[row])
    matches = [
        Match(image, pairs[row], row, float(overlaps[row, pairs[row]]))
        if row in pairs
        else Match(image, None, row, *_largest(overlaps[row]))
        for row in counted
    ]
    return matches + [Match(image, row, None, *_largest(overlaps[:, row])) for row in sorted(free)]


def _largest(overlaps: np.ndarray) -> tuple[float, int | None]:
    if not overlaps.size or overlaps.max() == 0:
        return 0.0, None
    return float(overlaps.max()), int(overlaps.argmax())
