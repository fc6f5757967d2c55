"""Which detection belongs to which object, at one IoU and one score: what a confusion matrix counts."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import pycocotools.mask as coco_mask

from keras_maskrcnn.detections.detections import Detections
from keras_maskrcnn.evaluation.coco import found_rows, truth_rows

if TYPE_CHECKING:
    from keras_maskrcnn.data.records import Record

Annotations = list[dict[str, Any]]


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
        truth, found = list(truth_rows(records[image], image)), list(found_rows(of_image, image, kind))
        overlaps = _overlaps(truth, found, kind)
        pairs, in_crowd = _paired_within_classes(truth, found, overlaps, iou_threshold)
        counted = [
            row for row, one in enumerate(found) if one["score"] >= score_threshold and row not in in_crowd
        ]
        overlaps = np.where([one["iscrowd"] for one in truth], 0, overlaps)
        matches.extend(_of_image(image, truth, overlaps, pairs, _best_first(found, counted), iou_threshold))
    return matches


def _paired_within_classes(
    truth: Annotations, found: Annotations, overlaps: np.ndarray, iou_threshold: float
) -> tuple[dict[int, int], set[int]]:
    """Return {row of a detection: row of its object}, and the rows of detections inside crowds of their class.

    The best score chooses first, and chooses the object that it overlaps most, the last of equals. A crowd is chosen by
    any number of detections, and only by those that overlap no object enough.
    """
    pairs: dict[int, int] = {}
    taken, in_crowd = set(), set()
    crowds_last = sorted(range(len(truth)), key=lambda other: truth[other]["iscrowd"])
    for row in _best_first(found, list(range(len(found)))):
        chosen, least = None, min(iou_threshold, 1 - 1e-10)
        for other in crowds_last:
            if truth[other]["category_id"] != found[row]["category_id"] or other in taken:
                continue
            if truth[other]["iscrowd"] and chosen is not None and not truth[chosen]["iscrowd"]:
                break
            if overlaps[row, other] >= least:
                chosen, least = other, overlaps[row, other]
        if chosen is not None and truth[chosen]["iscrowd"]:
            in_crowd.add(row)
        elif chosen is not None:
            pairs[row] = chosen
            taken.add(chosen)
    return pairs, in_crowd


def _best_first(found: Annotations, rows: list[int]) -> list[int]:
    return sorted(rows, key=lambda row: -found[row]["score"])


def _overlaps(truth: Annotations, found: Annotations, kind: str) -> np.ndarray:
    """IoU [detections, objects]; with a crowd the fraction of the detection that is inside it."""
    if not truth or not found:
        return np.zeros((len(found), len(truth)))
    field = "segmentation" if kind == "mask" else "bbox"
    crowds = [one["iscrowd"] for one in truth]
    return coco_mask.iou([one[field] for one in found], [one[field] for one in truth], crowds)


def _of_image(
    image: int,
    truth: Annotations,
    overlaps: np.ndarray,
    pairs: dict[int, int],
    counted: list[int],
    iou_threshold: float,
) -> list[Match]:
    pairs = {row: pairs[row] for row in counted if row in pairs}
    free = {row for row, one in enumerate(truth) if not one["iscrowd"]} - set(pairs.values())
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
