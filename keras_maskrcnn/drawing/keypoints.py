"""Keypoints drawn as dots, joined by limbs."""

from collections.abc import Sequence

import numpy as np
from PIL import ImageDraw

from keras_maskrcnn.config.keypoints import PERSON_LIMBS
from keras_maskrcnn.drawing.colors import Color


def draw_keypoints(
    draw: ImageDraw.ImageDraw,
    keypoints: np.ndarray,
    names: Sequence[str] | None,
    threshold: float,
    colors: Sequence[Color],
    line: int,
) -> None:
    """Draw the keypoints of instances, and the limbs between those that COCO's skeleton of a person joins.

    Args:
        draw: what is drawn on.
        keypoints: [N, J, 3] x, y in pixels, and a value.
        names: J names, or None for no limbs.
        threshold: keypoints whose value is above it are drawn.
        colors: N colours.
        line: width of lines in pixels.

    Raises:
        ValueError: there are not J names.
    """
    limbs = _limbs(keypoints.shape[1], names)
    for points, color in zip(keypoints, colors, strict=True):
        seen = (points[:, 2] > threshold) & np.isfinite(points).all(axis=1)
        places = [(float(x), float(y)) for x, y in points[:, :2]]
        drawn = [(places[one], places[other]) for one, other in limbs if seen[one] and seen[other]]
        # White around the colour, which the instance's mask has too.
        for fill, width in (("white", 4 * line), (color, 2 * line)):
            for limb in drawn:
                draw.line(limb, fill=fill, width=width)
        for x, y in (places[joint] for joint in np.flatnonzero(seen)):
            radius = 2 * line + 1
            dot = (x - radius, y - radius, x + radius, y + radius)
            draw.ellipse(dot, fill=color, outline="white", width=line)


def _limbs(count: int, names: Sequence[str] | None) -> list[tuple[int, int]]:
    """Which of J keypoints are joined, by their places among the names."""
    if not names:
        return []
    if len(names) != count:
        raise ValueError(f"draw_instances got {count} keypoints per instance but {len(names)} keypoint_names")
    places = {name: place for place, name in enumerate(names)}
    return [(places[one], places[other]) for one, other in PERSON_LIMBS if {one, other} <= places.keys()]
