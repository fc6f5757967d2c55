"""Labels at objects, where they hide nothing; and where there is no room for them, a legend."""

import dataclasses
import itertools
from collections.abc import Sequence
from typing import Any

import numpy as np
from PIL import Image, ImageDraw

from keras_maskrcnn.drawing.colors import Color
from keras_maskrcnn.drawing.fonts import text_font
from keras_maskrcnn.drawing.legend import Entry, Legend, make_legend, shortened
from keras_maskrcnn.drawing.room import Place, Room, places_beside

CHOICES = ("auto", True, False, "legend", "strip")
FEW = 12
"""So many labels are always written."""
MOST_HIDDEN = 0.05
"""What a label of many may hide: of objects, the sum of the fractions of their areas."""
SMALLER = 0.7
"""Size of the text of many labels that find no room in full size, of that."""
WORTH = 0.75
"""If less than this fraction of the labels finds room, none is written."""
LEGEND_AREA = 0.25
"""A legend that was not asked for takes at most this fraction of the image."""
LEGEND_HIDES = 0.02
"""And of the objects it hides at most this fraction, or half of one."""
NARROWER = (1.0, 0.6, 0.35)
"""Widths that are tried for a legend, as fractions of the image's."""


@dataclasses.dataclass(frozen=True)
class Written:
    """What is written on an image of instances: labels, each with its instance's row, font and place, and a legend."""

    labels: Sequence[tuple[str, int, Any, Place]] = ()
    legend: Legend | None = None
    place: Place | None = None
    """Of the legend; None for a strip below the image."""
    in_place_of_labels: bool = False

    def on(self, image: Image.Image, colors: Sequence[Color]) -> Image.Image:
        """Write on an image with N colours of instances; return it, or for a strip a new one."""
        draw = ImageDraw.Draw(image)
        # The first have the highest scores, and are on top where labels overlap.
        for text, row, font, (left, top, right, bottom) in reversed(self.labels):
            color = colors[row]
            draw.rectangle((left, top, right - 1, bottom - 1), fill=color)
            bright = 0.299 * color[0] + 0.587 * color[1] + 0.114 * color[2] > 140
            draw.text((left + _margin(font), top), text, fill="black" if bright else "white", font=font)
        if self.legend is None:
            return image
        if self.place is not None:
            self.legend.draw(image, self.place, colors)
            return image
        page = Image.new("RGB", (image.width, image.height + self.legend.height))
        page.paste(image)
        self.legend.draw(page, (0, image.height, *page.size), colors, opacity=1.0)
        return page


@dataclasses.dataclass(frozen=True)
class Labels:
    """The labels of instances, for which `written` finds room; `draw_instances` says what the choices are."""

    boxes: np.ndarray
    """[N, 4] in pixels, the most important first: they choose their places first."""
    texts: Sequence[str]
    """N of them, or none."""
    entries: Sequence[Entry]
    """Of the legend."""
    font: str | None

    def written(self, room: Room, choice: bool | str) -> Written:
        """Return what to write on an image, by `labels=`."""
        size = room.height, room.width
        if choice == "strip":
            return Written(legend=make_legend(self.entries, size, self.font), in_place_of_labels=True)
        if choice == "legend":
            return self._legend_alone(room, asked_for=True)
        if not choice or not self.texts:
            return Written()
        return self._what_fits(room) if choice == "auto" else Written(self._placed(room))

    def _what_fits(self, room: Room) -> Written:
        count = len(self.texts)
        for shrink in (1.0, SMALLER):
            labels = self._placed(room, shrink, MOST_HIDDEN)
            if len(labels) == count:
                return Written(labels)
        if count <= FEW:
            return Written(self._placed(room))
        longest, place = self._legend(room, [_left_out(count, count)], shrinks=[SMALLER])
        labels = self._placed(room, SMALLER, MOST_HIDDEN, [place])
        if len(labels) < WORTH * count:
            return self._legend_alone(room)
        more = [_left_out(count - len(labels), count)]
        legend = self._legend_of_width(room, more, SMALLER, LEGEND_AREA, longest.width)
        return Written(labels, legend if self._is_unobtrusive(place, room) else None, place)

    def _legend_alone(self, room: Room, asked_for: bool = False) -> Written:
        legend, place = self._legend(room, most=1.0 if asked_for else LEGEND_AREA)
        shown = asked_for or self._is_unobtrusive(place, room)
        return Written((), legend if shown else None, place, in_place_of_labels=True)

    def _legend(
        self,
        room: Room,
        more: Sequence[Entry] = (),
        shrinks: Sequence[float] = (1.0, SMALLER),
        most: float = LEGEND_AREA,
    ) -> tuple[Legend, Place]:
        """The first legend that hides next to nothing, or the one that hides least, and its place."""
        choices: list[tuple[float, int, Legend, Place]] = []
        for shrink, part in itertools.product(shrinks, NARROWER):
            legend = self._legend_of_width(room, more, shrink, most, int(part * room.width))
            place = legend.place(room)
            choices.append((float(room.hidden(np.array(place))), len(choices), legend, place))
            if choices[-1][0] <= MOST_HIDDEN:
                break
        return min(choices)[2:]

    def _legend_of_width(
        self, room: Room, more: Sequence[Entry], shrink: float, most: float, width: int
    ) -> Legend:
        """A legend of at most this fraction of the image, if that is enough for a line and `more`."""
        size = room.height, room.width
        whole = make_legend([*self.entries, *more], size, self.font, shrink, width)
        fitting = int(most * room.height * room.width / whole.width) // whole.line - 1
        kept = shortened(self.entries, max(1, min(fitting, room.height // whole.line - 1) - len(more)))
        return make_legend([*kept, *more], size, self.font, shrink, width)

    def _is_unobtrusive(self, place: Place, room: Room) -> bool:
        """Whether a legend there, which nobody asked for, leaves the image to its objects."""
        area = (place[2] - place[0]) * (place[3] - place[1]) / (room.width * room.height)
        hidden = float(room.hidden(np.array(place)))
        return area <= LEGEND_AREA and hidden <= max(0.5, LEGEND_HIDES * len(self.boxes))

    def _placed(
        self, room: Room, shrink: float = 1.0, most_hidden: float = np.inf, reserved: Sequence[Place] = ()
    ) -> list[tuple[str, int, Any, Place]]:
        """The labels that have a place, at a size of text."""
        fonts = [text_font(text, room.height, room.width, self.font, shrink) for text in self.texts]
        sizes = [_size(text, font) for text, font in zip(self.texts, fonts, strict=True)]
        places = places_beside(room, self.boxes, np.array(sizes), most_hidden, reserved)
        rows = enumerate(zip(self.texts, fonts, places, strict=True))
        return [(text, row, font, place) for row, (text, font, place) in rows if place is not None]


def _left_out(count: int, total: int) -> Entry:
    return f"no room for {count} of {total} labels", ()


def _margin(font: Any) -> int:
    return max(1, font.getmetrics()[0] // 6)


def _size(text: str, font: Any) -> tuple[int, int]:
    return int(font.getlength(text)) + 2 * _margin(font) + 1, sum(font.getmetrics())
