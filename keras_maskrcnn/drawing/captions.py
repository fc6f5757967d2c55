"""Captions over images side by side."""

from collections.abc import Sequence
from typing import Any

from PIL import Image, ImageDraw

from keras_maskrcnn.drawing.fonts import text_font


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
