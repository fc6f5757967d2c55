"""Fonts that have the letters of what is written on images."""

import functools
import os
import warnings
from typing import Any

from PIL import ImageFont

SMALLEST = 8
"""Points of the smallest text that is written."""


def text_font(text: str, height: int, width: int, path: str | None = None, shrink: float = 1.0) -> Any:
    """Return a font that has the letters of a text, readable on an image of this size in pixels.

    Text in ASCII is in Pillow's own font. Other text is in DejaVu Sans, which comes with matplotlib (Latin, Greek,
    Cyrillic and more), or else in the first of the system's fonts that has all letters. Where there is none a warning
    says which letters will be empty boxes.

    Args:
        path: of a TrueType file, to use instead.
        shrink: below 1 the text is smaller by this factor, down to 8 points.
    """
    points = max(SMALLEST, round(shrink * max(10, round(max(height, width) / 55))))
    if path is None and text.isascii():
        return _default_font(points)
    if path is None:
        path, lacking = _font_with(_letters(text))
        _warn(lacking, "no font was found that has")
    elif not text.isascii():
        _warn(_lacking(path, _letters(text)), f"the font {path} lacks")
    return _font_of(path, points)


@functools.lru_cache(maxsize=64)
def _default_font(points: int) -> Any:
    return ImageFont.load_default(points)


@functools.lru_cache(maxsize=64)
def _font_of(path: str, points: int) -> Any:
    return ImageFont.truetype(path, points)


def _letters(text: str) -> frozenset[str]:
    return frozenset(letter for letter in text if letter.isprintable() and not letter.isspace())


def _warn(lacking: frozenset[str], what: str) -> None:
    if lacking:
        listed = " ".join(sorted(lacking)[:20])
        warnings.warn(
            f"{what} the letters {listed}, which are drawn as empty boxes; a font for them can be installed (such as "
            "Noto Sans CJK), or given as font=",
            stacklevel=3,
        )


@functools.lru_cache(maxsize=1024)
def _font_with(letters: frozenset[str]) -> tuple[str, frozenset[str]]:
    """The file of the first font that has all letters, and nothing; or of DejaVu Sans and the letters it lacks."""
    # Here, because it takes long to import, and most names need none of it.
    import matplotlib

    usual = os.path.join(matplotlib.get_data_path(), "fonts", "ttf", "DejaVuSans.ttf")
    lacking = _lacking(usual, letters)
    if lacking:
        from matplotlib import font_manager

        for path in sorted(font_manager.findSystemFonts()):
            if not _lacking(path, letters):
                return path, frozenset()
    return usual, lacking


def _lacking(path: str, letters: frozenset[str]) -> frozenset[str]:
    """The letters that a font file lacks; all if it cannot be read."""
    from matplotlib.ft2font import FT2Font

    try:
        font = FT2Font(path)
    except (RuntimeError, OSError):  # a bitmap font, or one that is broken
        return letters
    return frozenset(letter for letter in letters if not font.get_char_index(ord(letter)))
