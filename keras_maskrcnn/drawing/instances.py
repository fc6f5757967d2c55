"""Instances drawn on an image: translucent masks with outlines, boxes, keypoints with limbs, and labels."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from PIL import Image, ImageDraw

from keras_maskrcnn.drawing.captions import draw_labels
from keras_maskrcnn.drawing.keypoints import draw_keypoints
from keras_maskrcnn.masks.rle import rle_to_mask

MASK_OPACITY = 0.4
PALETTE = (
    (230, 57, 70), (29, 146, 255), (255, 186, 8), (46, 204, 113), (186, 85, 255), (255, 121, 28),
    (0, 206, 209), (255, 92, 172), (154, 205, 50), (108, 122, 255), (214, 137, 86), (0, 168, 132),
)  # fmt: skip

Color = tuple[int, int, int]


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
    crowd: np.ndarray | None = None,
    color_by: str = "instance",
    class_names: Sequence[str] | None = None,
    colors: Sequence[Color] | None = None,
    box_colors: Sequence[Color] | None = None,
    labels: bool = True,
    font: str | None = None,
    scale: int = 1,
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
        crowd: [N] bool, which instances are regions of many objects: their masks are hatched and their boxes dashed.
        color_by: "instance" for a colour of each instance, "class" for one of each name.
        class_names: all that `names` are of, so that a class has the same colour in every image.
        colors: N colours (red, green, blue in 0..255) in place of those of `color_by`.
        box_colors: N colours of boxes and labels, where these are not those of the masks.
        labels: whether names and scores are written.
        font: path of a TrueType font; left out: of each label one that has its letters, if there is any.
        scale: how many times the image is enlarged, a whole number; small ones have no room for names.

    Returns:
        An RGB image, `scale` times the image's size.

    Raises:
        ValueError: lengths or sizes disagree, `color_by` is neither of the two, or `scale` is below 1.
    """
    canvas = _enlarged(displayable(image), scale)
    height, width = canvas.shape[:2]
    boxes = scale * np.asarray(boxes, np.float64).reshape(-1, 4)
    rows = {"names": names, "scores": scores, "masks": masks, "keypoints": keypoints, "crowd": crowd}
    _check_lengths(len(boxes), **rows, colors=colors, box_colors=box_colors)
    crowd = np.zeros(len(boxes), bool) if crowd is None else np.asarray(crowd, bool)
    colors = _colors(len(boxes), names, color_by, class_names) if colors is None else colors
    box_colors = colors if box_colors is None else box_colors
    line = max(1, round(max(height, width) / 700))
    order = _largest_first(boxes)
    if masks is not None:
        _paint_masks(canvas, masks, order, colors, crowd, line, scale)
    drawn = Image.fromarray(canvas)
    draw = ImageDraw.Draw(drawn)
    for index in order:
        _draw_box(draw, boxes[index], box_colors[index], line, (height, width), bool(crowd[index]))
    if keypoints is not None and len(keypoints):
        points = np.asarray(keypoints, np.float64)[order] * [scale, scale, 1]
        draw_keypoints(draw, points, keypoint_names, keypoint_threshold, [colors[i] for i in order], line)
    texts = _labels(names, scores, crowd) if labels else []
    draw_labels(draw, boxes, texts, box_colors, (height, width), font)
    return drawn


def _largest_first(boxes: np.ndarray) -> np.ndarray:
    """The order [N] in which small instances in front of large ones stay visible."""
    return np.argsort(-np.prod(boxes[:, 2:] - boxes[:, :2], axis=1), kind="stable")


def _check_lengths(count: int, **rows: Any) -> None:
    for argument, values in rows.items():
        if values is not None and len(values) != count:
            raise ValueError(f"draw_instances got {count} boxes but {len(values)} {argument}")


