"""The tables of a video: counts per class and frame, and the tracks."""

import collections
import csv
import dataclasses
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from keras_maskrcnn.masks.rle import rle_area
from keras_maskrcnn.utils.counted import counted
from keras_maskrcnn.utils.display import printable, spreadsheet_cell
from keras_maskrcnn.utils.files import written_whole
from keras_maskrcnn.video.work import Row

Rows = Callable[[], Iterable[Row]]
"""Returns the lines of a video anew, which may be too many for memory."""
TRACK_COLUMNS = ("track_id", "class", "frame", "time", "x1", "y1", "x2", "y2", "score", "area")


@dataclasses.dataclass
class Totals:
    """What was found in a whole video."""

    frames: int
    objects: collections.Counter[str]
    """By class."""
    tracks: collections.Counter[str]
    """By the class that most of its objects are of; empty without a tracker."""
    untracked: int
    """Objects without a track."""

    def __str__(self) -> str:
        text = f"{counted(self.objects.total(), 'object')} in {counted(self.frames, 'frame')}{_listed(self.objects)}"
        if self.tracks:
            text += f", {counted(self.tracks.total(), 'track')}{_listed(self.tracks)}"
        return text


def _listed(counts: collections.Counter[str]) -> str:
    names = ", ".join(f"{count} {printable(name)}" for name, count in counts.most_common(10))
    return f" ({names}{', ...' if len(counts) > 10 else ''})" if names else ""


def totals(rows: Iterable[Row]) -> Totals:
    """Count objects and tracks of all frames."""
    objects: collections.Counter[str] = collections.Counter()
    classes: dict[int, collections.Counter[str]] = collections.defaultdict(collections.Counter)
    frames = untracked = 0
    for row in rows:
        frames += 1
        for found in row["objects"]:
            objects[found["category_name"]] += 1
            if "track_id" in found:
                classes[found["track_id"]][found["category_name"]] += 1
            else:
                untracked += 1
    tracks = collections.Counter(names.most_common(1)[0][0] for names in classes.values())
    return Totals(frames, objects, tracks, untracked)


def write_counts(path: Path, rows: Rows, class_names: Iterable[str]) -> None:
    """Write a CSV with a line for each frame: its number and time, and how many of each class are in it."""
    names = list(class_names)
    header = ["frame", "time", *map(spreadsheet_cell, names)]
    counts = (collections.Counter(found["category_name"] for found in row["objects"]) for row in rows())
    lines = (
        [row["frame"], row["time"], *(count[name] for name in names)]
        for row, count in zip(rows(), counts, strict=True)
    )
    _write(path, header, lines)


def write_tracks(path: Path, rows: Rows) -> None:
    """Write a CSV with a line for each object of each frame; TRACK_COLUMNS says what is in it.

    Boxes and areas are in pixels, an area that of the mask, or of the box where there are no masks; an object without
    a track has no track_id.
    """
    _write(path, TRACK_COLUMNS, (_track(row, found) for row in rows() for found in row["objects"]))


def _track(row: Row, found: dict[str, Any]) -> list[Any]:
    x, y, width, height = found["bbox"]
    area = rle_area(found["segmentation"]) if "segmentation" in found else width * height
    name = spreadsheet_cell(found["category_name"])
    box = (x, y, x + width, y + height)
    return [found.get("track_id", ""), name, row["frame"], row["time"], *box, found["score"], area]


def _write(path: Path, header: Iterable[str], lines: Iterable[Iterable[Any]]) -> None:
    with written_whole(path) as part, part.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(header)
        writer.writerows(lines)
