"""Masks as polygons along the edges of their pixels, in parts with holes."""

from typing import Any, NamedTuple

import numpy as np
import pycocotools.mask as coco_mask

from keras_maskrcnn.masks.rle import rle_columns, segmentation_to_rle

_STEPS = ((1, 0), (0, 1), (-1, 0), (0, -1))
"""Right, down, left, up: x and y. Along an edge the mask is on the right-hand side."""
_STARTS = ((0, 0), (1, 0), (1, 1), (0, 1))
"""The corner of a pixel where its edge in each direction begins."""
_RIGHT_FIRST = (1, 0, 3)
"""Turns at a corner: where two pixels touch with their corners alone, a right turn stays at one of them."""

Edges = dict[tuple[int, int], set[int]]
"""The directions of the edges that begin at each corner of a pixel."""


class PolygonPart(NamedTuple):
    """One connected part of a mask along the edges of its pixels, as `Detections.to_polygons` returns it.

    Example:
        ```python
        import keras_maskrcnn as km
        import numpy as np

        masks = np.ones((1, 6, 9), bool)
        masks[0, 2:4, 3:5] = False
        found = km.Detections([[0, 0, 9, 6]], [0.9], [1], ["ring"], height=6, width=9, masks=masks)
        (part,) = found.to_polygons()[0]
        print(part.outer.tolist())  # [[0.0, 0.0], [9.0, 0.0], [9.0, 6.0], [0.0, 6.0]]
        print(len(part.holes))  # 1
        ```
    """

    outer: np.ndarray
    """[V, 2] float64: x, y of the corners in continuous pixels, clockwise as displayed; the last is not the first."""
    holes: list[np.ndarray]
    """Of each hole [V, 2] likewise, counter-clockwise."""


def mask_parts(rle: dict[str, Any]) -> list[PolygonPart]:
    """Return the parts of a mask with their holes, which are exactly this mask.

    Pixels that touch with their corners alone are of different parts, holes that do so are one. So rings do not cross,
    but may meet themselves or each other at corners.

    Args:
        rle: as `segmentation_to_rle` returns it.

    Returns:
        Corners of pixels, in whole numbers, only where a ring turns; nothing of an empty mask.
    """
    from scipy import ndimage  # here, since a runtime that only detects need not have it

    x, y, width, height = map(int, coco_mask.toBbox(rle))
    region = rle_columns(rle, x, x + width)[y : y + height]
    names, count = ndimage.label(region)  # pixels that share an edge
    outers: list[np.ndarray] = [np.zeros((0, 2))] * count
    holes: list[list[np.ndarray]] = [[] for _ in range(count)]
    edges = _edges(region)
    while edges:
        corners, (row, column) = _loop(edges)
        part, ring = names[row, column] - 1, (corners + [x, y]).astype(np.float64)
        if _area(corners) < 0:  # the mask is outside
            holes[part].append(ring)
        else:
            outers[part] = ring
    return [PolygonPart(*part) for part in zip(outers, holes, strict=True)]


def mask_outlines(rle: dict[str, Any]) -> list[list[float]] | None:
    """Return polygons x1, y1, x2, y2, ... that pycocotools draws as exactly this mask, a part after the other.

    Args:
        rle: as `segmentation_to_rle` returns it.

    Returns:
        Corners of pixels, in whole numbers; None of a mask with a hole, which polygons cannot say, or of an empty one.
    """
    parts = mask_parts(rle)
    if not parts or any(part.holes for part in parts):
        return None
    polygons = [part.outer.ravel().tolist() for part in parts]
    return polygons if draws(polygons, rle) else None


def draws(polygons: list[list[float]], rle: dict[str, Any]) -> bool:
    """Tell whether pycocotools draws polygons as exactly a mask, an RLE as `segmentation_to_rle` returns it."""
    drawn = segmentation_to_rle(polygons, *rle["size"])
    both = coco_mask.merge([drawn, rle], intersect=True)
    return bool(coco_mask.area(both) == coco_mask.area(rle) == coco_mask.area(drawn))


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
    edges: Edges = {}
    for direction, (other, (dx, dy)) in enumerate(zip(beside, _STARTS, strict=True)):
        rows, columns = np.nonzero(inside & ~other)
        for corner in zip((columns + dx).tolist(), (rows + dy).tolist(), strict=True):
            edges.setdefault(corner, set()).add(direction)
    return edges


def _loop(edges: Edges) -> tuple[np.ndarray, tuple[int, int]]:
    """Take one closed outline out of the edges.

    Returns:
        The corners [N, 2] where it turns, and row and column of a pixel of the mask beside it.
    """
    start = corner = next(iter(edges))
    first = direction = min(edges[start])
    pixel = corner[1] - _STARTS[first][1], corner[0] - _STARTS[first][0]
    turns: list[tuple[int, int]] = []
    while True:
        corner = corner[0] + _STEPS[direction][0], corner[1] + _STEPS[direction][1]
        ways = edges[corner]
        ahead = next(way for turn in _RIGHT_FIRST if (way := (direction + turn) % 4) in ways)
        ways.remove(ahead)
        if not ways:
            del edges[corner]
        is_back = (corner, ahead) == (start, first)
        if ahead != direction:
            turns.insert(0 if is_back else len(turns), corner)
        if is_back:
            return np.array(turns), pixel
        direction = ahead


def _area(corners: np.ndarray) -> float:
    """Square pixels inside an outline [N, 2] that has them on its right-hand side, or minus those of a hole."""
    x, y = corners.T
    return float(np.sum(x * np.roll(y, -1) - np.roll(x, -1) * y)) / 2