def displayable(image: Any) -> np.ndarray:
    """Return an image of any kind as a new array [H, W, 3] uint8.

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


def _colors(
    count: int, names: Sequence[str] | None, color_by: str, class_names: Sequence[str] | None
) -> list[Color]:
    if color_by not in ("instance", "class"):
        raise ValueError(f'color_by must be "instance" or "class"; got {color_by!r}')
    numbers = list(range(count))
    if color_by == "class" and names is not None:
        known = list(class_names or ())
        known += sorted(set(names) - set(known))
        numbers = [known.index(name) for name in names]
    return [PALETTE[number % len(PALETTE)] for number in numbers]


def _enlarged(pixels: np.ndarray, scale: int) -> np.ndarray:
    if scale < 1:
        raise ValueError(f"draw_instances' scale must be a whole number from 1; got {scale}")
    return pixels if scale == 1 else pixels.repeat(scale, axis=0).repeat(scale, axis=1)


def _paint_masks(
    canvas: np.ndarray,
    masks: Any,
    order: np.ndarray,
    colors: Sequence[Color],
    crowd: np.ndarray,
    line: int,
    scale: int,
) -> None:
    for index in order:
        _paint_mask(canvas, masks[index], colors[index], line, scale, bool(crowd[index]))


def _paint_mask(canvas: np.ndarray, mask: Any, color: Color, line: int, scale: int, hatched: bool) -> None:
    mask = rle_to_mask(mask) if isinstance(mask, dict) else np.asarray(mask, bool)
    image_size = canvas.shape[0] // scale, canvas.shape[1] // scale
    if mask.shape != image_size:
        raise ValueError(f"A mask of shape {mask.shape} does not fit its image, {image_size}")
    mask = _enlarged(mask, scale)
    rows, columns = mask.any(1).nonzero()[0], mask.any(0).nonzero()[0]
    if not rows.size:
        return
    window = slice(rows[0], rows[-1] + 1), slice(columns[0], columns[-1] + 1)
    mask, pixels = mask[window], canvas[window]
    inside = mask
    for _ in range(line):
        inside = _eroded(inside)
    outline = mask & ~inside
    if hatched:
        y, x = np.ogrid[: mask.shape[0], : mask.shape[1]]
        inside = inside & ((x + y) // (4 * line) % 2 == 0)
    tint = np.array(color, np.float32)
    pixels[inside] = np.rint((1 - MASK_OPACITY) * pixels[inside] + MASK_OPACITY * tint).astype(np.uint8)
    pixels[outline] = color


def _eroded(mask: np.ndarray) -> np.ndarray:
    """Take away the pixels that touch the outside with a side."""
    padded = np.pad(mask, 1)
    return mask & padded[:-2, 1:-1] & padded[2:, 1:-1] & padded[1:-1, :-2] & padded[1:-1, 2:]


def _draw_box(
    draw: ImageDraw.ImageDraw, box: np.ndarray, color: Color, line: int, size: tuple[int, int], dashed: bool
) -> None:
    height, width = size
    x1, y1, x2, y2 = np.nan_to_num(box)
    left, right = np.clip([np.floor(x1), np.ceil(x2) - 1], 0, width - 1)
    top, bottom = np.clip([np.floor(y1), np.ceil(y2) - 1], 0, height - 1)
    right, bottom = max(left, right), max(top, bottom)
    if not dashed:
        draw.rectangle((left, top, right, bottom), outline=color, width=line)
        return
    dash = 6 * line
    for x in np.arange(left, right + 1, 2 * dash):
        end = min(x + dash, right)
        draw.rectangle((x, top, end, min(top + line - 1, bottom)), fill=color)
        draw.rectangle((x, max(bottom - line + 1, top), end, bottom), fill=color)
    for y in np.arange(top, bottom + 1, 2 * dash):
        end = min(y + dash, bottom)
        draw.rectangle((left, y, min(left + line - 1, right), end), fill=color)
        draw.rectangle((max(right - line + 1, left), y, right, end), fill=color)


def _labels(names: Sequence[str] | None, scores: np.ndarray | None, crowd: np.ndarray) -> list[str]:
    if names is None and scores is None:
        return []
    parts = [["(crowd)"] if one else [] for one in crowd]
    if scores is not None:
        parts = [[f"{score:.2f}", *rest] for score, rest in zip(scores, parts, strict=True)]
    if names is not None:
        parts = [[name, *rest] for name, rest in zip(names, parts, strict=True)]
    return [" ".join(part) for part in parts]
