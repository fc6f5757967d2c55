"""The folder in which a long video is worked off: segments that are whole or not there, so that work can be resumed."""

import contextlib
import dataclasses
import json
import shutil
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np

from keras_maskrcnn.utils.files import write_text, written_whole
from keras_maskrcnn.video.encoding import Encoder
from keras_maskrcnn.video.reading import Frame

SEGMENT = 100
"""Frames of a segment: what is lost at most when the process is killed."""
SETTINGS = "settings.json"
Row = dict[str, Any]
"""A frame's line: "frame", its number; "time" in seconds; "objects", as COCO results; "damaged", if it is."""


@dataclasses.dataclass(frozen=True)
class Drawing:
    """How drawn frames are encoded; see `Encoder`."""

    time_base: Fraction
    rate: Fraction | None


class Work:
    """The work on one video.

    A segment is a file of lines (JSON), and one of drawn frames if there are drawings, which is written before: the
    lines say that both are there.

    Args:
        folder: of the work.
        drawing: how frames are encoded; None for no drawings.
    """

    def __init__(self, folder: Path, drawing: Drawing | None):
        self.folder, self.drawing = folder, drawing

    def begin(self, settings: dict[str, Any]) -> None:
        """Make the folder, for work with these settings."""
        self.folder.mkdir(parents=True, exist_ok=True)
        write_text(self.folder / SETTINGS, json.dumps(settings, indent=1))

    def differences(self, settings: dict[str, Any]) -> list[str]:
        """Return how other settings differ from those of the work that is there: sentences for messages.

        Raises:
            ValueError: the folder holds no settings.
        """
        try:
            known = json.loads((self.folder / SETTINGS).read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            raise ValueError(f"{self.folder}: this is no unfinished work on a video: {error}") from None
        given = json.loads(json.dumps(settings))
        names = [name for name in {**known, **given} if known.get(name) != given.get(name)]
        return [f"{name} was {known.get(name)!s:.80}, and is {given.get(name)!s:.80}" for name in names]

    @property
    def segments(self) -> list[Path]:
        """The files of lines, in order."""
        found: list[Path] = []
        while (path := self._lines(len(found))).exists():
            found.append(path)
        return found

    def rows(self) -> Iterator[Row]:
        """Yield the lines of all segments."""
        for path in self.segments:
            with path.open(encoding="utf-8") as file:
                yield from map(json.loads, file)

    def pictures(self) -> list[tuple[Path, list[int]]]:
        """Return the files of drawn frames, each with the ticks of its frames."""
        assert self.drawing is not None
        base = self.drawing.time_base
        found = []
        for number, path in enumerate(self.segments):
            times = [json.loads(line)["time"] for line in path.read_text(encoding="utf-8").splitlines()]
            found.append((self._drawn(number), [round(Fraction(time) / base) for time in times]))
        return found

    def segment(self) -> "Segment":
        """Return the next segment, to be filled."""
        number = len(self.segments)
        return Segment(self._lines(number), self._drawn(number), self.drawing)

    def remove(self) -> None:
        """Remove the folder with all that is in it."""
        shutil.rmtree(self.folder)

    def _lines(self, number: int) -> Path:
        return self.folder / f"{number:06d}.jsonl"

    def _drawn(self, number: int) -> Path:
        return self.folder / f"{number:06d}.mp4"


class Segment:
    """Some frames of a video that are being written, in a `with` block; they count when it ends without an error."""

    def __init__(self, lines: Path, drawn: Path, drawing: Drawing | None):
        self._lines, self._drawn, self._drawing = lines, drawn, drawing
        self._rows: list[str] = []
        self._files = contextlib.ExitStack()
        self._encoder: Encoder | None = None

    def __len__(self) -> int:
        return len(self._rows)

    def add(self, frame: Frame, row: Row, image: np.ndarray | None) -> None:
        """Add a frame, its line, and what was drawn on it `[H, W, 3]` if there are drawings."""
        if image is not None and self._drawing is not None:
            if self._encoder is None:
                part = self._files.enter_context(written_whole(self._drawn))
                encoder = Encoder(part, self._drawing.time_base, self._drawing.rate, frame.pixel_aspect)
                self._encoder = self._files.enter_context(contextlib.closing(encoder))
            self._encoder.add(image, frame.ticks, f"frame {frame.number}")
        self._rows.append(json.dumps(row))

    def __enter__(self) -> "Segment":
        return self

    def __exit__(self, kind: Any, error: Any, trace: Any) -> None:
        self._files.__exit__(kind, error, trace)
        if kind is None and self._rows:
            write_text(self._lines, "".join(f"{row}\n" for row in self._rows))
