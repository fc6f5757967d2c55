"""Colours of instances and classes."""

from collections.abc import Sequence

import numpy as np

Color = tuple[int, int, int]

PALETTE: tuple[Color, ...] = (
    (230, 57, 70), (29, 146, 255), (255, 186, 8), (46, 204, 113), (186, 85, 255), (255, 121, 28),
    (0, 206, 209), (255, 92, 172), (154, 205, 50), (108, 122, 255), (214, 137, 86), (0, 168, 132),
)  # fmt: skip
TOUCHING = 3.0
"""Boxes up to this many pixels apart are neighbours."""
UNTRACKED: Color = (170, 170, 170)
"""Of what has no track."""
ALIKE = 110.0
"""Colours less than this far apart in red, green and blue are too much alike for neighbours."""


def instance_colors(boxes: np.ndarray) -> list[Color]:
    """Return a colour for each of boxes `[N, 4]`: the palette's in turn, and where it repeats, neighbours differ.

    An instance whose colour in turn is much like one of its neighbours' gets the one that is least like any of
    theirs. So neighbours share a colour only where one has as many neighbours as there are colours.
    """
    if len(boxes) <= len(PALETTE):
        return list(PALETTE[: len(boxes)])
    palette = np.array(PALETTE, float)
    distances = np.linalg.norm(palette[:, None] - palette[None], axis=2)  # [12, 12]
    boxes = np.nan_to_num(np.asarray(boxes, np.float64))
    chosen = np.arange(len(boxes)) % len(PALETTE)
    for index in range(1, len(boxes)):
        around = chosen[:index][_near(boxes[index], boxes[:index])]
        if not around.size:
            continue
        likeness = distances[:, around].min(
            axis=1
        )  # [12]: how far each colour is from the neighbours' nearest
        if likeness[chosen[index]] < ALIKE:
            chosen[index] = likeness.argmax() if likeness.any() else np.bincount(around).argmin()
    return [PALETTE[number] for number in chosen]


def class_colors(names: Sequence[str], class_names: Sequence[str] | None) -> list[Color]:
    """Return a colour for each name: that of its place among `class_names`, and then among the rest in their order."""
    known = list(class_names or ())
    known += sorted(set(names) - set(known))
    places = {name: known.index(name) for name in set(names)}
    return [PALETTE[places[name] % len(PALETTE)] for name in names]


def track_colors(track_ids: np.ndarray) -> list[Color]:
    """Return a colour for each of track ids `[N]`, the same for a track in every frame; gray without a track."""
    return [PALETTE[number % len(PALETTE)] if number >= 0 else UNTRACKED for number in track_ids.tolist()]


def _near(box: np.ndarray, others: np.ndarray) -> np.ndarray:
    """Which boxes [M, 4] touch a box, or almost."""
    low, high = box[:2] - TOUCHING, box[2:] + TOUCHING
    touching = (others[:, :2] <= high) & (others[:, 2:] >= low)  # [M, 2]
    return touching[:, 0] & touching[:, 1]
