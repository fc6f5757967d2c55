"""`maskrcnn predict`: pictures in, pictures with the objects drawn and COCO results out."""

import argparse
import collections
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import keras

from keras_maskrcnn.cli.evaluate_parser import tiling
from keras_maskrcnn.cli.model_file import open_model
from keras_maskrcnn.cli.progress import in_terminal
from keras_maskrcnn.detections.detections import Detections
from keras_maskrcnn.images.io import read_image
from keras_maskrcnn.models.mask_rcnn import MaskRCNN


def run(args: argparse.Namespace) -> int:
    """Detect in each image, write what is found, and return the exit code: 1 if an image could not be read."""
    model = open_model(args.model)
    args.output.mkdir(parents=True, exist_ok=True)
    pictures = [None] * len(args.images) if args.no_pictures else picture_names(args.images)
    bar = keras.utils.Progbar(len(args.images), unit_name="image") if in_terminal() else None
    results: list[dict[str, Any]] = []
    failures: list[str] = []
    try:
        for number, (path, picture) in enumerate(zip(args.images, pictures, strict=True), start=1):
            try:
                found = _detect(model, path, args)
            except (ValueError, OSError) as error:
                failures.append(str(error))
            else:
                if picture is not None:
                    found.draw(min_score=0).save(args.output / picture)
                results.extend(_rows(found, number, path, picture))
            if bar is not None:
                bar.update(number)
    finally:
        # Whatever ends the work, a full disk or Ctrl-C: what was found so far is kept.
        (args.output / "detections.json").write_text(json.dumps(results))
    print(_summary(results, len(args.images) - len(failures), args.output, not args.no_pictures))
    for failure in failures:
        print(f"maskrcnn: error: {failure}", file=sys.stderr)
    if failures:
        print(f"{len(failures)} of {len(args.images)} images could not be read", file=sys.stderr)
    return 1 if failures else 0


def picture_names(paths: Sequence[Path]) -> list[str]:
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
    image = read_image(path, model.config.channels)
    limits = {"score_threshold": args.score_threshold, "max_detections": args.max_detections}
    (found,) = model.detect([image], **limits, masks="rle", **tiling(args))
    return found


def _rows(found: Detections, image_id: int, path: Path, picture: str | None) -> list[dict[str, Any]]:
    """COCO results, and with each the names of the file, of its picture and of the class."""
    rows = found.to_coco(image_id)
    for row, name in zip(rows, found.class_names, strict=True):
        row.update(file_name=str(path), category_name=name)
        if picture is not None:
            row["picture"] = picture
    return rows


def _summary(results: list[dict[str, Any]], images: int, output: Path, pictures: bool) -> str:
    counts = collections.Counter(row["category_name"] for row in results)
    listed = ", ".join(f"{count} {name}" for name, count in counts.most_common(10))
    listed += ", ..." if len(counts) > 10 else ""
    written = f"{output / 'detections.json'}" + (f" and {images} pictures" if pictures else "")
    found = f"{len(results)} objects in {images} images" + (f" ({listed})" if listed else "")
    return f"{found}\nWritten: {written}"
