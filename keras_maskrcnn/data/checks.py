"""What must hold for a box, a mask and keypoints of any source; the caller names the image and the object."""

import contextlib
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import pycocotools.mask as coco_mask

from keras_maskrcnn.utils.display import message

EDGE_TOLERANCE = 2.0
"""Pixels by which a box may reach outside its image and is clipped; annotation tools round at the edges."""
SMALLEST_SIDE = 0.01
"""Boxes with a side below this, in pixels of the image, hold no object; resized, they would vanish."""


@contextlib.contextmanager
def error_prefix(what: str) -> Iterator[None]:
    """Put the name of the file, image or object in front of a ValueError's reason."""
    try:
        yield
    except ValueError as error:
        raise ValueError(message(f"{what}: {error}")) from None


@contextlib.contextmanager
def collect_errors(problems: list[str]) -> Iterator[None]:
    """Add the message of a ValueError, or of a file that is missing, to a list, and go on behind the block."""
    try:
        yield
    except (ValueError, FileNotFoundError) as error:
        problems.append(message(str(error)))


def clipped_box(box: Sequence[float], height: int, width: int) -> list[float]:
    """Clip a box x1, y1, x2, y2 to its image; the result may be without area.

    Raises:
        ValueError: it is not finite, inverted, or reaches outside by more than `EDGE_TOLERANCE` pixels.
    """
    x1, y1, x2, y2 = box
    described = f"box x1={x1:g} y1={y1:g} x2={x2:g} y2={y2:g}"
    if not np.isfinite([x1, y1, x2, y2]).all():
        raise ValueError(f"{described} is not finite")
    if x2 < x1 or y2 < y1:
        raise ValueError(f"{described} is inverted: x1 < x2 and y1 < y2 are needed")
    if min(x1, y1) < -EDGE_TOLERANCE or x2 > width + EDGE_TOLERANCE or y2 > height + EDGE_TOLERANCE:
        raise ValueError(f"{described} reaches outside the image, {width} pixels wide and {height} high")
    return [min(max(x1, 0), width), min(max(y1, 0), height), min(max(x2, 0), width), min(max(y2, 0), height)]


def has_area(box: Any) -> bool:
    """Tell whether a box x1, y1, x2, y2 has both sides of at least `SMALLEST_SIDE` pixels."""
    return box[2] - box[0] >= SMALLEST_SIDE and box[3] - box[1] >= SMALLEST_SIDE


def mask_extent(rle: dict[str, Any]) -> list[float]:
    """Return x1, y1, x2, y2 around the pixels of a compressed RLE; zeros for an empty one."""
    x, y, width, height = coco_mask.toBbox(rle).tolist()
    return [x, y, x + width, y + height]


def check_mask_meets_box(rle: dict[str, Any], box: Any) -> None:
    """Check that a mask and its box overlap: lists in different orders would train on empty masks.

    Raises:
        ValueError: they are apart.
    """
    extent = mask_extent(rle)
    if min(extent[2], box[2]) <= max(extent[0], box[0]) or min(extent[3], box[3]) <= max(extent[1], box[1]):
        raise ValueError(
            f"its mask (x1, y1, x2, y2 = {extent}) lies outside its box {[float(v) for v in box]}"
        )


def check_keypoints(points: np.ndarray) -> None:
    """Check keypoints [J, 3] of one object.

    Raises:
        ValueError: one is not finite, or its visibility is not 0, 1 or 2.
    """
    with np.errstate(over="ignore"):  # what float32 does not hold becomes infinite
        finite = np.isfinite(np.asarray(points, np.float32)).all()
    if not finite:
        raise ValueError("its keypoints are not finite")
    if not np.isin(points[:, 2], (0, 1, 2)).all():
        raise ValueError(f"the visibility of keypoints must be 0, 1 or 2; got {points[:, 2].tolist()}")


def check_same_names(what: str, own: Sequence[str], expected: Sequence[str]) -> None:
    """Check that a record's names of classes or keypoints, `what`, are those of a config, if both have any.

    Raises:
        ValueError: there are other names, or another order; says which differ.
    """
    if not own or not expected or tuple(own) == tuple(expected):
        return
    unknown = [name for name in own if name not in expected]
    missing = [name for name in expected if name not in own]
    if not unknown and not missing:
        place = next(i for i, (a, b) in enumerate(zip(own, expected, strict=False)) if a != b)
        raise ValueError(
            f"its {what} names are in another order than Config.{what}_names: {what} {place + 1} is "
            f"{own[place]!r}, not {expected[place]!r}"
        )
    found = [f"{', '.join(unknown)}, which Config.{what}_names lacks"] if unknown else []
    found += [f"no {', '.join(missing)}"] if missing else []
    raise ValueError(f"among its {what} names there is {', and '.join(found)}")


def check_order(what: str, own: Sequence[str], given: Sequence[str]) -> None:
    """Check that the names of classes or keypoints, `what`, that both know stand in the same places.

    Other names pass: they may be translations.

    Raises:
        ValueError: a name is that of another class; names the first.
    """
    if tuple(own) == tuple(given):
        return
    places = {name: place for place, name in enumerate(given, start=1)}
    for place, name in enumerate(own, start=1):
        if places.get(name, place) != place:
            raise ValueError(
                f"its {what} {place} is {name!r}, which is {what} {places[name]} of the {what}_names {', '.join(given)}"
            )
