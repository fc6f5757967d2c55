"""An evaluation to look into: metrics, precision-recall curves, a confusion matrix and the worst mistakes."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from pycocotools.cocoeval import COCOeval

from keras_maskrcnn.detections.detections import Detections
from keras_maskrcnn.evaluation.coco import coco_evaluations, summarised
from keras_maskrcnn.evaluation.matching import Match, match_objects
from keras_maskrcnn.evaluation.scored_rows import ranking_scores

if TYPE_CHECKING:
    from keras_maskrcnn.data.records import Record


@dataclasses.dataclass(frozen=True, eq=False)
class Analysis:
    """What `analyse` returns: metrics, curves, matches and mistakes of detections, computed without a model.

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
    analysis = km.analyse([record], [found], ["square"])
    print(analysis.scores["mask_AP"])  # 1.0
    print(analysis.confusion_matrix())  # rows: true classes, columns: predicted ones, 0: none
    print(analysis.false_positives(), analysis.misses())  # [] []
    print(analysis.precision("box").shape)  # (10, 101, 1): IoU thresholds, recalls, classes
    ```
    """

    records: Sequence[Record]
    detections: Sequence[Detections]
    class_names: tuple[str, ...]
    evaluations: dict[str, COCOeval]
    """Of "box" and, where there are any, "mask" and "keypoint": pycocotools' `params`, `eval` and `summarize()`."""

    @property
    def scores(self) -> dict[str, float]:
        """What `score_coco` returns with per_class."""
        return summarised(self.evaluations, self.class_names)

    @property
    def kind(self) -> str:
        """What objects are matched by: "mask", or "box" where records or detections lack masks."""
        return "mask" if "mask" in self.evaluations else "box"

    def precision(self, kind: str = "box") -> np.ndarray:
        """Return COCO's precision `[IoU thresholds, 101 recalls 0..1, K]`, nan for classes without objects.

        The IoU thresholds are 0.50 to 0.95 in steps of 0.05 (for keypoints of their similarity), and the detections
        those that count for AP.

        Raises:
            ValueError: nothing of this kind was scored.
        """
        if kind not in self.evaluations:
            raise ValueError(f"There are curves of {', '.join(self.evaluations)}; got {kind!r}")
        precision = self.evaluations[kind].eval["precision"][:, :, :, 0, -1]
        return np.where(precision < 0, np.nan, precision)

    def matches(self, iou_threshold: float = 0.5, score_threshold: float = 0.5) -> list[Match]:
        """Pair objects with detections by the IoU of their masks or else boxes; see `matching.match_objects`."""
        return match_objects(self.records, self.detections, self.kind, iou_threshold, score_threshold)

    def confusion_matrix(self, iou_threshold: float = 0.5, score_threshold: float = 0.5) -> np.ndarray:
        """Count objects by their true and their predicted class.

        Args:
            iou_threshold: an object and its detection overlap by at least this, above 0 to 1.
            score_threshold: detections that score less are taken for none, 0..1.

        Returns:
            [K + 1, K + 1] int64: row t, column p counts objects of class t that were predicted as class p. Column 0
            counts the objects that were missed, row 0 the detections where no object is. Crowds do not count.

        Raises:
            ValueError: a threshold is out of range.
        """
        counts = np.zeros((len(self.class_names) + 1, len(self.class_names) + 1), np.int64)
        for match in self.matches(iou_threshold, score_threshold):
            counts[self.true_class(match), self.predicted_class(match)] += 1
        return counts

    def true_class(self, match: Match) -> int:
        """Return the class id of a match's object, 0 if there is none."""
        return 0 if match.object is None else int(self.records[match.image].class_ids[match.object])

    def predicted_class(self, match: Match) -> int:
        """Return the class id of a match's detection, 0 if there is none."""
        return 0 if match.detection is None else int(self.detections[match.image].class_ids[match.detection])

    def score(self, match: Match) -> float:
        """Return the score by which a match's detection is ranked (see `ranking_scores`), 0 if there is none."""
        if match.detection is None:
            return 0.0
        return float(ranking_scores(self.detections[match.image], self.kind)[match.detection])

    def false_positives(self, iou_threshold: float = 0.5, score_threshold: float = 0.5) -> list[Match]:
        """Return the detections of no object or one of another class, most confident first."""
        matches = self.matches(iou_threshold, score_threshold)
        wrong = [
            m for m in matches if m.detection is not None and self.true_class(m) != self.predicted_class(m)
        ]
        return sorted(wrong, key=lambda match: -self.score(match))

    def misses(self, iou_threshold: float = 0.5, score_threshold: float = 0.5) -> list[Match]:
        """Return the objects without a detection, those that cover the largest fraction of their image first."""
        missed = [m for m in self.matches(iou_threshold, score_threshold) if m.detection is None]
        return sorted(missed, key=lambda match: -self._fraction(match))

    def _fraction(self, match: Match) -> float:
        record = self.records[match.image]
        return float(record.areas[match.object]) / (record.height * record.width)


def analyse(
    records: Sequence[Record],
    detections: Sequence[Detections],
    class_names: Sequence[str],
    max_detections: int | None = None,
    keypoint_sigmas: Sequence[float] | None = None,
) -> Analysis:
    """Score detections and keep what is needed to look into the metrics.

    Args:
        records: N images' ground truth.
        detections: of the same N images, in pixels of the records, masks as arrays or RLEs.
        class_names: K names, class k being class_names[k - 1].
        max_detections: detections per image and class that count, most confident first; None is COCO's 100, or as many
            as there are in the image with the most where that is more.
        keypoint_sigmas: J numbers, needed for other keypoints than COCO's 17 of a person; as in `evaluate_coco`.

    Returns:
        The analysis; `write_report` makes a page of it.

    Raises:
        ValueError: there is no ground truth at all, or records and detections do not fit together.

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
    analysis = km.analyse([record], [found], ["square"])
    print(analysis.kind, analysis.confusion_matrix(iou_threshold=0.75).tolist())  # mask [[0, 0], [0, 1]]
    ```
    """
    evaluations = coco_evaluations(records, detections, class_names, max_detections, keypoint_sigmas)
    return Analysis(records, detections, tuple(class_names), evaluations)
