"""Masks as polygons along the edges of their pixels."""

from typing import Any

import numpy as np
import pycocotools.mask as coco_mask

from keras_maskrcnn.masks.rle import rle_columns, segmentation_to_rle

_STEPS = ((1, 0), (0, 1), (-1, 0), (0, -1))
"""Right, down, left, up: x and y. Along an edge the mask is on the right-hand side."""
_RIGHT_FIRST = (1, 0, 3)
"""Turns at a corner: where two pixels touch with their corners alone, a right turn stays at one of them."""

Edges = dict[tuple[int, int], set[int]]
"""The directions of the edges that begin at each corner of a pixel."""


def mask_outlines(rle: dict[str, Any]) -> list[list[float]] | None:
    """Return polygons x1, y1, x2, y2, ... that pycocotools draws as exactly this mask, a part after the other.

    Args:
        rle: as `segmentation_to_rle` returns it.

    Returns:
        Corners of pixels, in whole numbers; None of a mask with a hole, which polygons cannot say, or of an empty one.
    """
    x, y, width, height = map(int, coco_mask.toBbox(rle))
    edges = _edges(rle_columns(rle, x, x + width)[y : y + height])
    polygons = []
    while edges:
        corners = _loop(edges)
        if _area(corners) < 0:  # the mask is outside: the edge of a hole
            return None
        polygons.append((corners + [x, y]).astype(float).ravel().tolist())
    if not polygons:
        return None
    drawn = segmentation_to_rle(polygons, *rle["size"])
    both = coco_mask.merge([drawn, rle], intersect=True)
    return polygons if coco_mask.area(both) == coco_mask.area(rle) == coco_mask.area(drawn) else None


def _edges(mask: np.ndarray) -> Edges:
    """The edges between a mask [H, W] bool and what is around it."""
    padded = np.pad(mask, 1)
    inside = padded[1:-1, 1:-1]
    beside = (
        padded[:-2, 1:-1],
        padded[1:-1, 2:],
        padded[2:, 1:-1],
        padded[1:-1, :-2],
    )  # above, right, below, left
    starts = ((0, 0), (1, 0), (1, 1), (0, 1))  # the corner of the pixel where the edge of each side begins
    edges: Edges = {}
    for direction, (other, (dx, dy)) in enumerate(zip(beside, starts, strict=True)):
        rows, columns = np.nonzero(inside & ~other)
        for corner in zip((columns + dx).tolist(), (rows + dy).tolist(), strict=True):
            edges.setdefault(corner, set()).add(direction)
    return edges


def _loop(edges: Edges) -> np.ndarray:
    """Take one closed outline [N, 2] out of the edges, only with the corners where it turns."""
    corner, directions = next(iter(edges.items()))
    start, direction = (corner, min(directions)), min(directions)
    turns: list[tuple[int, int]] = []
    while True:
        edges[corner].remove(direction)
        if not edges[corner]:
            del edges[corner]
        corner = corner[0] + _STEPS[direction][0], corner[1] + _STEPS[direction][1]
        ways = edges.get(corner, set())
        ahead = [(direction + turn) % 4 for turn in _RIGHT_FIRST if (direction + turn) % 4 in ways]
        if not ahead:  # back where it began
            if start[1] != direction:
                turns.insert(0, start[0])
            return np.array(turns)
        if ahead[0] != direction:
            turns.append(corner)
        direction = ahead[0]


def _area(corners: np.ndarray) -> float:
    """Square pixels inside an outline [N, 2] that has them on its right-hand side, or minus those of a hole."""
    x, y = corners.T
    return float(np.sum(x * np.roll(y, -1) - np.roll(x, -1) * y)) / 2
