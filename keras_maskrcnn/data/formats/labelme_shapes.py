"""The shapes of labelme's files, and of X-AnyLabeling's, as objects."""

import math
from collections import Counter
from typing import Any

import numpy as np

from keras_maskrcnn.data.checks import collect_errors, error_prefix, mask_extent
from keras_maskrcnn.data.formats.builder import CocoBuilder, Size
from keras_maskrcnn.data.formats.coco_annotations import is_number
from keras_maskrcnn.data.formats.label_images import read_shape_mask
from keras_maskrcnn.data.formats.shapes import Part, ellipse, joined, rectangle, visible_extent
from keras_maskrcnn.images.embedded import decoded
from keras_maskrcnn.masks.rle import mask_to_rle, region_to_rle, segmentation_to_mask, segmentation_to_rle
from keras_maskrcnn.masks.segmentation_checks import checked_polygon, shown

HOLE, IGNORED = "_background_", "__ignore__"
"""Labels that labelme reserves: of what is no object though one is around it, and of what is not annotated."""
FLAGS = ("difficult", "ignore")
"""Of objects that are not to be learned and not to be counted; VOC's first tools had them."""
_FLAGGED = f"objects flagged {' or '.join(FLAGS)} are crowds"
_POLYGONS = ("polygon", "oriented_rectangle", "rotation")
_OLD_MASKS_UNTIL = 6
"""The last version of labelme that cuts the points of masks to whole numbers."""


def add_shapes(builder: CocoBuilder, file: str, shapes: list[Any], size: Size, version: int) -> Counter[str]:
    """Add the objects of a file, as of the last image of a builder.

    Args:
        file: what messages call it.
        shapes: its shapes, of which nothing is known yet.
        size: (height, width) of the image in pixels.
        version: of labelme, the first number.

    Returns:
        How many shapes were not taken for objects to learn, by what was made of them.
    """
    met: Counter[str] = Counter()
    holes: dict[int, Part] = {}
    for number, shape in enumerate(shapes):
        label = shape.get("label") if isinstance(shape, dict) else None
        if label == IGNORED:
            met[f"shapes labelled {IGNORED} are left out"] += 1
        elif label == HOLE:
            met[f"shapes labelled {HOLE} are holes in those before them"] += 1
            with collect_errors(builder.problems), error_prefix(f"{file}: shape {number}"):
                holes[number] = _part(shape, size, version)
    for numbers in _grouped(shapes):
        name = f"{file}: shape {' and '.join(map(str, numbers))}"
        with collect_errors(builder.problems), error_prefix(name):
            parts = [_cut(_part(shapes[number], size, version), number, holes, size) for number in numbers]
            whole = joined(parts, *size)
            flagged = any(_is_flagged(shapes[number]) for number in numbers)
            met[_FLAGGED] += flagged
            builder.add_object(name, shapes[numbers[0]]["label"], *whole, iscrowd=int(flagged))
    return +met


def _grouped(shapes: list[Any]) -> list[list[int]]:
    """The numbers of the shapes that are one object together."""
    groups: dict[Any, list[int]] = {}
    for number, shape in enumerate(shapes):
        if isinstance(shape, dict) and shape.get("label") in (HOLE, IGNORED):
            continue
        group = shape.get("group_id") if isinstance(shape, dict) else None
        key = (number,) if group is None else (str(shape.get("label")), str(group))
        groups.setdefault(key, []).append(number)
    return list(groups.values())


def _is_flagged(shape: dict[str, Any]) -> bool:
    """Whether a shape is not to be learned: labelme's flags are in "flags", X-AnyLabeling's beside them."""
    flags = shape.get("flags")
    return any({**shape, **(flags if isinstance(flags, dict) else {})}.get(flag) is True for flag in FLAGS)


def _cut(part: Part, number: int, holes: dict[int, Part], size: Size) -> Part:
    """A shape without the holes that were drawn after it."""
    later = [
        hole.segmentation for place, hole in holes.items() if place > number and _meet(part.box, hole.box)
    ]
    if not later:
        return part
    mask = segmentation_to_mask(part.segmentation, *size)
    for hole in later:
        mask &= ~segmentation_to_mask(hole, *size)
    rle = mask_to_rle(mask)
    return Part(rle, mask_extent(rle))


