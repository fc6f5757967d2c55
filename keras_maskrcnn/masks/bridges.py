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
    joined = list(map(tuple, rings[0]))
    left = {number: np.asarray(ring) for number, ring in enumerate(rings) if number}
    # Of each corner of a ring that is not joined yet: how far the nearest joined corner is, and which one.
    distance = {number: np.full(len(ring), np.inf) for number, ring in left.items()}
    nearest = {number: np.zeros((len(ring), 2)) for number, ring in left.items()}
    newest = np.asarray(rings[0])
    while left:
        tree = cKDTree(newest)
        for number, ring in left.items():
            found, places = tree.query(ring)
            closer = found < distance[number]
            distance[number][closer] = found[closer]
            nearest[number][closer] = newest[places[closer]]
        number = min(left, key=lambda one: distance[one].min())
        corner = int(distance[number].argmin())
        newest = left.pop(number)
        place = joined.index(tuple(nearest[number][corner]))
        around = list(map(tuple, np.roll(newest, -corner, axis=0)))
        joined[place + 1 : place + 1] = [*around, around[0], joined[place]]
    return np.array(joined)
