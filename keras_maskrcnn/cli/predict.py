"""`maskrcnn predict`: images in, images with their detections drawn and COCO results out."""

import argparse
import collections
import contextlib
import json
import sys
from pathlib import Path
from typing import Any

import keras

from keras_maskrcnn.cli.common import open_detector
from keras_maskrcnn.cli.drawing import drawing_options
from keras_maskrcnn.cli.evaluate_parser import tiling
from keras_maskrcnn.cli.labels import Labels, label_folder
from keras_maskrcnn.cli.progress import in_terminal
from keras_maskrcnn.detections.detections import Detections
from keras_maskrcnn.images.label_files import save_label_image
from keras_maskrcnn.models.mask_rcnn import MaskRCNN
from keras_maskrcnn.runtime.model import ExportedModel
from keras_maskrcnn.utils.counted import counted
from keras_maskrcnn.utils.display import message, printable
from keras_maskrcnn.utils.files import write_text, written_whole
from keras_maskrcnn.utils.names import different_names

LABEL_IMAGES = "label_images"
"""The folder of them in the output folder, in which they have their images' names, as `load_masks` wants it."""


def run(args: argparse.Namespace) -> int:
    """Detect in each image, write the detections, and return the exit code: 1 if an image could not be read."""
    drawing = drawing_options(args)
    model = open_detector(args.model)
    folder = args.output if args.label_images is None else args.output / LABEL_IMAGES
    folder.mkdir(parents=True, exist_ok=True)
    _check_masks(model, args.label_images)
    names = different_names([path.stem for path in args.images])
    bar = keras.utils.Progbar(len(args.images), unit_name="image") if in_terminal() else None
    labels = Labels(args.write, args.output, model.config.class_names, args.images)
    results: list[dict[str, Any]] = []
    failures: list[str] = []
    try:
        for number, (path, name) in enumerate(zip(args.images, names, strict=True), start=1):
            try:
                detections = _detect(model, path, args)
            except (ValueError, OSError) as error:
                failures.append(str(error))
            else:
                results.extend(_written(detections, number, path, name, args, drawing))
                labels.add(detections, path)
            if bar is not None:
                bar.update(number)
    finally:
        # Whatever ends the work, a full disk or Ctrl-C: the detections so far are kept.
        write_text(args.output / "detections.json", json.dumps(results))
        labels.write()
    print(_summary(results, len(args.images) - len(failures), args))
    if not results and len(failures) < len(args.images):
        print(_best_score(model, args))
    for failure in failures:
        print(f"maskrcnn: error: {message(failure)}", file=sys.stderr)
    if failures:
        print(f"{len(failures)} of {counted(len(args.images), 'image')} could not be read", file=sys.stderr)
    return 1 if failures else 0


def _check_masks(model: MaskRCNN | ExportedModel, label_images: str | None) -> None:
    if label_images is not None and model.config.mask_head == "none":
        raise ValueError("--label-images needs a model with masks; this one predicts boxes alone")


def _detect(model: MaskRCNN | ExportedModel, path: Path, args: argparse.Namespace) -> Detections:
    limits = {"score_threshold": args.score_threshold, "max_detections": args.max_detections}
    (detections,) = model.detect([path], **limits, masks="rle", **tiling(args), augment=args.augment)
    return detections


def _best_score(model: MaskRCNN | ExportedModel, args: argparse.Namespace) -> str:
    """The highest score in the first readable image, which tells a threshold too high from a model untrained."""
    lowest = 0.0 if isinstance(model, MaskRCNN) else None  # an artefact's own
    for path in args.images:
        with contextlib.suppress(ValueError, OSError):
            (detections,) = model.detect([path], score_threshold=lowest, max_detections=1, masks=None)
            best = f"{detections.scores[0]:.3f}" if len(detections.scores) else "none at all"
            return f"No score is above {args.score_threshold:g}; the highest in {path}: {best} (--score-threshold)"
    return ""


def _written(
    detections: Detections,
    image_id: int,
    path: Path,
    name: str,
    args: argparse.Namespace,
    drawing: dict[str, Any],
) -> list[dict[str, Any]]:
    """Write the drawing and the label image of an image, if wanted.

    Returns:
        COCO results, and with each the names of the image file, of the class and of what was written, and the number
        that it has in the label image: None for what better detections cover wholly.
    """
    rows = detections.to_coco(image_id)
    for row, class_name in zip(rows, detections.class_names, strict=True):
        row.update(file_name=str(path), category_name=class_name)
    if not args.no_drawings:
        with written_whole(args.output / f"{name}.png") as part:
            detections.draw(min_score=0, **drawing).save(part)
        for row in rows:
            row["drawing"] = f"{name}.png"
    if args.label_images is not None:
        file = args.output / LABEL_IMAGES / f"{name}.{args.label_images}"
        save_label_image(detections.to_label_image(min_score=0), file)
        numbers = {row: number for number, row in enumerate(detections.label_rows(min_score=0).tolist(), 1)}
        for index, row in enumerate(rows):
            row.update(label_image=f"{LABEL_IMAGES}/{file.name}", label=numbers.get(index))
    return rows


def _summary(results: list[dict[str, Any]], images: int, args: argparse.Namespace) -> str:
    counts = collections.Counter(row["category_name"] for row in results)
    listed = ", ".join(f"{count} {name}" for name, count in counts.most_common(10))
    listed += ", ..." if len(counts) > 10 else ""
    written = [str(args.output / "detections.json")]
    written += [] if args.no_drawings else [counted(images, "drawn image")]
    written += [] if args.label_images is None else [counted(images, "label image")]
    written += [str(label_folder(args.output, name)) for name in args.write]
    listed = printable(listed)
    total = f"{counted(len(results), 'object')} in {counted(images, 'image')}"
    hidden = sum("label" in row and row["label"] is None for row in results)
    note = (
        f"\n{counted(hidden, 'object')} wholly under better ones: no number in the label images"
        if hidden
        else ""
    )
    return f"{total}{f' ({listed})' if listed else ''}{note}\nWritten: {' and '.join(written)}"
