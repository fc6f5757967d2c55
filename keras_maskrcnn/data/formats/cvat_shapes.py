"""The shapes of CVAT's XML as objects."""

import math
from collections import Counter
from typing import Any
from xml.etree.ElementTree import Element

import numpy as np

from keras_maskrcnn.data.checks import collect_errors, error_prefix
from keras_maskrcnn.data.formats.builder import CocoBuilder, Size
from keras_maskrcnn.data.formats.coco_flags import IGNORED, is_ticked
from keras_maskrcnn.data.formats.cvat_labels import Labels
from keras_maskrcnn.data.formats.shapes import Part, ellipse, joined, rectangle, visible_extent
from keras_maskrcnn.masks.rle import mask_region, region_to_rle
from keras_maskrcnn.masks.row_runs import part_of_row_runs
from keras_maskrcnn.masks.segmentation_checks import checked_polygon, shown

CROWD = "is_crowd"
"""The attribute by which CVAT's exports to COCO, and imports from there, know a crowd."""
_CROWDS = (CROWD, "iscrowd", "crowd")
_TAGS = "tags, which are of whole images, are left out"
_BARE = "objects have no box but the one around their keypoints"
_AREAS = ("polygon", "mask", "box", "ellipse")


def add_shapes(builder: CocoBuilder, image: Element, name: str, size: Size, labels: Labels) -> Counter[str]:
    """Add the objects of an <image>, as of the last image of a builder.

    Args:
        name: what messages call it.
        size: its (height, width) in pixels.

    Returns:
        What the report should say, and how often.
    """
    met: Counter[str] = Counter()
    shapes = [child for child in image if child.tag != "tag"]
    met[_TAGS] = len(image) - len(shapes)
    for numbers in _grouped(shapes, labels):
        called = f"{name}: shape {' and '.join(map(str, numbers))}"
        with collect_errors(builder.problems), error_prefix(called):
            _add_object(builder, called, [shapes[number] for number in numbers], size, labels, met)
    return +met


def _grouped(shapes: list[Element], labels: Labels) -> list[list[int]]:
    """The numbers of the shapes that are one object together: of one class and one group."""
    groups: dict[Any, list[int]] = {}
    for number, shape in enumerate(shapes):
        group = shape.get("group_id", "0")
        key = number if group == "0" else (labels.without_body(shape.get("label", "")), group)
        groups.setdefault(key, []).append(number)
    return list(groups.values())


def _add_object(
    builder: CocoBuilder, name: str, shapes: list[Element], size: Size, labels: Labels, met: Counter[str]
) -> None:
    class_name = labels.class_of(shapes[0].get("label"))
    skeletons = [shape for shape in shapes if shape.tag == "skeleton"]
    if len(skeletons) > 1:
        raise ValueError(f"it has {len(skeletons)} skeletons in one group; an object has one")
    fields: dict[str, Any] = {}
    for skeleton in skeletons:
        fields["keypoints"] = _keypoints(skeleton, labels.keypoints[class_name])
    parts = [_part(shape, size) for shape in shapes if shape.tag != "skeleton"]
    if parts:
        segmentation, box = joined(parts, *size)
    else:
        met[_BARE] += 1
        segmentation, box = None, _extent(fields["keypoints"])
    attributes = {key: value for shape in shapes for key, value in _attributes(shape).items()}
    ignored = {key: attributes[key] for key in IGNORED if key in attributes}
    if ignored:
        fields["attributes"] = ignored
    crowd = any(is_ticked(attributes.get(key)) for key in _CROWDS)
    builder.add_object(name, class_name, segmentation, box, iscrowd=int(crowd), **fields)


def _attributes(shape: Element) -> dict[str, str]:
    return {one.get("name", ""): (one.text or "").strip() for one in shape.findall("attribute")}


def _keypoints(skeleton: Element, names: list[str]) -> list[float]:
    """x, y, visibility of each: not labelled if it lies outside, hidden if it is occluded."""
    found = dict.fromkeys(names, (0.0, 0.0, 0))
    for element in skeleton.findall("points"):
        name = element.get("label", "")
        if name not in found:
            raise ValueError(f"its point {shown(name)} is not among those of its label: {', '.join(names)}")
        with error_prefix(f"point {name}"):
            points = _points(element)
            if len(points) != 1:
                raise ValueError(f'its "points" must be one pair of numbers; got {len(points)}')
        hidden, outside = (is_ticked(element.get(key)) for key in ("occluded", "outside"))
        if not outside:
            found[name] = (*points[0].tolist(), 1 if hidden else 2)
    return [value for point in found.values() for value in point]


