"""Instances drawn on a picture: translucent masks with outlines, boxes, keypoints with limbs, and labels."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from keras_maskrcnn.keypoints import PERSON_LIMBS
from keras_maskrcnn.masks import rle_to_mask

MASK_OPACITY = 0.4
PALETTE = (
    (230, 57, 70), (29, 146, 255), (255, 186, 8), (46, 204, 113), (186, 85, 255), (255, 121, 28),
    (0, 206, 209), (255, 92, 172), (154, 205, 50), (108, 122, 255), (214, 137, 86), (0, 168, 132),
)  # fmt: skip

Color = tuple[int, int, int]
Rectangle = tuple[float, float, float, float]


def draw_instances(
    image: Any,
    boxes: np.ndarray,
    names: Sequence[str] | None = None,
    scores: np.ndarray | None = None,
    masks: Any = None,
    *,
    keypoints: np.ndarray | None = None,
    keypoint_names: Sequence[str] | None = None,
    keypoint_threshold: float = 0.05,
    color_by: str = "instance",
    font: str | None = None,
) -> Image.Image:
    """Draw instances on an image; the line widths, the dots and the text grow with it.

    Args:
        image: a PIL image, or an array [H, W] or [H, W, C]; shown as `displayable` does.
        boxes: [N, 4] x1, y1, x2, y2 in pixels of the image.
        names: N labels, or None for none.
        scores: [N] floats written after the labels, or None.
        masks: [N, H, W] bool, N COCO RLE dicts, or None.
        keypoints: [N, J, 3] x, y in pixels of the image, and a score or an annotation's visibility; or None.
        keypoint_names: J names; between those that COCO's skeleton of a person joins, limbs are drawn.
        keypoint_threshold: keypoints whose third value is above it are drawn. At 0.05 these are all that are
            annotated, hidden ones too, or of a model's those with such a probability or logit.
        color_by: "instance" gives each its own colour, "class" each name.
        font: path of a TrueType font, for names in scripts that Pillow's own font lacks.

    Returns:
        An RGB picture of the image's size.

    Raises:
        ValueError: lengths or sizes disagree, or `color_by` is neither of the two.
    """
    canvas = displayable(image)
    height, width = canvas.shape[:2]
    boxes = np.asarray(boxes, np.float64).reshape(-1, 4)
    rows = {"names": names, "scores": scores, "masks": masks, "keypoints": keypoints}
    for argument, values in rows.items():
        if values is not None and len(values) != len(boxes):
            raise ValueError(f"draw_instances got {len(boxes)} boxes but {len(values)} {argument}")
    limbs = _limbs(keypoints, keypoint_names)
    colors = _colors(len(boxes), names, color_by)
    line = max(1, round(max(height, width) / 700))
    # Large ones first, so that small ones in front of them stay visible.
    order = np.argsort(-np.prod(boxes[:, 2:] - boxes[:, :2], axis=1), kind="stable")
    if masks is not None:
        for index in order:
            _paint_mask(canvas, masks[index], colors[index], line)
    picture = Image.fromarray(canvas)
    draw = ImageDraw.Draw(picture)
    for index in order:
        _draw_box(draw, boxes[index], colors[index], line, (height, width))
    if keypoints is not None:
        for index in order:
            _draw_keypoints(draw, keypoints[index], limbs, keypoint_threshold, colors[index], line)
    labels = _labels(names, scores)
    _draw_labels(draw, boxes, labels, colors, _font(font, height, width), (height, width))
    return picture


def displayable(image: Any) -> np.ndarray:
    """Return a picture of any kind as a new array [H, W, 3] uint8.

    Gray is repeated, an alpha channel dropped, and of more than 4 channels the first three are shown. Floats
    up to 1 are taken for 0..1; values above 255 are scaled so that the largest becomes 255.

    Raises:
        ValueError: the array has not two or three axes.
    """
    if isinstance(image, Image.Image):
        image = image if image.mode.startswith(("I", "F", "L", "RGB")) else image.convert("RGB")
    pixels = np.asarray(image)
    if pixels.ndim == 2:
        pixels = pixels[:, :, None]
    if pixels.ndim != 3:
        raise ValueError(f"An image must be [H, W] or [H, W, C]; got shape {pixels.shape}")
    pixels = pixels[:, :, :3] if pixels.shape[2] >= 3 else pixels[:, :, [0, 0, 0]]
    if pixels.dtype == np.uint8:
        return pixels.copy()
    pixels = np.nan_to_num(pixels.astype(np.float32)).clip(0)
    largest = pixels.max(initial=0)
    if largest > 255 or 0 < largest <= 1:
        pixels = pixels * (255 / max(largest, 1))
    return np.rint(pixels).astype(np.uint8)


def _colors(count: int, names: Sequence[str] | None, color_by: str) -> list[Color]:
    if color_by not in ("instance", "class"):
        raise ValueError(f'color_by must be "instance" or "class"; got {color_by!r}')
    numbers = list(range(count))
    if color_by == "class" and names is not None:
        known = sorted(set(names))
        numbers = [known.index(name) for name in names]
    return [PALETTE[number % len(PALETTE)] for number in numbers]


def _paint_mask(canvas: np.ndarray, mask: Any, color: Color, line: int) -> None:
    mask = rle_to_mask(mask) if isinstance(mask, dict) else np.asarray(mask, bool)
    if mask.shape != canvas.shape[:2]:
        raise ValueError(f"A mask of shape {mask.shape} does not fit its image, {canvas.shape[:2]}")
    rows, columns = mask.any(1).nonzero()[0], mask.any(0).nonzero()[0]
    if not rows.size:
        return
    window = slice(rows[0], rows[-1] + 1), slice(columns[0], columns[-1] + 1)
    mask, pixels = mask[window], canvas[window]
    inside = mask
    for _ in range(line):
        inside = _eroded(inside)
    tint = np.array(color, np.float32)
    pixels[inside] = np.rint((1 - MASK_OPACITY) * pixels[inside] + MASK_OPACITY * tint).astype(np.uint8)
    pixels[mask & ~inside] = color


def _eroded(mask: np.ndarray) -> np.ndarray:
    """Take away the pixels that touch the outside with a side."""
    padded = np.pad(mask, 1)
    return mask & padded[:-2, 1:-1] & padded[2:, 1:-1] & padded[1:-1, :-2] & padded[1:-1, 2:]


def _draw_box(
    draw: ImageDraw.ImageDraw, box: np.ndarray, color: Color, line: int, size: tuple[int, int]
) -> None:
    height, width = size
    x1, y1, x2, y2 = np.nan_to_num(box)
    left, right = np.clip([np.floor(x1), np.ceil(x2) - 1], 0, width - 1)
    top, bottom = np.clip([np.floor(y1), np.ceil(y2) - 1], 0, height - 1)
    draw.rectangle((left, top, max(left, right), max(top, bottom)), outline=color, width=line)


def _limbs(keypoints: np.ndarray | None, names: Sequence[str] | None) -> list[tuple[int, int]]:
    """Which keypoints are joined, by their places among the names."""
    if keypoints is None or not names:
        return []
    if len(keypoints) and len(names) != len(keypoints[0]):
        raise ValueError(
            f"draw_instances got {len(keypoints[0])} keypoints per instance but {len(names)} keypoint_names"
        )
    places = {name: place for place, name in enumerate(names)}
    return [(places[one], places[other]) for one, other in PERSON_LIMBS if {one, other} <= places.keys()]


def _draw_keypoints(
    draw: ImageDraw.ImageDraw,
    points: np.ndarray,
    limbs: list[tuple[int, int]],
    threshold: float,
    color: Color,
    line: int,
) -> None:
    points = np.asarray(points, np.float64)
    seen = (points[:, 2] > threshold) & np.isfinite(points).all(axis=1)
    places = [(float(x), float(y)) for x, y in points[:, :2]]
    drawn = [(places[one], places[other]) for one, other in limbs if seen[one] and seen[other]]
    # White around the colour, which the instance's mask has too.
    for fill, width in (("white", 4 * line), (color, 2 * line)):
        for limb in drawn:
            draw.line(limb, fill=fill, width=width)
    for x, y in (places[index] for index in np.flatnonzero(seen)):
        radius = 2 * line + 1
        dot = (x - radius, y - radius, x + radius, y + radius)
        draw.ellipse(dot, fill=color, outline="white", width=line)


def _labels(names: Sequence[str] | None, scores: np.ndarray | None) -> list[str]:
    if scores is None:
        return list(names) if names is not None else []
    numbers = [f"{score:.2f}" for score in scores]
    return numbers if names is None else [f"{name} {text}" for name, text in zip(names, numbers, strict=True)]


def _font(path: str | None, height: int, width: int) -> Any:
    points = max(10, round(max(height, width) / 55))
    return ImageFont.truetype(path, points) if path else ImageFont.load_default(points)


def _draw_labels(
    draw: ImageDraw.ImageDraw,
    boxes: np.ndarray,
    labels: list[str],
    colors: list[Color],
    font: Any,
    size: tuple[int, int],
) -> None:
    taken: list[Rectangle] = []
    ascent, descent = font.getmetrics()
    margin = max(1, ascent // 6)
    # The first detections have the highest scores: they choose their places first and are drawn on top.
    for label, box in zip(labels, boxes, strict=False):
        text_size = draw.textlength(label, font) + 2 * margin, ascent + descent
        taken.append(_free_place(np.nan_to_num(box), text_size, size, taken))
    for label, place, color in reversed(list(zip(labels, taken, colors, strict=False))):
        draw.rectangle(place, fill=color)
        bright = 0.299 * color[0] + 0.587 * color[1] + 0.114 * color[2] > 140
        draw.text((place[0] + margin, place[1]), label, fill="black" if bright else "white", font=font)


def _free_place(
    box: np.ndarray, text_size: tuple[float, float], size: tuple[int, int], taken: list[Rectangle]
) -> Rectangle:
    """The place at a box, within the picture, that covers least of the labels placed before."""
    text_width, text_height = text_size
    x1, y1, x2, y2 = box
    places = [
        (x1, y1 - text_height),
        (x1, y1),
        (x2 - text_width, y1 - text_height),
        (x1, y2),
        (x2 - text_width, y2),
        (x1, y2 - text_height),
        (x2, y1),
        (x1 - text_width, y1),
        ((x1 + x2 - text_width) / 2, (y1 + y2 - text_height) / 2),
    ]
    best, least = (0.0, 0.0, text_width, text_height), np.inf
    for x, y in places:
        left = float(np.clip(np.floor(x), 0, max(0, size[1] - text_width - 1)))
        top = float(np.clip(np.floor(y), 0, max(0, size[0] - text_height - 1)))
        place = (left, top, left + text_width, top + text_height)
        covered = sum(_overlap(place, other) for other in taken)
        if covered < least:
            best, least = place, covered
    return best


def _overlap(first: Rectangle, second: Rectangle) -> float:
    width = min(first[2], second[2]) - max(first[0], second[0])
    height = min(first[3], second[3]) - max(first[1], second[1])
    return max(0.0, width) * max(0.0, height)
