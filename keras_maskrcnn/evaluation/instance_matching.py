"""Matching of instances as microscopists count it: TP, FP and FN of label images at each IoU."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from keras_maskrcnn.detections.detections import Detections
from keras_maskrcnn.evaluation.assignment import matched_pairs
from keras_maskrcnn.evaluation.overlaps import Overlaps, label_image_overlaps, record_overlaps

if TYPE_CHECKING:
    from keras_maskrcnn.data.records import Record

IOU_THRESHOLDS = tuple(percent / 100 for percent in range(50, 100, 5))
"""0.50, 0.55, ..., 0.95: those of COCO's AP, and of the 2018 Data Science Bowl."""
METRICS = (
    "tp", "fp", "fn", "precision", "recall", "f1", "accuracy",
    "mean_matched_score", "mean_true_score", "panoptic_quality",
)  # fmt: skip


@dataclasses.dataclass(frozen=True, eq=False)
class MatchingScores:
    """How many objects and detections match at each of I IoU thresholds, over all images together.

    The metrics have the names and definitions of StarDist's `matching_dataset` (Schmidt et al. 2018), where objects and
    detections match that overlap by at least the threshold, each at most once, so that as many as possible do. Each is
    an array [I], and 0 where there is nothing to divide by.

    Example:

    ```python
    import numpy as np

    import keras_maskrcnn as km

    true, predicted = np.zeros((2, 40, 60), np.uint16)
    true[5:15, 5:15], true[20:30, 40:50] = 1, 2
    predicted[5:15, 5:13], predicted[32:38, 5:10] = 1, 2  # one of 0.8 IoU, and one where nothing is
    scores = km.score_label_images(true, predicted, iou_thresholds=[0.5, 0.9])
    print(scores.precision, scores.recall)  # [0.5 0. ] [0.5 0. ]
    print(scores.tp, scores.accuracy.round(3))  # [1 0] [0.333 0.   ]
    ```
    """

    iou_thresholds: np.ndarray
    """[I] float64, above 0 to 1."""
    tp: np.ndarray
    """[I] int64: matched pairs."""
    fp: np.ndarray
    """[I] int64: detections without an object."""
    fn: np.ndarray
    """[I] int64: objects without a detection."""
    iou_sums: np.ndarray
    """[I] float64: the sum of the matched pairs' IoU."""
    dsb2018: float
    """The score of the 2018 Data Science Bowl, whatever the thresholds: the mean over images of the mean over IoU 0.50,
    0.55, ..., 0.95 of an image's TP / (TP + FP + FN). There a pair matches whose IoU is above the threshold, not equal
    to it. An image without objects and detections, which the contest had not, counts as 1."""
    images: int

    @property
    def precision(self) -> np.ndarray:
        """TP / (TP + FP)."""
        return _divided(self.tp, self.tp + self.fp)

    @property
    def recall(self) -> np.ndarray:
        """TP / (TP + FN)."""
        return _divided(self.tp, self.tp + self.fn)

    @property
    def f1(self) -> np.ndarray:
        """2 TP / (2 TP + FP + FN), the harmonic mean of precision and recall."""
        return _divided(2 * self.tp, 2 * self.tp + self.fp + self.fn)

    @property
    def accuracy(self) -> np.ndarray:
        """TP / (TP + FP + FN), in the papers of StarDist and Cellpose the "average precision"; COCO's is another."""
        return _divided(self.tp, self.tp + self.fp + self.fn)

    @property
    def mean_matched_score(self) -> np.ndarray:
        """Mean IoU of the matched pairs."""
        return _divided(self.iou_sums, self.tp)

    @property
    def mean_true_score(self) -> np.ndarray:
        """Sum of the matched pairs' IoU, by the number of objects."""
        return _divided(self.iou_sums, self.tp + self.fn)

    @property
    def panoptic_quality(self) -> np.ndarray:
        """Sum of the matched pairs' IoU / (TP + FP / 2 + FN / 2) (Kirillov et al. 2019)."""
        return _divided(self.iou_sums, self.tp + self.fp / 2 + self.fn / 2)

    def to_dict(self) -> dict[str, float]:
        """Return all metrics, those of an IoU threshold named by it in percent: "accuracy_50", and "dsb2018"."""
        percents = [f"{100 * threshold:.9g}" for threshold in self.iou_thresholds]
        named = {
            f"{name}_{percent}": float(value)
            for name in METRICS
            for percent, value in zip(percents, getattr(self, name), strict=True)
        }
        return {**named, "dsb2018": self.dsb2018}


def matching_rows(scores: Mapping[str, float]) -> list[list[str]]:
    """Lay out what `MatchingScores.to_dict` returns: what the columns are, and a row for each IoU threshold."""
    rows = [["IoU", "TP", "FP", "FN", "precision", "recall", "F1", "TP/(TP+FP+FN)"]]
    for percent in (name.removeprefix("tp_") for name in scores if name.startswith("tp_")):
        counts = [f"{scores[f'{name}_{percent}']:.0f}" for name in METRICS[:3]]
        fractions = [f"{scores[f'{name}_{percent}']:.3f}" for name in METRICS[3:7]]
        rows.append([f"{float(percent) / 100:.2f}", *counts, *fractions])
    return rows


