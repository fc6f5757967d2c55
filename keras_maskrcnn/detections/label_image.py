"""From the masks of detections to a label image, in which they do not overlap."""

from typing import Any

import numpy as np

from keras_maskrcnn.masks.label_image import first_pixels, paint_labels

ORDERS = ("reading", "score")


def paint_by_score(masks: Any, scores: np.ndarray, height: int, width: int, min_score: float) -> np.ndarray:
    """Paint N masks, so that each pixel belongs to the detection with the best score, the first of equals.

    Args:
        masks: [N, height, width] bool, N RLEs, or None.
        scores: [N] in 0..1.
        height, width: of the image in pixels.
        min_score: detections that score less are left out, 0..1.

    Returns:
        [height, width] uint32: row r is r + 1, and 0 is background.

    Raises:
        ValueError: there are detections, but no masks; or min_score is out of range.
    """
    if isinstance(min_score, bool) or not 0 <= min_score <= 1:
        raise ValueError(f"min_score must be in 0..1; got {min_score!r}")
    if masks is None and len(scores):
        raise ValueError("A label image is made of masks, which these Detections lack")
    best_first = np.argsort(-scores, kind="stable")
    worst_first = best_first[scores[best_first] >= np.float32(min_score)][::-1]  # as scores are
    return paint_labels([] if masks is None else masks, worst_first.tolist(), height, width)


def visible_rows(labels: np.ndarray, scores: np.ndarray, order: str) -> np.ndarray:
    """Return the rows [M] that have a pixel in `paint_by_score`'s labels, as `Detections.to_label_image` orders them.

    Raises:
        ValueError: the order is none of ORDERS.
    """
    if order not in ORDERS:
        raise ValueError(f'order must be "reading" or "score"; got {order!r}')
    first = first_pixels(labels, len(scores))[1:]
    rank = first if order == "reading" else -scores
    rows = np.argsort(rank, kind="stable")
    return rows[first[rows] < labels.size]
