"""Several rings as one, for formats that have one polygon for an object: joined by lines there and back."""

from collections.abc import Sequence

import numpy as np
from scipy.spatial import cKDTree


def bridged(rings: Sequence[np.ndarray]) -> np.ndarray:
    """Join rings by the shortest lines between their corners, each walked there and back, so that it encloses nothing.

    What lies inside an odd number of the rings lies inside the one that they become, so that parts stay parts and holes
    stay holes wherever polygons are filled by the even-odd rule, as pycocotools and OpenCV do. Programs that also draw
    outlines draw the lines.

    Args:
        rings: R arrays [V, 2] of x, y; the last corner is not the first.

    Returns:
        [sum of V + 2 (R - 1), 2].
    """
    points = np.concatenate(rings).astype(np.float64)
    owner = np.repeat(np.arange(len(rings)), [len(ring) for ring in rings])
    # Of each corner of a ring that is not joined yet: how far the nearest joined corner is, and which one.
    distance, nearest = np.full(len(points), np.inf), np.zeros_like(points)
    left = np.flatnonzero(owner > 0)
    newest = points[owner == 0]
    joined = list(map(tuple, newest))
    while len(left):
        found, places = cKDTree(newest).query(points[left])
        closer = found < distance[left]
        distance[left[closer]] = found[closer]
        nearest[left[closer]] = newest[places[closer]]
        row = left[distance[left].argmin()]
        newest = points[owner == owner[row]]
        left = left[owner[left] != owner[row]]
        place = joined.index(tuple(nearest[row]))
        around = list(map(tuple, np.roll(newest, np.argmax(owner == owner[row]) - row, axis=0)))
        joined[place + 1 : place + 1] = [*around, around[0], joined[place]]
    return np.array(joined)
