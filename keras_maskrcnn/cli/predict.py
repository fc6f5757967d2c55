"""`maskrcnn predict`: images in, images with their detections drawn and COCO results out."""

import argparse
import collections
import contextlib
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import keras

from keras_maskrcnn.cli.common import open_model
from keras_maskrcnn.cli.drawing import drawing_options
from keras_maskrcnn.cli.evaluate_parser import tiling
from keras_maskrcnn.cli.progress import in_terminal
from keras_maskrcnn.detections.detections import Detections
from keras_maskrcnn.models.mask_rcnn import MaskRCNN
from keras_maskrcnn.utils.counted import counted
from keras_maskrcnn.utils.display import message, printable
from keras_maskrcnn.utils.files import write_text, written_whole


def run(args: argparse.Namespace) -> int:
    """Detect in each image, write the detections, and return the exit code: 1 if an image could not be read."""
    options = drawing_options(args)
    model = open_model(args.model)
    args.output.mkdir(parents=True, exist_ok=True)
    drawings = [None] * len(args.images) if args.no_drawings else drawing_names(args.images)
    bar = keras.utils.Progbar(len(args.images), unit_name="image") if in_terminal() else None
    results: list[dict[str, Any]] = []
    failures: list[str] = []
    try:
        for number, (path, drawing) in enumerate(zip(args.images, drawings, strict=True), start=1):
            try:
                detections = _detect(model, path, args)
            except (ValueError, OSError) as error:
                failures.append(str(error))
            else:
                if drawing is not None:
                    with written_whole(args.output / drawing) as part:
                        detections.draw(min_score=0, **options).save(part)
                results.extend(_rows(detections, number, path, drawing))
            if bar is not None:
                bar.update(number)
    finally:
        # Whatever ends the work, a full disk or Ctrl-C: the detections so far are kept.
        write_text(args.output / "detections.json", json.dumps(results))
    print(_summary(results, len(args.images) - len(failures), args.output, not args.no_drawings))
    if not results and len(failures) < len(args.images):
        print(_best_score(model, args))
    for failure in failures:
        print(f"maskrcnn: error: {message(failure)}", file=sys.stderr)
    if failures:
        print(f"{len(failures)} of {counted(len(args.images), 'image')} could not be read", file=sys.stderr)
    return 1 if failures else 0


def drawing_names(paths: Sequence[Path]) -> list[str]:
    """Return a file name NAME.png for each image; where several have the same NAME, a number makes them differ."""
    taken: set[str] = set()
    stems = collections.Counter(path.stem.lower() for path in paths)
    names = []
    for path in paths:
        name, number = path.stem, 1
        # Lower case, because some file systems do not tell the cases apart; a number must not hit another image's name.
        while name.lower() in taken or (number > 1 and name.lower() in stems):
            number += 1
            name = f"{path.stem}_{number}"
        taken.add(name.lower())
        names.append(f"{name}.png")
    return names


def _detect(model: MaskRCNN, path: Path, args: argparse.Namespace) -> Detections:
    limits = {"score_threshold": args.score_threshold, "max_detections": args.max_detections}
    (detections,) = model.detect([path], **limits, masks="rle", **tiling(args))
    return detections


def _best_score(model: MaskRCNN, args: argparse.Namespace) -> str:
    """The highest score in the first readable image, which tells a threshold too high from a model untrained."""
    for path in args.images:
        with contextlib.suppress(ValueError, OSError):
            (detections,) = model.detect([path], score_threshold=0.0, max_detections=1, masks=None)
            best = f"{detections.scores[0]:.3f}" if len(detections.scores) else "none at all"
            return f"No score is above {args.score_threshold:g}; the highest in {path}: {best} (--score-threshold)"
    return ""


def _rows(detections: Detections, image_id: int, path: Path, drawing: str | None) -> list[dict[str, Any]]:
    """COCO results, and with each the names of the image file, of the drawing and of the class."""
    rows = detections.to_coco(image_id)
    for row, name in zip(rows, detections.class_names, strict=True):
        row.update(file_name=str(path), category_name=name)
        if drawing is not None:
            row["drawing"] = drawing
    return rows


def _summary(results: list[dict[str, Any]], images: int, output: Path, drawn: bool) -> str:
    counts = collections.Counter(row["category_name"] for row in results)
    listed = ", ".join(f"{count} {name}" for name, count in counts.most_common(10))
    listed += ", ..." if len(counts) > 10 else ""
    written = f"{output / 'detections.json'}" + (f" and {counted(images, 'drawn image')}" if drawn else "")
    listed = printable(listed)
    total = f"{counted(len(results), 'object')} in {counted(images, 'image')}"
    return f"{total}{f' ({listed})' if listed else ''}\nWritten: {written}"