def score_label_images(
    true: np.ndarray | Sequence[np.ndarray],
    predicted: np.ndarray | Sequence[np.ndarray],
    iou_thresholds: Sequence[float] = IOU_THRESHOLDS,
) -> MatchingScores:
    """Compare predicted label images with true ones, as StarDist's `matching` and `matching_dataset` do.

    Args:
        true: a label image, an array of integers in which 0 is background and any other number an object; or a list of
            them.
        predicted: as many, of the same shapes.
        iou_thresholds: from which overlap a pair matches, above 0 to 1.

    Returns:
        The metrics over all images together, and the 2018 Data Science Bowl's score.

    Raises:
        ValueError: numbers or shapes of label images differ, they are no integers from 0, or a threshold is out of
            range.

    Example:

    ```python
    import numpy as np

    import keras_maskrcnn as km

    true, predicted = np.zeros((2, 40, 60), np.uint16)
    true[5:15, 5:15], true[20:30, 40:50] = 1, 2
    predicted[5:15, 5:13], predicted[20:30, 40:50] = 7, 3  # the numbers need not be the same
    scores = km.score_label_images([true], [predicted])
    print(scores.accuracy.round(2))  # [1. 1. 1. 1. 1. 1. 1. 0.33 0.33 0.33]: 0.8 of IoU up to 0.80
    ```
    """
    if isinstance(true, np.ndarray) != isinstance(predicted, np.ndarray):
        raise ValueError("true and predicted must both be a label image, or both a list of them")
    images = ([true], [predicted]) if isinstance(true, np.ndarray) else (true, predicted)
    if len(images[0]) != len(images[1]):
        raise ValueError(f"there are {len(true)} true label images, but {len(predicted)} predicted ones")
    thresholds = checked_thresholds(iou_thresholds)
    return scores_of(label_image_overlaps(zip(*images, strict=True)), thresholds)


def score_matching(
    records: Sequence[Record],
    detections: Sequence[Detections],
    min_score: float = 0.5,
    iou_thresholds: Sequence[float] = IOU_THRESHOLDS,
) -> MatchingScores:
    """Compare detections with ground truth as label images, in which nothing overlaps.

    A pixel of several detections belongs to the best score (`Detections.to_label_image`), and one of several objects to
    the smallest (`Record.to_label_image`). What has no pixel then does not count; of objects a warning says how many.
    An object and a detection match only if they are of the same class; TP, FP and FN are those of all classes together.
    A detection that matches nothing and is by more than half inside a crowd of its class counts for nothing, as what
    is in void regions does in panoptic quality.

    Args:
        records: N images' ground truth, with masks.
        detections: of the same N images, in pixels of the records, masks as arrays or RLEs.
        min_score: detections that score less are left out, 0..1.
        iou_thresholds: from which overlap a pair matches, above 0 to 1.

    Returns:
        The metrics over all images together, and the 2018 Data Science Bowl's score.

    Raises:
        ValueError: there is no ground truth at all, masks are missing, records and detections do not fit together, or
            a score or threshold is out of range.

    Example:

    ```python
    import numpy as np

    import keras_maskrcnn as km

    image = np.zeros((64, 96, 3), np.uint8)
    image[10:40, 20:60] = 255
    record = km.make_record(image, masks=[image[:, :, 0] > 0], class_ids=[1], image_id="square")
    found = km.Detections(
        boxes=[[20, 10, 60, 40]], scores=[0.9], class_ids=[1], class_names=["square"], height=64, width=96,
        masks=[dict(record.masks[0])],
    )
    scores = km.score_matching([record], [found], min_score=0.5)
    print(scores.accuracy[0], scores.panoptic_quality[0], scores.dsb2018)  # 1.0 1.0 1.0
    ```
    """
    thresholds = checked_thresholds(iou_thresholds)
    return scores_of(record_overlaps(records, detections, min_score), thresholds)


def checked_thresholds(iou_thresholds: Sequence[float]) -> np.ndarray:
    """Return IoU thresholds [I] float64; the last digits, as in numpy's 0.6000000000000001, are rounded.

    Raises:
        ValueError: there is none, or one is not above 0 and at most 1.
    """
    thresholds = np.round(np.asarray(iou_thresholds, np.float64), 9)
    if thresholds.ndim != 1 or not len(thresholds) or not ((thresholds > 0) & (thresholds <= 1)).all():
        raise ValueError(f"IoU thresholds must be a list of numbers above 0 to 1; got {iou_thresholds!r}")
    return thresholds


def scores_of(overlaps: Overlaps, thresholds: np.ndarray) -> MatchingScores:
    """Return the metrics at IoU thresholds [I]."""
    matched = [matched_pairs(overlaps, threshold) for threshold in thresholds.tolist()]
    tp = np.array([chosen.sum() for chosen in matched])
    excused = [_excused(overlaps, chosen).sum() for chosen in matched]
    return MatchingScores(
        iou_thresholds=thresholds,
        tp=tp,
        fp=len(overlaps.detection_images) - tp - np.array(excused),
        fn=len(overlaps.object_images) - tp,
        iou_sums=np.array([overlaps.ious[chosen].sum() for chosen in matched]),
        dsb2018=_dsb2018(overlaps),
        images=overlaps.images,
    )


def _excused(overlaps: Overlaps, matched: np.ndarray) -> np.ndarray:
    """Which detections [D] are in crowds and match nothing."""
    excused = overlaps.in_crowd.copy()
    excused[overlaps.pairs[matched, 1]] = False
    return excused


def _dsb2018(overlaps: Overlaps) -> float:
    count = overlaps.images
    objects = np.bincount(overlaps.object_images, minlength=count)
    fractions = []
    for threshold in IOU_THRESHOLDS:
        matched = overlaps.ious > threshold
        tp = np.bincount(overlaps.object_images[overlaps.pairs[matched, 0]], minlength=count)
        counting = overlaps.detection_images[~_excused(overlaps, matched)]
        total = objects + np.bincount(counting, minlength=count) - tp
        fractions.append(np.where(total > 0, tp / np.maximum(total, 1), 1.0))
    return float(np.mean(fractions))


def _divided(values: np.ndarray, by: np.ndarray) -> np.ndarray:
    return np.where(by > 0, values / np.maximum(by, 0.5), 0.0)
