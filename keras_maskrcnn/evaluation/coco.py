"""COCO's average precision of detections: pycocotools' numbers, from its overlaps of boxes and masks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from pycocotools.cocoeval import COCOeval

from keras_maskrcnn.config.keypoints import checked_sigmas
from keras_maskrcnn.data.checks import error_prefix
from keras_maskrcnn.data.records import check_named
from keras_maskrcnn.detections.detections import Detections, check_detected_names
from keras_maskrcnn.evaluation.scored_rows import Objects, found_of, objects_of
from keras_maskrcnn.evaluation.scorer import Scorer

if TYPE_CHECKING:
    from keras_maskrcnn.data.records import Record

COCO_LIMIT = 100
"""Detections per image and class that count in COCO's own metrics of boxes and masks."""
KEYPOINT_LIMIT = 20
"""And in those of keypoints, here too if more detections count for the others."""


def score_coco(
    records: Sequence[Record],
    detections: Sequence[Detections],
    class_names: Sequence[str],
    per_class: bool = False,
    max_detections: int | None = None,
    keypoint_sigmas: Sequence[float] | None = None,
) -> dict[str, float]:
    """Return COCO's average precision and recall of detections.

    Args:
        records: N images' ground truth. Crowds count neither as detected nor as missed.
        detections: of the same N images, in pixels of the records. Those of masks rank by `mask_scores` where there are
            any, all others by `scores`.
        class_names: K names, class k being class_names[k - 1].
        per_class: also return "box_AP/<class name>" (and mask) for each class.
        max_detections: detections per image and class that count, best first. None is COCO's 100, or as many as
            there are in the image with the most where that is more; pass a number for metrics to compare.
        keypoint_sigmas: J numbers, how far apart annotators mark each keypoint in square roots of the object's area;
            the similarity of keypoints takes the place of IoU. None is COCO's for its 17 keypoints of a person.

    Returns:
        Metrics in 0..1: "box_AP" (mean over IoU 0.50 to 0.95), "box_AP50", "box_AP75"; "box_AP_small",
        "box_AP_medium", "box_AP_large" (objects by annotated area: below 32^2, to 96^2, above); recall with
        so many detections, "box_AR1", "box_AR10", "box_AR100" (the last is named after max_detections), and
        "box_AR_small", "box_AR_medium", "box_AR_large". The same with "mask_" where records and detections
        have masks. With "keypoint_" where they have keypoints, of the best 20 detections ("keypoint_AR20") and
        not of small objects; objects without labelled keypoints count neither as detected nor as missed. A metric
        without ground truth, like the AP of a class that no image shows, is nan, and the means leave it out.

    Raises:
        ValueError: no ground truth at all, numbers or sizes of images or numbers of keypoints disagree, a class id
            is not in 1..K, records or detections know the names in another order, or keypoints other than COCO's 17
            come without sigmas.
    """
    evaluations = coco_evaluations(records, detections, class_names, max_detections, keypoint_sigmas)
    return summarised(evaluations, class_names if per_class else ())


def summarised(evaluations: Mapping[str, COCOeval], class_names: Sequence[str] = ()) -> dict[str, float]:
    """Return the metrics of `score_coco` from what `coco_evaluations` returned, also of the classes if named."""
    return {
        f"{kind}_{name}": value
        for kind, evaluation in evaluations.items()
        for name, value in _summary(evaluation, class_names).items()
    }


def coco_evaluations(
    records: Sequence[Record],
    detections: Sequence[Detections],
    class_names: Sequence[str],
    max_detections: int | None = None,
    keypoint_sigmas: Sequence[float] | None = None,
) -> dict[str, COCOeval]:
    """Score what can be scored: {"box", "mask" or "keypoint": pycocotools' evaluation of it, accumulated}.

    `params`, `eval` and `summarize()` are as after pycocotools' `accumulate()`, with the same numbers. Categories are
    the class ids, image ids the places in `records`. Arguments and errors are those of `score_coco`.
    """
    if len(records) != len(detections):
        raise ValueError(f"{len(detections)} detections do not belong to {len(records)} records")
    check_ground_truth(records)
    if max_detections is None:
        max_detections = max([COCO_LIMIT, *map(len, detections)])
    objects: list[Objects] = []
    for index, found in enumerate(detections):
        record = records[index]
        _check_pair(record, found, class_names)
        objects.append(objects_of(record))
    scorers = []
    for kind in _kinds(objects, detections):
        limits = (KEYPOINT_LIMIT,) if kind == "keypoint" else (1, 10, max_detections)
        sigmas = _sigmas(detections, keypoint_sigmas) if kind == "keypoint" else None
        counting = sorted({min(limit, max_detections) for limit in limits})
        scorers.append(Scorer(kind, len(class_names), counting, sigmas))
    for of_image, found in zip(objects, detections, strict=True):
        for scorer in scorers:
            scorer.add(of_image, found_of(found, scorer.kind))
    return {scorer.kind: scorer.evaluation() for scorer in scorers}


