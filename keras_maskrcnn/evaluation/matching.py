"""Which detection belongs to which object, at one IoU and one score: what a confusion matrix counts."""

import dataclasses
from typing import Any

import numpy as np
import pycocotools.mask as coco_mask
from pycocotools.cocoeval import COCOeval

from keras_maskrcnn.evaluation.coco import rematched

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
    evaluation: COCOeval, iou_threshold: float = 0.5, score_threshold: float = 0.5
) -> list[Match]:
    """Pair objects with detections, each at most once.

    First within each class, by pycocotools, so that these pairs are the true positives of COCO's average precision.
    What is left is then paired across classes: the best score first, each detection with the object that it overlaps
    most. Crowds are left out, and so are detections inside a crowd of their class.

    Args:
        evaluation: of boxes or masks, as `coco_evaluations` returns them.
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
    paired, in_crowd = _paired_within_classes(evaluation, iou_threshold)
    matches: list[Match] = []
    for image in evaluation.params.imgIds:
        truth, found = evaluation.cocoGt.imgToAnns[image], evaluation.cocoDt.imgToAnns[image]
        places = {one["id"]: row for row, one in enumerate(truth)}
        pairs = {row: places[paired[one["id"]]] for row, one in enumerate(found) if one["id"] in paired}
        counted = [
            row
            for row, one in enumerate(found)
            if one["score"] >= score_threshold and one["id"] not in in_crowd
        ]
        overlaps = _overlaps(truth, found)
        matches.extend(_of_image(image, truth, overlaps, pairs, _best_first(found, counted), iou_threshold))
    return matches


def _paired_within_classes(evaluation: COCOeval, iou_threshold: float) -> tuple[dict[int, int], set[int]]:
    """Return pycocotools' {detection id: object id}, and the ids of detections inside crowds."""
    pairs, in_crowd = {}, set()
    for one in rematched(evaluation, iou_threshold).evalImgs:
        if one is None:  # neither objects nor detections of a class in an image
            continue
        for number, match, ignored in zip(one["dtIds"], one["dtMatches"][0], one["dtIgnore"][0], strict=True):
            if ignored:
                in_crowd.add(number)
            elif match > 0:
                pairs[number] = int(match)
    return pairs, in_crowd


def _best_first(found: Annotations, rows: list[int]) -> list[int]:
    return sorted(rows, key=lambda row: -found[row]["score"])


def _overlaps(truth: Annotations, found: Annotations) -> np.ndarray:
    """IoU [detections, objects] of masks or else boxes; 0 with crowds."""
    if not truth or not found:
        return np.zeros((len(found), len(truth)))
    field = "segmentation" if "segmentation" in found[0] else "bbox"
    overlaps = coco_mask.iou([one[field] for one in found], [one[field] for one in truth], [0] * len(truth))
    return np.where([one["iscrowd"] for one in truth], 0, overlaps)


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
