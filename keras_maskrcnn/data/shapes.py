"""The shapes that annotation tools know besides polygons, as polygons: flat lists x1, y1, x2, y2, ... in pixels."""

import math

import numpy as np

_DEVIATION = 0.1
"""Pixels by which the polygon of an ellipse may differ from it."""
_LARGEST_AXIS = 1e5
"""Half axis in pixels beyond which no picture has an ellipse."""


def rectangle(x1: float, y1: float, x2: float, y2: float) -> list[float]:
    """Return the polygon of a rectangle between two opposite corners."""
    return [x1, y1, x2, y1, x2, y2, x1, y2]


def ellipse(cx: float, cy: float, rx: float, ry: float, theta: float = 0.0) -> list[float]:
    """Return a polygon of an ellipse, which deviates from it by at most 0.1 pixels.

    Args:
        cx, cy: its centre.
        rx, ry: its half axes.
        theta: radians by which rx is turned from the x axis towards the y axis, clockwise as displayed.

    Raises:
        ValueError: a half axis is negative, or longer than any picture.
    """
    if not (0 <= rx <= _LARGEST_AXIS and 0 <= ry <= _LARGEST_AXIS):
        raise ValueError(f"its radius must lie in 0..{_LARGEST_AXIS:g} pixels; got {rx:g} and {ry:g}")
    # A chord over the angle 2a leaves an arc of radius r by r (1 - cos a), which is about r a^2 / 2.
    points = 4 * math.ceil(math.pi / math.sqrt(2 * _DEVIATION / max(rx, ry, 1.0)) / 4)
    angles = np.linspace(0, 2 * math.pi, max(points, 16), endpoint=False)
    along, across = rx * np.cos(angles), ry * np.sin(angles)
    x = cx + along * math.cos(theta) - across * math.sin(theta)
    y = cy + along * math.sin(theta) + across * math.cos(theta)
    return np.stack([x, y], axis=1).ravel().tolist()


def visible_extent(polygon: list[float], height: int, width: int) -> list[float]:
    """Return x1, y1, x2, y2 around the part of a polygon in its image: a round shape may well reach outside."""
    points = np.reshape(polygon, (-1, 2)).clip(0, [width, height])
    return [*points.min(axis=0).tolist(), *points.max(axis=0).tolist()]
