"""Legends: what is on an image, by class, where there is no room for a label at each object."""

import collections
import dataclasses
from collections.abc import Sequence
from typing import Any

import numpy as np
from PIL import Image, ImageDraw

from keras_maskrcnn.drawing.colors import Color
from keras_maskrcnn.drawing.fonts import text_font
from keras_maskrcnn.drawing.room import Place, Room
from keras_maskrcnn.utils.counted import counted

Entry = tuple[str, Sequence[int]]
"""A line of a legend, and the instances of the class that it is about."""
OPACITY = 0.6
ALONG_EDGE = 17
"""Places that are tried along each edge of the image."""


def legend_entries(names: Sequence[str] | None, scores: np.ndarray | None, crowd: np.ndarray) -> list[Entry]:
    """Return a line for each class, those of most objects first: its name, count and range of scores."""
    groups: dict[tuple[str, bool], list[int]] = collections.defaultdict(list)
    for row, region in enumerate(crowd):
        groups["" if names is None else names[row], bool(region)].append(row)
    entries: list[Entry] = []
    for (name, region), rows in sorted(groups.items(), key=lambda group: -len(group[1])):
        text = (f"{name}: " if name else "") + counted(len(rows), "crowd" if region else "object")
        if scores is not None:
            low, high = (f"{pick(scores[row] for row in rows):.2f}" for pick in (min, max))
            text += f", score {low}" if low == high else f", scores {low} to {high}"
        entries.append((text, rows))
    return entries or [("no objects", ())]


@dataclasses.dataclass(frozen=True)
class Legend:
    """Lines of text laid out to fit a width, to be drawn on an image."""

    lines: list[tuple[Entry, Any]]
    """Each with its font."""
    width: int
    height: int
    line: int
    """Height of a line in pixels."""
    margin: int
    indent: int
    """Where text starts, in pixels from the left; the colours of classes are before it."""

    def draw(
        self, image: Image.Image, place: Place, colors: Sequence[Color], opacity: float = OPACITY
    ) -> None:
        """Draw the legend at a place of an image, on a black that what lies below shines through.

        A class has a colour if it is one of several and all its instances are of this one.
        """
        left, top, right, bottom = place
        black = Image.new("RGB", (right - left, bottom - top))
        image.paste(Image.blend(image.crop(place), black, opacity), (left, top))
        draw = ImageDraw.Draw(image)
        for number, ((text, rows), font) in enumerate(self.lines):
            y = top + self.margin // 2 + number * self.line
            shared = {tuple(colors[row]) for row in rows}
            if len(shared) == 1 and self.indent > self.margin:
                x, middle, side = left + self.margin, y + self.line // 2, self.line // 2
                draw.rectangle(
                    (x, middle - side // 2, x + side, middle - side // 2 + side), fill=shared.pop()
                )
            draw.text((left + self.indent, y), text, fill="white", font=font)

    def place(self, room: Room) -> Place:
        """Return the place along the edges of an image where the legend hides least, at a corner if possible."""
        right, bottom = max(0, room.width - self.width), max(0, room.height - self.height)
        corners = [(0, 0), (right, 0), (0, bottom), (right, bottom)]
        along = np.linspace(0, 1, ALONG_EDGE)
        edges = [(int(part * right), y) for part in along for y in (0, bottom)]
        edges += [(x, int(part * bottom)) for part in along for x in (0, right)]
        starts = np.array(corners + edges)
        ends = np.minimum(starts + [self.width, self.height], [room.width, room.height])
        places = np.concatenate([starts, ends], axis=1)  # [P, 4]
        x1, y1, x2, y2 = places[room.hidden(places).argmin()].tolist()
        return x1, y1, x2, y2


def make_legend(
    entries: Sequence[Entry],
    size: tuple[int, int],
    font: str | None,
    shrink: float = 1.0,
    widest: int | None = None,
) -> Legend:
    """Lay out a legend for an image; lines that are too wide are broken between words.

    Args:
        size: (height, width) of the image in pixels.
        font: path of a TrueType font, or None.
        shrink: of the text, as `text_font` takes it.
        widest: of the legend in pixels; left out: the image's width.
    """
    fonts = [text_font(text, *size, font, shrink) for text, _ in entries]
    line = max(sum(own.getmetrics()) for own in fonts)
    margin = max(2, line // 4)
    indent = margin + (line if sum(len(rows) > 0 for _, rows in entries) > 1 else 0)
    lines: list[tuple[Entry, Any]] = []
    for (text, rows), own in zip(entries, fonts, strict=True):
        for number, part in enumerate(
            _broken(text, own, (size[1] if widest is None else widest) - indent - margin)
        ):
            lines.append(((part, () if number else rows), own))
    longest = max(own.getlength(text) for (text, _), own in lines)
    width, height = int(longest) + 1 + indent + margin, len(lines) * line + 2 * (margin // 2)
    return Legend(lines, width, height, line, margin, indent)


def shortened(entries: Sequence[Entry], count: int) -> Sequence[Entry]:
    """Return the first entries if they are more than `count`, with one at the end that says how many are left out."""
    if len(entries) <= count:
        return entries
    kept = max(0, count - 1)
    return [*entries[:kept], (f"and {len(entries) - kept} more", ())]


def _broken(text: str, font: Any, width: float) -> list[str]:
    """A text in lines of at most this width, as far as its words are not wider."""
    lines = [""]
    for word in text.split(" "):
        longer = f"{lines[-1]} {word}".strip()
        if not lines[-1] or font.getlength(longer) <= width:
            lines[-1] = longer
        else:
            lines.append(word)
    return lines
