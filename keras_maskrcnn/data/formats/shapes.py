"""The shapes that annotation tools know besides polygons, as polygons (flat lists x1, y1, x2, y2, ... in pixels), and
objects of several shapes."""

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import pycocotools.mask as coco_mask

from keras_maskrcnn.masks.rle import segmentation_to_rle

_TOLERANCE = 0.1
"""Pixels by which the polygon of an ellipse may differ from it."""
_LARGEST_AXIS = 1e5
"""Half axis in pixels beyond which no image has an ellipse."""


class Part(NamedTuple):
    """What one shape covers, which may be all of an object or not."""

    segmentation: Any
    """A list of polygons, or an RLE dict."""
    box: list[float]
    """x1, y1, x2, y2 in pixels of the image."""


def joined(parts: Sequence[Part], height: int, width: int) -> Part:
    """Return one object's parts together: their polygons, or an RLE if one of them is a mask."""
    boxes = np.array([part.box for part in parts])
    box = [*boxes[:, :2].min(axis=0).tolist(), *boxes[:, 2:].max(axis=0).tolist()]
    segmentations = [part.segmentation for part in parts]
    if len(parts) == 1:
        return Part(segmentations[0], box)
    if all(isinstance(segmentation, list) for segmentation in segmentations):
        return Part([polygon for segmentation in segmentations for polygon in segmentation], box)
    rles = [segmentation_to_rle(segmentation, height, width) for segmentation in segmentations]
    return Part(coco_mask.merge(rles), box)


def rectangle(x1: float, y1: float, x2: float, y2: float) -> list[float]:
    """Return the polygon of a rectangle between two opposite corners."""
    return [x1, y1, x2, y1, x2, y2, x1, y2]


def ellipse(cx: float, cy: float, rx: float, ry: float, theta: float = 0.0) -> list[float]:
    """Return a polygon of an ellipse, which differs from it by at most 0.1 pixels.

    Args:
        cx, cy: its centre.
        rx, ry: its half axes.
        theta: rotation of rx in radians, from the x axis towards the y axis, clockwise as displayed.

    Raises:
        ValueError: a half axis is negative, or longer than any image.
    """
    if not (0 <= rx <= _LARGEST_AXIS and 0 <= ry <= _LARGEST_AXIS):
        raise ValueError(f"its radius must lie in 0..{_LARGEST_AXIS:g} pixels; got {rx:g} and {ry:g}")
    # A chord over the angle 2a leaves an arc of radius r by r (1 - cos a), which is about r a^2 / 2.
    points = 4 * math.ceil(math.pi / math.sqrt(2 * _TOLERANCE / max(rx, ry, 1.0)) / 4)
    angles = np.linspace(0, 2 * math.pi, max(points, 16), endpoint=False)
    along, across = rx * np.cos(angles), ry * np.sin(angles)
    x = cx + along * math.cos(theta) - across * math.sin(theta)
    y = cy + along * math.sin(theta) + across * math.cos(theta)
    return np.stack([x, y], axis=1).ravel().tolist()


def visible_extent(polygon: list[float], height: int, width: int) -> list[float]:
    """Return x1, y1, x2, y2 around the part of a convex polygon in its image: a round shape may well reach outside.

    Zeros if no part of it is inside.
    """
    points = np.reshape(polygon, (-1, 2))
    for axis, limit, inwards in ((0, 0, 1), (1, 0, 1), (0, width, -1), (1, height, -1)):
        points = _half(points, inwards * (points[:, axis] - limit))
    if not len(points):
        return [0.0] * 4
    return [*points.min(axis=0).tolist(), *points.max(axis=0).tolist()]


def _half(points: np.ndarray, depth: np.ndarray) -> np.ndarray:
    """The part [N, 2] of a convex polygon [M, 2] on one side of a line, behind which its points are that deep."""
    following, deep = np.roll(points, -1, axis=0), np.roll(depth, -1)
    crossing = depth * deep < 0
    fractions = (depth[crossing] / (depth[crossing] - deep[crossing]))[:, None]
    met = points[crossing] + fractions * (following - points)[crossing]
    # The points that are kept and those on the line, in the order of the outline.
    places = np.concatenate([np.flatnonzero(depth >= 0), np.flatnonzero(crossing) + 0.5])
    return np.concatenate([points[depth >= 0], met])[places.argsort()]
