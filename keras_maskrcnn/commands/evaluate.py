"""`maskrcnn evaluate`: COCO's average precision of a model, as a table."""

import argparse
import json
import math
from collections.abc import Sequence

import numpy as np

from keras_maskrcnn.commands.model_file import read_model
from keras_maskrcnn.commands.progress import in_terminal
from keras_maskrcnn.data.coco import load_coco
from keras_maskrcnn.data.records import Record
from keras_maskrcnn.evaluate import evaluate_coco


def run(args: argparse.Namespace) -> int:
    """Evaluate the model on the annotated images and print the figures; return the exit code."""
    model = read_model(args.model)
    names = model.config.class_names
    records, _ = load_coco(args.annotations, args.images, names, masks=model.config.mask_head != "none")
    scores = evaluate_coco(
        model,
        records,
        batch_size=args.batch_size,
        per_class=args.per_class,
        score_threshold=args.score_threshold,
        max_detections=args.max_detections,
        progress=in_terminal(),
        results_file=args.results,
        category_ids=records.report.category_ids,
    )
    if args.json is not None:
        finite = {name: None if math.isnan(value) else value for name, value in scores.items()}
        args.json.write_text(json.dumps(finite, indent=1) + "\n")
    print(score_table(scores))
    if args.per_class:
        print("\n" + class_table(scores, records, names))
    return 0


def score_table(scores: dict[str, float]) -> str:
    """Lay out `score_coco`'s figures in columns for boxes and masks; "-" is without ground truth."""
    kinds = [kind for kind in ("box", "mask") if f"{kind}_AP" in scores]
    names = [name.removeprefix("box_") for name in scores if name.startswith("box_") and "/" not in name]
    rows = [["", *kinds]]
    for name in names:
        rows.append([name.replace("_", " "), *(_figure(scores[f"{kind}_{name}"]) for kind in kinds)])
    return _aligned(rows)


def class_table(scores: dict[str, float], records: Sequence[Record], names: Sequence[str]) -> str:
    """Lay out the AP of each class, best first; classes without objects come last."""
    kinds = [kind for kind in ("mask", "box") if f"{kind}_AP" in scores]
    counts = np.zeros(len(names) + 1, int)
    for record in records:
        counts += np.bincount(record.class_ids[~record.crowd], minlength=len(names) + 1)

    def rank(name: str) -> tuple[bool, float]:
        value = scores[f"{kinds[0]}_AP/{name}"]
        return math.isnan(value), -value

    rows = [["class", *(f"{kind} AP" for kind in kinds), "objects"]]
    for name in sorted(names, key=rank):
        figures = [_figure(scores[f"{kind}_AP/{name}"]) for kind in kinds]
        rows.append([name, *figures, str(counts[names.index(name) + 1])])
    return _aligned(rows)


def _figure(value: float) -> str:
    return "-" if math.isnan(value) else f"{value:.3f}"


def _aligned(rows: list[list[str]]) -> str:
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return "\n".join(
        "  ".join(
            [row[0].ljust(widths[0]), *(cell.rjust(w) for cell, w in zip(row[1:], widths[1:], strict=True))]
        )
        for row in rows
    )
