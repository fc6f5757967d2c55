"""Precision and recall of matched detections, and what COCO's metrics average of them."""

import dataclasses

import numpy as np

FALSE, TRUE, IGNORED = 0, 1, 2
"""What a detection is at one threshold, for objects of one size."""


@dataclasses.dataclass(frozen=True, eq=False)
class Matched:
    """D detections and G objects of all images after they were matched, for A sizes of objects and T thresholds."""

    scores: np.ndarray
    """[D] float64; of equal scores the one of a lower number comes first."""
    class_ids: np.ndarray
    """[D] int32: 1..K."""
    ranks: np.ndarray
    """[D] int32: how many of its class are better in its image."""
    outside: np.ndarray
    """[D, A] bool: of another size, and no mistake if it matches nothing."""
    compared: np.ndarray
    """[C]: the detections that are enough alike to an object for the lowest threshold."""
    outcomes: np.ndarray
    """[C, A, T] uint8: what they are: TRUE, IGNORED, or FALSE if they match nothing."""
    object_class_ids: np.ndarray
    """[G] int32."""
    object_ignored: np.ndarray
    """[G, A] bool: crowds, and what is of another size."""


def precision_and_recall(
    matched: Matched, classes: int, limits: list[int], recalls: np.ndarray
) -> dict[str, np.ndarray]:
    """Return what pycocotools' `COCOeval.accumulate` computes, the same numbers; -1 is where no object counts.

    Args:
        matched: detections and objects.
        classes: K.
        limits: M numbers of detections per image and class that count.
        recalls: [R] at which precision is taken, ascending.

    Returns:
        "precision" [T, R, K, A, M]: the highest at this recall or above; "recall" [T, K, A, M] that is reached;
        "scores" [T, R, K, A, M]: of the detection that reaches a recall.
    """
    sizes, thresholds = matched.outcomes.shape[1:]
    shape = thresholds, len(recalls), classes, sizes, len(limits)
    precision, scores = -np.ones(shape), -np.ones(shape)
    recall = -np.ones((thresholds, classes, sizes, len(limits)))
    order = np.lexsort((-matched.scores, matched.class_ids))
    of_classes = np.split(order, np.searchsorted(matched.class_ids[order], np.arange(2, classes + 1)))
    counts = np.stack([
        np.bincount(matched.object_class_ids[~ignored], minlength=classes + 1)[1:]
        for ignored in matched.object_ignored.T
    ])  # [A, K]  # fmt: skip
    places = np.full(len(order), -1)
    places[matched.compared] = np.arange(len(matched.compared))
    for number, rows in enumerate(of_classes):
        outcomes = _outcomes(matched, rows, places[rows])
        for size in np.flatnonzero(counts[:, number]).tolist():
            for position, limit in enumerate(limits):
                kept = matched.ranks[rows] < limit
                at = (..., number, size, position)
                precision[at], recall[at], scores[at] = _curves(
                    outcomes[size][:, kept], matched.scores[rows[kept]], counts[size, number], recalls
                )
    return {"precision": precision, "recall": recall, "scores": scores}


def _outcomes(matched: Matched, rows: np.ndarray, places: np.ndarray) -> np.ndarray:
    """What detections [N] are: [A, T, N] uint8."""
    thresholds = matched.outcomes.shape[2]
    unmatched = np.where(matched.outside[rows].T, IGNORED, FALSE).astype(np.uint8)  # [A, N]
    outcomes = np.repeat(unmatched[:, None], thresholds, axis=1)
    compared = np.flatnonzero(places >= 0)
    theirs = matched.outcomes[places[compared]].transpose(1, 2, 0)
    outcomes[:, :, compared] = np.where(theirs == FALSE, outcomes[:, :, compared], theirs)
    return outcomes


def _curves(
    outcomes: np.ndarray, scores: np.ndarray, objects: int, recalls: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Precision [T, R], recall [T] and scores [T, R] of detections [T, N], best first."""
    precision, at_scores = np.zeros((2, len(outcomes), len(recalls)))
    at_scores[:, recalls <= 0] = scores[:1] if len(scores) else 0  # which the very first detection reaches
    false = np.cumsum(outcomes == FALSE, axis=1, dtype=np.int32)
    recall = np.count_nonzero(outcomes == TRUE, axis=1) / objects
    for row, of_threshold in enumerate(outcomes):
        # Precision and recall rise at hits alone.
        hits = np.flatnonzero(of_threshold == TRUE)
        true = np.arange(1.0, len(hits) + 1)
        precise = true / (false[row, hits] + true + np.spacing(1))
        highest = np.maximum.accumulate(precise[::-1])[::-1]
        first = np.searchsorted(true / objects, recalls)
        reached = np.flatnonzero(first < len(hits))
        precision[row, reached] = highest[first[reached]]
        reached = reached[recalls[reached] > 0]
        at_scores[row, reached] = scores[hits[first[reached]]]
    return precision, recall, at_scores