def _meet(box: list[float], other: list[float]) -> bool:
    return all(max(box[axis], other[axis]) < min(box[axis + 2], other[axis + 2]) for axis in (0, 1))


def _part(shape: Any, size: Size, version: int) -> Part:
    if not isinstance(shape, dict) or not isinstance(shape.get("label"), str) or not shape["label"]:
        raise ValueError(f'it has no "label"; got {shown(shape)}')
    kind, points = shape.get("shape_type", "polygon"), _points(shape.get("points"))
    if kind in _POLYGONS or (kind == "rectangle" and len(points) == 4):
        polygon = checked_polygon(points.ravel().tolist())
        return Part([polygon], [*points.min(axis=0).tolist(), *points.max(axis=0).tolist()])
    if kind not in ("rectangle", "circle", "mask"):
        raise ValueError(
            f"its shape_type is {shown(kind)}; what can be an object is a polygon, rectangle, rotation, circle or mask"
        )
    if len(points) != 2:
        raise ValueError(f"a {kind} has 2 points; got {len(points)}")
    if kind == "circle":  # its centre, and a point on it
        (cx, cy), (x, y) = points.tolist()
        radius = math.hypot(x - cx, y - cy)
        polygon = ellipse(cx, cy, radius, radius)
        return Part([polygon], visible_extent(polygon, *size))
    box = [*points.min(axis=0).tolist(), *points.max(axis=0).tolist()]
    if kind == "rectangle":
        return Part([rectangle(*box)], box)
    rle = _mask(shape, points, size, version)
    return Part(rle, mask_extent(segmentation_to_rle(rle, *size)))


def _points(points: Any) -> np.ndarray:
    rows = points if isinstance(points, list) else [None]
    if not all(isinstance(row, list) and len(row) == 2 and all(map(is_number, row)) for row in rows):
        raise ValueError(f'its "points" must be pairs of numbers; got {shown(points)}')
    return np.array(rows, float).reshape(-1, 2)


def _mask(shape: dict[str, Any], points: np.ndarray, size: Size, version: int) -> dict[str, Any]:
    """The RLE of a shape that is a PNG of the pixels from its first point to its second."""
    if not isinstance(shape.get("mask"), str):
        raise ValueError('it has no "mask"')
    try:
        part = read_shape_mask(decoded(shape["mask"]))
    except Exception as error:  # whatever Pillow's decoders raise
        raise ValueError(f'its "mask" cannot be read: {error}') from None
    if version > _OLD_MASKS_UNTIL:
        region = _region(part, points, size)
    else:
        left, top = points[0].astype(int).tolist()
        right, bottom = points[1].astype(int).tolist()
        _check_extent(part, right - left + 1, bottom - top + 1)
        if left < 0 or top < 0 or right >= size[1] or bottom >= size[0]:
            raise ValueError(f"its mask reaches outside the image, {size[1]} pixels wide and {size[0]} high")
        region = part, left, top
    return region_to_rle(region, *size)


def _region(part: np.ndarray, points: np.ndarray, size: Size) -> tuple[np.ndarray, int, int]:
    """Where labelme 7 paints a mask [h, w], as its `shapes_to_label` does, and what of it is inside the image.

    Points are rounded. Between whole ones lies as much of the mask as fits; from others on all of it, since each corner
    may have been rounded for itself. What reaches outside the image is cut off.
    """
    (left, top), (right, bottom) = points.round().astype(int).tolist()
    if np.array_equal(points, np.trunc(points)):
        height, width = bottom - top + 1, right - left + 1
        if height > part.shape[0] or width > part.shape[1] or height < 1 or width < 1:
            _check_extent(part, width, height)
        part = part[:height, :width]
    down, across = max(0, -top), max(0, -left)
    part = part[down : max(0, size[0] - top), across : max(0, size[1] - left)]
    if not part.size:
        raise ValueError(f"its mask lies outside the image, {size[1]} pixels wide and {size[0]} high")
    return part, left + across, top + down


def _check_extent(part: np.ndarray, width: int, height: int) -> None:
    if part.shape != (height, width):
        raise ValueError(
            f"its mask has {part.shape[1]} x {part.shape[0]} pixels (width x height), between its points there are "
            f"{width} x {height}"
        )
