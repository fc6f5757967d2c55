"""The least score of detections that suits a dataset best."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from keras_maskrcnn.detections.detections import Detections
from keras_maskrcnn.evaluation.instance_matching import checked_thresholds, scores_of
from keras_maskrcnn.evaluation.overlaps import record_overlaps

if TYPE_CHECKING:
    from keras_maskrcnn.data.records import Record

SCORES = tuple(percent / 100 for percent in range(1, 100))
"""0.01, 0.02, ..., 0.99."""


def best_score_threshold(
    records: Sequence[Record],
    detections: Sequence[Detections],
    iou: float | Sequence[float] = 0.5,
    scores: Sequence[float] = SCORES,
) -> tuple[float, float]:
    """Choose the least score from which detections are to count, by matching them with validation images.

    Every threshold is tried, exactly: TP / (TP + FP + FN) of `score_matching` with this `min_score`, or its mean over
    several IoUs. So StarDist chooses its probability threshold, with the mean over IoU 0.3, 0.5 and 0.7.

    Args:
        records: N images' ground truth, with masks, of images that were not trained on.
        detections: of the same N images, also those with low scores: `detect_records(..., score_threshold=0.01)`.
        iou: from which overlap a pair matches, above 0 to 1.
        scores: the thresholds to try, 0..1.

    Returns:
        (threshold, TP / (TP + FP + FN) with it); of equally good ones the middle one.

    Raises:
        ValueError: there are no thresholds, or one is out of range; see `score_matching`.

    Example:

    ```python
    import numpy as np

    import keras_maskrcnn as km

    image = np.zeros((64, 96, 3), np.uint8)
    image[10:40, 20:60] = 255
    record = km.make_record(image, masks=[image[:, :, 0] > 0], class_ids=[1], image_id="square")
    wrong = np.zeros((64, 96), bool)
    wrong[45:60, 5:15] = True
    found = km.Detections(
        boxes=[[20, 10, 60, 40], [5, 45, 15, 60]], scores=[0.9, 0.4], class_ids=[1, 1],
        class_names=["square", "square"], height=64, width=96, masks=np.stack([image[:, :, 0] > 0, wrong]),
    )
    print(km.best_score_threshold([record], [found]))  # (0.66, 1.0)
    ```
    """
    ious = checked_thresholds(np.atleast_1d(iou).tolist())
    tried = np.unique(np.asarray(scores, np.float64))
    if not len(tried) or not ((tried >= 0) & (tried <= 1)).all():
        raise ValueError(f"scores to try must be in 0..1, and at least one; got {scores!r}")
    overlaps = record_overlaps(records, detections, float(tried[0]))
    values = np.array([scores_of(overlaps.above(score), ious).accuracy.mean() for score in tried])
    best = np.flatnonzero(values == values.max())
    middle = best[len(best) // 2]
    return float(tried[middle]), float(values[middle])
