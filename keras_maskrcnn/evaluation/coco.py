"""COCO's average precision of detections, computed by pycocotools."""

from __future__ import annotations

import contextlib
import io
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import pycocotools.mask as coco_mask
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from keras_maskrcnn.config.keypoints import checked_sigmas
from keras_maskrcnn.data.checks import error_prefix
from keras_maskrcnn.data.records import check_named
from keras_maskrcnn.detections.detections import Detections, check_detected_names
from keras_maskrcnn.masks.rle import mask_to_rle, segmentation_to_rle

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
    """Run pycocotools on what can be scored: {"box", "mask" or "keypoint": its evaluation, accumulated}.

    Categories are the class ids, image ids the places in `records`; annotations and detections are numbered from 1 in
    the order of images and rows. Arguments and errors are those of `score_coco`.
    """
    if len(records) != len(detections):
        raise ValueError(f"{len(detections)} detections do not belong to {len(records)} records")
    check_ground_truth(records)
    if max_detections is None:
        max_detections = max([COCO_LIMIT, *map(len, detections)])
    images: list[dict[str, Any]] = []
    truth: list[dict[str, Any]] = []
    for index, found in enumerate(detections):
        record = records[index]
        _check_pair(record, found, class_names)
        images.append({"id": index, "height": record.height, "width": record.width})
        truth.extend(truth_rows(record, index))
    kinds = _kinds(truth, detections)
    sigmas = _sigmas(detections, keypoint_sigmas) if "keypoint" in kinds else None
    evaluations = {}
    for kind, iou_type in kinds.items():
        rows = [row for index, found in enumerate(detections) for row in found_rows(found, index, kind)]
        limits = (KEYPOINT_LIMIT,) if kind == "keypoint" else (1, 10, max_detections)
        evaluation = _evaluation(images, truth, rows, iou_type, len(class_names))
        evaluation.params.maxDets = sorted({min(limit, max_detections) for limit in limits})
        if kind == "keypoint":
            evaluation.params.kpt_oks_sigmas = sigmas
        _run(evaluation)
        evaluations[kind] = evaluation
    return evaluations


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


def _kinds(truth: list[dict[str, Any]], detections: Sequence[Detections]) -> dict[str, str]:
    """What can be scored, with pycocotools' name for it."""
    found = [one for one in detections if len(one)] or detections
    kinds = {"box": "bbox"}
    if all(one.masks is not None for one in found) and all("segmentation" in row for row in truth):
        kinds["mask"] = "segm"
    if all(one.keypoints is not None for one in found) and all("keypoints" in row for row in truth):
        kinds["keypoint"] = "keypoints"
    return kinds


def _sigmas(detections: Sequence[Detections], given: Sequence[float] | None) -> np.ndarray:
    """The sigmas of detections of which some have keypoints."""
    found = [(one.keypoints.shape[1], one.keypoint_names) for one in detections if one.keypoints is not None]
    return np.array(checked_sigmas(given, *found[0]), np.float64)


def truth_rows(record: Record, image: int) -> Iterator[dict[str, Any]]:
    """Yield the objects of a record as COCO's annotations of image number `image`."""
    for row, (x1, y1, x2, y2) in enumerate(np.asarray(record.boxes, np.float64).reshape(-1, 4)):
        annotation = {
            "image_id": image,
            "category_id": int(record.class_ids[row]),
            "bbox": [x1, y1, x2 - x1, y2 - y1],
            "area": float(record.areas[row]),
            "iscrowd": int(record.crowd[row]),
        }
        if record.masks is not None:
            try:
                rle = segmentation_to_rle(record.masks[row], record.height, record.width)
            except ValueError as error:
                raise ValueError(f"{record.name}: object {row}: {error}") from error
            annotation["segmentation"] = rle
        if record.keypoints is not None:
            points = record.keypoints[row]
            annotation["num_keypoints"] = int((points[:, 2] > 0).sum())
            annotation["keypoints"] = points.reshape(-1).tolist()
        yield annotation


def ranking_scores(detections: Detections, kind: str) -> np.ndarray:
    """Return the scores [N] by which AP of "box", "mask" or "keypoint" ranks detections: of masks their own, if any."""
    own = detections.mask_scores if kind == "mask" else None
    return detections.scores if own is None else own


def found_rows(found: Detections, image: int, kind: str) -> Iterator[dict[str, Any]]:
    """Yield detections as COCO's results of "box", "mask" or "keypoint", with the areas that pycocotools takes."""
    scores = ranking_scores(found, kind)
    for row, (x1, y1, x2, y2) in enumerate(found.boxes.astype(np.float64)):
        result = {
            "image_id": image,
            "category_id": int(found.class_ids[row]),
            "bbox": [x1, y1, x2 - x1, y2 - y1],
            "area": (x2 - x1) * (y2 - y1),
            "iscrowd": 0,
            "score": float(scores[row]),
        }
        if kind == "mask" and found.masks is not None:
            mask = found.masks[row]
            rle = mask if isinstance(mask, dict) else mask_to_rle(mask)
            # Whether an unmatched detection counts for small, medium or large goes by its mask's area here.
            result.update(segmentation=rle, area=float(coco_mask.area(rle)))
        if kind == "keypoint":
            # And here by the box around its keypoints, as pycocotools takes it from results without boxes.
            points = np.reshape(found.coco_keypoints(row), (-1, 3))
            width, height = np.ptp(points[:, :2], axis=0)
            result.update(keypoints=points.reshape(-1).tolist(), area=float(width * height))
        yield result


def _evaluation(
    images: list[dict[str, Any]],
    truth: list[dict[str, Any]],
    found: list[dict[str, Any]],
    iou_type: str,
    classes: int,
) -> Any:
    """Set pycocotools up without files and `loadRes`, which fails on empty results."""

    def indexed(annotations: list[dict[str, Any]]) -> COCO:
        coco = COCO()
        categories = [{"id": class_id} for class_id in range(1, classes + 1)]
        numbered = [{"id": number, **row} for number, row in enumerate(annotations, start=1)]
        coco.dataset = {"images": images, "categories": categories, "annotations": numbered}
        coco.createIndex()
        return coco

    with _silence():
        return COCOeval(indexed(truth), indexed(found), iou_type)


def _run(evaluation: Any) -> None:
    with _silence():
        evaluation.evaluate()
        evaluation.accumulate()


def _silence() -> contextlib.AbstractContextManager[Any]:
    """Keep what pycocotools prints to itself."""
    return contextlib.redirect_stdout(io.StringIO())


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