def _extent(keypoints: list[float]) -> list[float]:
    """x1, y1, x2, y2 around the keypoints that are labelled; zeros if none is."""
    points = np.reshape(keypoints, (-1, 3))
    points = points[points[:, 2] > 0, :2]
    return [*points.min(axis=0).tolist(), *points.max(axis=0).tolist()] if len(points) else [0.0] * 4


def _part(shape: Element, size: Size) -> Part:
    if shape.tag == "polygon":
        points = _points(shape)
        polygon = checked_polygon(points.ravel().tolist())
        return Part([polygon], [*points.min(axis=0).tolist(), *points.max(axis=0).tolist()])
    if shape.tag == "mask":
        return _mask(shape, size)
    rotation = math.radians(_number(shape, "rotation", "0"))
    if shape.tag == "box":
        return _box(_numbers(shape, "xtl", "ytl", "xbr", "ybr"), rotation, size)
    if shape.tag == "ellipse":
        cx, cy, rx, ry = _numbers(shape, "cx", "cy", "rx", "ry")
        polygon = ellipse(cx, cy, rx, ry, rotation)
        return Part([polygon], visible_extent(polygon, *size))
    raise ValueError(
        f"its shape is {shown(shape.tag)}, which has no area; what can be an object is a {', '.join(_AREAS)} or "
        "skeleton"
    )


def _box(corners: list[float], rotation: float, size: Size) -> Part:
    """A box x1, y1, x2, y2, rotated about its centre by radians, clockwise as displayed."""
    x1, y1, x2, y2 = corners
    if x2 < x1 or y2 < y1:
        raise ValueError(f"its box is inverted: xtl {x1:g}, xbr {x2:g}, ytl {y1:g}, ybr {y2:g}")
    polygon = rectangle(x1, y1, x2, y2)
    if not rotation:
        return Part([polygon], corners)
    centre = np.array([x1 + x2, y1 + y2]) / 2
    cos, sin = math.cos(rotation), math.sin(rotation)
    turned = (np.reshape(polygon, (4, 2)) - centre) @ np.array([[cos, sin], [-sin, cos]]) + centre
    return Part([turned.ravel().tolist()], visible_extent(turned.ravel().tolist(), *size))


def _mask(shape: Element, size: Size) -> Part:
    """Runs of zeros and ones in turn, row by row within a box."""
    left, top, width, height = (_whole(shape, key) for key in ("left", "top", "width", "height"))
    if left < 0 or top < 0 or width < 1 or height < 1 or left + width > size[1] or top + height > size[0]:
        raise ValueError(
            f"its box, {width} x {height} (width x height) at {left}, {top}, must lie inside the image, {size[1]} "
            f"pixels wide and {size[0]} high"
        )
    text = shape.get("rle", "")
    try:
        runs = [int(run) for run in text.split(",")]
    except ValueError:
        raise ValueError(f'its "rle" must be whole numbers; got {shown(text)}') from None
    part, x, y = mask_region(part_of_row_runs(runs, height, width))
    left, top = left + x, top + y
    box = [float(value) for value in (left, top, left + part.shape[1], top + part.shape[0])]
    return Part(region_to_rle((part, left, top), *size), box)


def _points(shape: Element) -> np.ndarray:
    """The points [N, 2] of "x,y;x,y"."""
    text = shape.get("points", "")
    try:
        points = np.array([[float(value) for value in pair.split(",")] for pair in text.split(";")])
    except ValueError:  # no numbers, or rows of different lengths
        points = np.empty(0)
    if points.ndim != 2 or points.shape[1] != 2 or not np.isfinite(points).all():
        raise ValueError(f'its "points" must be pairs of numbers, x,y;x,y; got {shown(text)}')
    return points


def _numbers(shape: Element, *keys: str) -> list[float]:
    return [_number(shape, key) for key in keys]


def _number(shape: Element, key: str, default: str = "") -> float:
    text = shape.get(key, default)
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        raise ValueError(f'its "{key}" must be a number; got {shown(text)}')
    return value


def _whole(shape: Element, key: str) -> int:
    value = _number(shape, key)
    if value != int(value):
        raise ValueError(f'its "{key}" must be a whole number; got {value:g}')
    return int(value)
