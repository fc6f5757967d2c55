"""COCO's rule of which detection is matched with which object, for many thresholds and areas at once."""

import numpy as np

from keras_maskrcnn.evaluation.similarity import Pairs

NONE = -1
"""The object of a detection that is matched with none."""


def choose_objects(
    pairs: Pairs, groups: np.ndarray, crowd: np.ndarray, ignored: np.ndarray, thresholds: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Match detections with objects: the best detection of a group chooses first, and chooses what is most alike to it.

    Of equally alike objects it chooses the last. An object is chosen once, a crowd by any number of detections. What is
    ignored, crowds among it, is chosen only by detections for which no other object is left that is enough alike.

    Args:
        pairs: P pairs of detections and objects, of each of them all pairs that are alike by the lowest threshold.
        groups: [G] the group of each object; one detection is in pairs with objects of one group only.
        crowd: [G] bool.
        ignored: [G, A] bool: A rules of what is ignored, as for objects of another size; crowds always are.
        thresholds: [T] from which value on a pair matches.

    Returns:
        (detections [C] in ascending order, those that are in pairs; objects [C, A, T] int64, or NONE).
    """
    order = np.lexsort((pairs.objects, pairs.values, pairs.detections))
    detections, objects, values = pairs.detections[order], pairs.objects[order], pairs.values[order]
    starts = np.flatnonzero(np.diff(detections, prepend=-1))
    turns = _turns(groups[objects[starts]])
    chosen = np.full((len(starts), ignored.shape[1], len(thresholds)), NONE, np.int64)
    taken = np.zeros((len(groups), *chosen.shape[1:]), bool)
    row_turns = np.repeat(turns, np.diff(starts, append=len(order)))
    by_turn, ends = np.argsort(row_turns, kind="stable"), np.cumsum(np.bincount(row_turns))
    for turn, rows in enumerate(np.split(by_turn, ends[:-1]) if len(starts) else ()):
        enough = values[rows, None] >= np.minimum(thresholds, 1 - 1e-10)  # [R, T]
        firsts = np.flatnonzero(np.diff(detections[rows], prepend=-1))
        chosen[turns == turn] = _choose(objects[rows], enough, firsts, taken, crowd, ignored)
    return detections[starts], chosen


def _turns(groups: np.ndarray) -> np.ndarray:
    """When each detection [C] chooses: detections of different groups at once, those of one group in their order."""
    order = np.argsort(groups, kind="stable")
    firsts = np.flatnonzero(np.diff(groups[order], prepend=-1))
    counts = np.diff(firsts, append=len(groups))
    turns = np.empty(len(groups), np.int64)
    turns[order] = np.arange(len(groups)) - np.repeat(firsts, counts)
    return turns


def _choose(
    objects: np.ndarray,
    enough: np.ndarray,
    firsts: np.ndarray,
    taken: np.ndarray,
    crowd: np.ndarray,
    ignored: np.ndarray,
) -> np.ndarray:
    """Let detections of different groups choose from their pairs [R], each one's together and the most alike last.

    Marks what they choose in `taken` [G, A, T], and returns it: [D, A, T].
    """
    free = enough[:, None, :] & (~taken[objects] | crowd[objects, None, None])  # [R, A, T]
    # [R, A]: the higher, the better.
    places = np.arange(len(objects))[:, None] + len(objects) * ~ignored[objects]
    offers = np.where(free, places[:, :, None], NONE)
    best = np.maximum.reduceat(offers, firsts, axis=0)  # [D, A, T]
    counts = np.diff(firsts, append=len(objects))
    taken[objects] |= free & (offers == np.repeat(best, counts, axis=0))
    return np.where(best == NONE, NONE, objects[best % len(objects)])
