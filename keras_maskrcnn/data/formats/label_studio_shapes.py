"""The shapes of Label Studio's regions: per cent of the image, strokes of a brush and bitmasks, as segmentations."""

import math
from typing import Any

import numpy as np
from PIL import Image

from keras_maskrcnn.data.formats.brush_rle import decode_brush
from keras_maskrcnn.data.formats.builder import Size
from keras_maskrcnn.data.formats.coco_annotations import is_number
from keras_maskrcnn.data.formats.shapes import ellipse, rectangle, visible_extent
from keras_maskrcnn.images.embedded import decoded
from keras_maskrcnn.masks.segmentation_checks import shown

KINDS = ("polygon", "rectangle", "ellipse", "brush", "bitmask")
"""Of regions that have an area."""
POINT = "keypoint"
_PNG = "data:image/png;base64,"
"""What a bitmask begins with."""

Outline = tuple[Any, list[float] | None]
"""A list of polygons or a mask [H, W] bool, and the box x1, y1, x2, y2 unless they tell it."""


def outline(kind: str, value: Any, size: Size) -> Outline:
    """Return what a region of one of `KINDS` covers, in pixels of an image of this (height, width).

    Raises:
        ValueError: it is malformed; the message leaves the region to the caller.
    """
    if not isinstance(value, dict):
        raise ValueError(f'it has no "value"; got {shown(value)}')
    if kind == "polygon":
        return [_polygon(value.get("points"), size)], None
    if kind == "rectangle":
        return _rectangle(value, size)
    if kind == "ellipse":
        x, y, across, down, degrees = _numbers(
            {"rotation": 0, **value}, "x", "y", "radiusX", "radiusY", "rotation"
        )
        (cx, cy), (rx, ry) = in_pixels(x, y, size), in_pixels(across, down, size)
        polygon = ellipse(cx, cy, rx, ry, math.radians(degrees))
        return [polygon], visible_extent(polygon, *size)
    if kind == "brush":
        if "rle" not in value:
            raise ValueError('it is a brush stroke without "rle"')
        return decode_brush(value["rle"], *size), None
    return _bitmask(value.get("imageDataURL"), size), None


def point(value: Any, size: Size) -> tuple[float, float]:
    """Return x and y in pixels of a keypoint.

    Raises:
        ValueError: it is malformed, or outside the image.
    """
    x, y = _numbers(value if isinstance(value, dict) else {}, "x", "y")
    if not (0 <= x <= 100 and 0 <= y <= 100):
        raise ValueError(f"its x and y must be per cent, 0..100; got {x:g}, {y:g}")
    return in_pixels(x, y, size)


def in_pixels(x: float, y: float, size: Size) -> tuple[float, float]:
    """Turn per cent of the width and of the height into pixels of an image of this (height, width)."""
    return x * size[1] / 100, y * size[0] / 100


def _polygon(points: Any, size: Size) -> list[float]:
    rows: list[Any] = points if isinstance(points, list) else [None]
    if not all(isinstance(row, list) and len(row) == 2 and all(map(is_number, row)) for row in rows):
        raise ValueError(f'its "points" must be pairs of numbers; got {shown(points)}')
    return [value for x, y in rows for value in in_pixels(float(x), float(y), size)]


def _rectangle(value: dict[str, Any], size: Size) -> Outline:
    """A rectangle is turned about its first corner, in pixels: per cent are not equally long both ways."""
    x, y, across, down, degrees = _numbers({"rotation": 0, **value}, "x", "y", "width", "height", "rotation")
    if across < 0 or down < 0:
        raise ValueError(f"it has a negative side: width {across:g}, height {down:g}")
    (left, top), (width, height) = in_pixels(x, y, size), in_pixels(across, down, size)
    if degrees % 360 == 0:
        return [rectangle(left, top, left + width, top + height)], None
    sin, cos = math.sin(math.radians(degrees)), math.cos(math.radians(degrees))
    corners = [(0.0, 0.0), (width, 0.0), (width, height), (0.0, height)]
    turned = [(left + u * cos - v * sin, top + u * sin + v * cos) for u, v in corners]
    polygon = [value for corner in turned for value in corner]
    return [polygon], visible_extent(polygon, *size)


def _bitmask(data: Any, size: Size) -> np.ndarray:
    """The mask of a PNG of the size of the image: where it is not transparent."""
    if not isinstance(data, str) or not data.startswith(_PNG):
        raise ValueError(f'its "imageDataURL" must begin with {_PNG}; got {shown(data)}')
    try:
        image = Image.open(decoded(data.removeprefix(_PNG)), formats=["PNG"])
        extent = image.size
        alpha = np.asarray(image.convert("RGBA"))[..., 3] if extent == size[::-1] else None
    except Exception as error:  # whatever Pillow's decoder raises
        raise ValueError(f'its "imageDataURL" cannot be read: {error}') from None
    if alpha is None:
        raise ValueError(
            f"its bitmask is {extent[0]} x {extent[1]} (width x height), its image {size[1]} x {size[0]}"
        )
    return alpha > 0


def _numbers(value: dict[str, Any], *keys: str) -> list[float]:
    values: list[Any] = [value.get(key) for key in keys]
    if not all(map(is_number, values)):
        raise ValueError(f"its {', '.join(keys)} must be numbers; got {shown(values)}")
    return [float(number) for number in values]
