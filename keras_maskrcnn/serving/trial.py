"""A model tried on one image file: what it finds there, drawn, listed and written. The page around it is `page.py`."""

from __future__ import annotations

import dataclasses
import json
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from keras_maskrcnn.detections.detections import Detections
from keras_maskrcnn.drawing.choices import BOXES, LABELS
from keras_maskrcnn.images.io import image_size, read_with_doubts
from keras_maskrcnn.images.label_files import save_label_image
from keras_maskrcnn.masks.rle import rle_areas
from keras_maskrcnn.runtime.model import ExportedModel
from keras_maskrcnn.serving.requests import Limits, RefusedError
from keras_maskrcnn.utils.files import write_text, written_whole

if TYPE_CHECKING:
    from keras_maskrcnn.models.mask_rcnn import MaskRCNN

COLUMNS = ("class", "score", "area", "x1", "y1", "x2", "y2")
"""Of `table`; of a model with masks also LABEL."""
LABEL = "label"
"""The column with an object's number in the label image."""


@dataclasses.dataclass(frozen=True)
class Found:
    """What a model has found in one image file."""

    detections: Detections
    """With RLEs for masks, and the image."""
    name: str
    """The image file's."""
    seconds: float
    """From the file to the detections."""
    notes: tuple[str, ...]
    """What may be odd about the image, a sentence without a subject each."""
    best_score: float | None
    """The highest score, where none is above the threshold; None where one is, and where there is none at all."""


@dataclasses.dataclass(frozen=True)
class Drawing:
    """How detections are drawn, in the command line's words."""

    labels: str = "auto"
    boxes: str = "auto"
    color_by: str = "auto"
    outlines: bool = False

    def options(self) -> dict[str, Any]:
        """Return `Detections.draw`'s arguments."""
        return {
            "labels": LABELS[self.labels],
            "show_boxes": BOXES[self.boxes],
            "color_by": self.color_by,
            "fill": not self.outlines,
        }


def least_threshold(model: MaskRCNN | ExportedModel) -> float:
    """Return the lowest score threshold that can be asked for: an artefact has left out what scores less."""
    return model.config.score_threshold if isinstance(model, ExportedModel) else 0.0


def find(
    model: MaskRCNN | ExportedModel,
    path: Path,
    limits: Limits,
    score_threshold: float | None,
    max_detections: int | None,
) -> Found:
    """Detect in an image file, which is read as `maskrcnn predict` reads it.

    Args:
        model: the model, or an artefact.
        path: the image file.
        limits: of the image.
        score_threshold, max_detections: as in `MaskRCNN.detect`.

    Raises:
        RefusedError: the file is no image that can be read, has too many pixels, or an argument is out of range. The
            reason has the file's name, without its folder.
    """
    try:
        height, width = image_size(path)
        if height * width > limits.pixels:
            raise RefusedError(
                413, f"{path.name}: the image has {width} x {height} pixels, more than {limits.pixels}"
            )
        notes = _notes(model, path)
        start = time.perf_counter()
        (detections,) = model.detect(
            [path], score_threshold=score_threshold, max_detections=max_detections, masks="rle"
        )
        seconds = time.perf_counter() - start
    except (ValueError, OSError) as error:
        raise RefusedError(400, str(error).replace(str(path), path.name)) from error
    best = None if len(detections) else _best_score(model, path)
    return Found(detections, path.name, seconds, notes, best)


def _notes(model: MaskRCNN | ExportedModel, path: Path) -> tuple[str, ...]:
    percentiles = model.config.intensity_percentiles
    _, doubts = read_with_doubts(path, model.config.channels, any_range=bool(percentiles))
    dark = None if percentiles else doubts.bright.doubt_of_one
    return tuple(note for note in (doubts.pages, dark, doubts.alpha) if note is not None)


def _best_score(model: MaskRCNN | ExportedModel, path: Path) -> float | None:
    (best,) = model.detect([path], score_threshold=least_threshold(model), max_detections=1, masks=None)
    return float(best.scores[0]) if len(best) else None


def table(found: Found) -> list[list[Any]]:
    """Return a row for each object, best first, with COLUMNS, and LABEL where there are masks.

    Boxes are in pixels to a tenth, an area is the mask's pixels, or where there are no masks the box's. What better
    objects cover wholly has no label, "".
    """
    detections = found.detections
    x1, y1, x2, y2 = detections.boxes.T
    masks = detections.masks
    areas = rle_areas(masks) if isinstance(masks, list) else (x2 - x1) * (y2 - y1)
    labels = _labels(detections)
    rows = []
    for row, name in enumerate(detections.class_names):
        box = [round(float(value), 1) for value in detections.boxes[row]]
        line: list[Any] = [name, round(float(detections.scores[row]), 3), round(float(areas[row])), *box]
        rows.append(line if labels is None else [*line, labels.get(row, "")])
    return rows


def write_drawing(found: Found, drawing: Drawing, folder: Path) -> Path:
    """Write the image with its detections as PNG; return its path."""
    path = folder / f"{Path(found.name).stem}_detections.png"
    with written_whole(path) as part:
        found.detections.draw(min_score=0, **drawing.options()).save(part)
    return path


def write_coco(found: Found, folder: Path) -> Path:
    """Write COCO results with file and class names, as `maskrcnn predict` does for one image; return their path."""
    rows = found.detections.to_coco(image_id=1)
    labels = _labels(found.detections)
    for index, (row, class_name) in enumerate(zip(rows, found.detections.class_names, strict=True)):
        row.update(file_name=found.name, category_name=class_name)
        if labels is not None:
            row[LABEL] = labels.get(index)
    path = folder / f"{Path(found.name).stem}_detections.json"
    write_text(path, json.dumps(rows))
    return path


def write_labels(found: Found, folder: Path) -> Path | None:
    """Write the label image as TIFF; return its path, or None where there are no masks."""
    if found.detections.masks is None:
        return None
    path = folder / f"{Path(found.name).stem}_labels.tif"
    save_label_image(found.detections.to_label_image(min_score=0), path)
    return path


def _labels(detections: Detections) -> dict[int, int] | None:
    """The number in the label image of each row that has one; None without masks."""
    if detections.masks is None:
        return None
    return {row: number for number, row in enumerate(detections.label_rows(min_score=0).tolist(), 1)}