def check_ground_truth(records: Sequence[Record]) -> None:
    """Raise a ValueError unless some record has an object that is not a crowd."""
    for index in range(len(records)):
        if not np.all(records[index].crowd):
            return
    raise ValueError(
        f"There is nothing to evaluate against: none of the {len(records)} records has an object "
        "that is not a crowd"
    )


def check_same_size(record: Record, found: Detections) -> None:
    """Raise a ValueError unless detections are of an image of the record's size."""
    if (record.height, record.width) != (found.height, found.width):
        raise ValueError(
            f"{record.name} is {record.height} x {record.width} (height x width) in its record, "
            f"but its detections are of {found.height} x {found.width}"
        )


def _check_pair(record: Record, found: Detections, class_names: Sequence[str]) -> None:
    classes = len(class_names)
    check_same_size(record, found)
    if record.keypoints is not None and found.keypoints is not None and len(record.boxes):
        annotated, detected = record.keypoints.shape[1], found.keypoints.shape[1]
        if annotated != detected:
            raise ValueError(
                f"{record.name}: its objects have {annotated} keypoints, its detections {detected}"
            )
    for owner, class_ids in (("record", record.class_ids), ("detections", found.class_ids)):
        if len(class_ids) and (np.min(class_ids) < 1 or np.max(class_ids) > classes):
            raise ValueError(
                f"{record.name}: class ids of its {owner} must lie in 1..{classes}, "
                f"the classes named; got {np.min(class_ids)}..{np.max(class_ids)}"
            )
    check_named(record, class_names)
    with error_prefix(record.name):
        check_detected_names(found, class_names)


def _kinds(objects: Sequence[Objects], detections: Sequence[Detections]) -> list[str]:
    """What can be scored: boxes, and what all objects and all detections have."""
    truth = [one for one in objects if len(one)]
    found = [one for one in detections if len(one)] or detections
    kinds = ["box"]
    if all(one.masks is not None for one in found) and all(one.masks is not None for one in truth):
        kinds.append("mask")
    if all(one.keypoints is not None for one in found) and all(one.keypoints is not None for one in truth):
        kinds.append("keypoint")
    return kinds


def _sigmas(detections: Sequence[Detections], given: Sequence[float] | None) -> np.ndarray:
    """The sigmas of detections of which some have keypoints."""
    found = [(one.keypoints.shape[1], one.keypoint_names) for one in detections if one.keypoints is not None]
    return np.array(checked_sigmas(given, *found[0]), np.float64)


def _summary(evaluation: Any, class_names: Sequence[str]) -> dict[str, float]:
    precision = evaluation.eval["precision"]  # [IoUs, recalls, classes, areas, limits]
    recall = evaluation.eval["recall"]  # [IoUs, classes, areas, limits]
    sizes = list(enumerate(evaluation.params.areaRngLbl))[1:]
    summary = {
        "AP": _mean(precision[:, :, :, 0, -1]),
        "AP50": _mean(precision[0, :, :, 0, -1]),
        "AP75": _mean(precision[5, :, :, 0, -1]),
    }
    summary.update({f"AP_{size}": _mean(precision[:, :, :, area, -1]) for area, size in sizes})
    for position, limit in enumerate(evaluation.params.maxDets):
        summary[f"AR{limit}"] = _mean(recall[:, :, 0, position])
    summary.update({f"AR_{size}": _mean(recall[:, :, area, -1]) for area, size in sizes})
    for position, name in enumerate(class_names):
        summary[f"AP/{name}"] = _mean(precision[:, :, position, 0, -1])
    return summary


def _mean(values: np.ndarray) -> float:
    """Mean over what pycocotools could compute; it marks the rest by -1."""
    known = values[values > -1]
    return float(known.mean()) if known.size else float("nan")
