"""Which overlapping pairs of objects and detections are taken for matches, each object and each detection once."""

import numpy as np
from scipy import sparse
from scipy.optimize import linear_sum_assignment

from keras_maskrcnn.evaluation.overlaps import Overlaps


def matched_pairs(overlaps: Overlaps, threshold: float) -> np.ndarray:
    """Return which of the pairs [P] are matched at an IoU threshold.

    As StarDist has it: as many pairs of at least this IoU as possible, each object and each detection once; of several
    such matchings one with the largest sum of IoU, pairs below the threshold included.
    """
    enough = overlaps.ious >= threshold
    nodes = overlaps.pairs + [0, len(overlaps.object_images)]
    total = len(overlaps.object_images) + len(overlaps.detection_images)
    wanted = np.bincount(nodes[enough].reshape(-1), minlength=total)
    if wanted.max(initial=0) < 2:  # always above an IoU of one half, since nothing overlaps in a label image
        return enough
    graph = sparse.coo_matrix((np.ones(len(nodes)), nodes.T), (total, total))
    groups = sparse.csgraph.connected_components(graph, directed=False)[1]
    of_pairs = groups[nodes[:, 0]]
    for group in np.unique(groups[wanted > 1]).tolist():
        rows = np.flatnonzero(of_pairs == group)
        enough[rows] &= _assigned(overlaps.pairs[rows], overlaps.ious[rows], threshold)
    return enough


def _assigned(pairs: np.ndarray, ious: np.ndarray, threshold: float) -> np.ndarray:
    """Which of few pairs [P] the best assignment takes."""
    (objects, rows), (found, columns) = (np.unique(side, return_inverse=True) for side in pairs.T)
    gains = np.zeros((len(objects), len(found)))
    # The IoUs add up to less than one more match.
    gains[rows, columns] = (ious >= threshold) + ious / (2 * min(gains.shape))
    taken = np.zeros(gains.shape, bool)
    taken[linear_sum_assignment(gains, maximize=True)] = True
    return taken[rows, columns]
