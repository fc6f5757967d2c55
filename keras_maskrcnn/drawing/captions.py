"""Text on images: labels that leave each other room, and captions over images side by side."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from PIL import Image, ImageDraw

from keras_maskrcnn.drawing.fonts import text_font

Color = tuple[int, int, int]
Rectangle = tuple[float, float, float, float]


def draw_labels(
    draw: ImageDraw.ImageDraw,
    boxes: np.ndarray,
    labels: Sequence[str],
    colors: Sequence[Color],
    size: tuple[int, int],
    font: str | None = None,
) -> None:
    """Write labels at boxes `[N, 4]`, on their colours, where they cover least of each other.

    Args:
        draw: what is drawn on.
        boxes: x1, y1, x2, y2 in pixels, the most important first.
        labels: N texts.
        colors: N colours.
        size: (height, width) in pixels.
        font: path of a TrueType font; left out: of each label one that has its letters.
    """
    taken: list[Rectangle] = []
    fonts = [text_font(label, *size, font) for label in labels]
    # The first detections have the highest scores: they choose their places first and are drawn on top.
    for label, box, own in zip(labels, boxes, fonts, strict=False):
        text_size = draw.textlength(label, own) + 2 * _margin(own), sum(own.getmetrics())
        taken.append(_free_place(np.nan_to_num(box), text_size, size, taken))
    for label, place, color, own in reversed(list(zip(labels, taken, colors, fonts, strict=False))):
        draw.rectangle(place, fill=color)
        bright = 0.299 * color[0] + 0.587 * color[1] + 0.114 * color[2] > 140
        draw.text((place[0] + _margin(own), place[1]), label, fill="black" if bright else "white", font=own)


def _margin(font: Any) -> int:
    return max(1, font.getmetrics()[0] // 6)


def _free_place(
    box: np.ndarray, text_size: tuple[float, float], size: tuple[int, int], taken: list[Rectangle]
) -> Rectangle:
    """The place at a box, within the image, that covers least of the labels placed before."""
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


def side_by_side(
    images: Sequence[Image.Image], captions: Sequence[str], title: str | None = None
) -> Image.Image:
    """Put images next to each other on white, each under its caption and all under a title.

    A caption that is wider than its image ends in dots; of a title that is, the end is kept, where a path has its
    file name.

    Raises:
        ValueError: there is no image, or not one caption for each.
    """
    if not images or len(images) != len(captions):
        raise ValueError(f"side_by_side got {len(images)} images and {len(captions)} captions")
    height, width = max(one.height for one in images), max(one.width for one in images)
    fonts = [text_font(text, height, width) for text in captions]
    title_font = text_font(title or "", height, width)
    line = max(sum(font.getmetrics()) + max(2, font.getmetrics()[0] // 3) for font in (*fonts, title_font))
    gap = max(4, width // 100)
    head = line * (2 if title else 1)
    total = sum(one.width for one in images) + gap * (len(images) - 1)
    page = Image.new("RGB", (total, head + height), "white")
    draw = ImageDraw.Draw(page)
    if title:
        text = _shortened(title, draw, title_font, total - 2 * gap, keep_end=True)
        draw.text((gap, 0), text, fill="black", font=title_font)
    left = 0
    for image, caption, font in zip(images, captions, fonts, strict=True):
        text = _shortened(caption, draw, font, image.width - 2 * gap)
        draw.text((left + gap, head - line), text, fill="black", font=font)
        page.paste(image, (left, head))
        left += image.width + gap
    return page


def _shortened(text: str, draw: ImageDraw.ImageDraw, font: Any, width: float, keep_end: bool = False) -> str:
    """Return as much of a text as fits into so many pixels."""
    if draw.textlength(text, font) <= width:
        return text
    while text and draw.textlength(text + "...", font) > width:
        text = text[1:] if keep_end else text[:-1]
    return "..." + text if keep_end else text + "..."
