"""`maskrcnn evaluate`: COCO's average precision of a model, as a table."""

import argparse
import json
import math
from collections.abc import Sequence

import numpy as np

from keras_maskrcnn.cli import accuracy_test
from keras_maskrcnn.cli.arguments import format_options
from keras_maskrcnn.cli.common import aligned, open_detector
from keras_maskrcnn.cli.evaluate_parser import coco_files, tiling
from keras_maskrcnn.cli.progress import in_terminal
from keras_maskrcnn.data.formats.load import load_dataset
from keras_maskrcnn.data.records import Record
from keras_maskrcnn.evaluation.evaluate import evaluate_coco
from keras_maskrcnn.evaluation.instance_matching import matching_rows
from keras_maskrcnn.presets import PRESETS
from keras_maskrcnn.presets.preset import Preset
from keras_maskrcnn.utils.counted import counted
from keras_maskrcnn.utils.files import write_text

KINDS = ("box", "mask", "keypoint")
MATCHING = "matching_"


def run(args: argparse.Namespace) -> int:
    """Evaluate the model on the annotated images and print the metrics; return the exit code."""
    if args.accuracy_test:
        return accuracy_test.run(args)
    model = open_detector(args.model, args.weights)
    names = model.config.class_names
    annotations, images = args.annotations, args.images
    if args.coco is not None:
        annotations, images = coco_files(args.coco, bool(model.config.keypoint_names))
    preset = PRESETS.get(str(args.model))
    if args.score_threshold is None and preset is not None:
        args.score_threshold = preset.evaluated_above
    masks = model.config.mask_head != "none"
    options = format_options(vars(args))
    records, _ = load_dataset(annotations, images, class_names=names, masks=masks, **options)
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
        report=args.report,
        matching=args.matching,
        about={"model": str(args.weights or args.model), "dataset": str(annotations)},
        **tiling(args),
        augment=args.augment,
    )
    if args.json is not None:
        finite = {name: None if math.isnan(value) else value for name, value in scores.items()}
        write_text(args.json, json.dumps(finite, indent=1) + "\n")
    if args.per_class:
        print(class_table(scores, records, names) + "\n")
    print(score_table(scores))
    if args.matching is not None:
        print(f"\n{matching_table(scores, args.matching)}")
    if args.report is not None:
        print(f"\n{args.report / 'report.html'}")
    if preset is not None and args.coco is not None:
        print(f"\n{_published(preset)}")
    return 0


def _published(preset: Preset) -> str:
    published = {"box": preset.box_ap, "mask": preset.mask_ap, "keypoint": preset.keypoint_ap}
    listed = ", ".join(f"{kind} AP {ap / 100:.3f}" for kind, ap in published.items() if ap is not None)
    return f"Published: {listed} ({preset.published})"


def score_table(scores: dict[str, float]) -> str:
    """Lay out `score_coco`'s metrics in columns for boxes, masks and keypoints; "-" is without ground truth."""
    kinds = [kind for kind in KINDS if f"{kind}_AP" in scores]
    of_kinds = [name for name in scores if "/" not in name and name.partition("_")[0] in kinds]
    names = list(dict.fromkeys(name.partition("_")[2] for name in of_kinds))
    rows = [["", *kinds]]
    for name in names:
        values = [_number(scores.get(f"{kind}_{name}", math.nan)) for kind in kinds]
        rows.append([name.replace("_", " "), *values])
    return aligned(rows)


def matching_table(scores: dict[str, float], min_score: float) -> str:
    """Lay out the metrics of matching, a line for each IoU."""
    named = {name.removeprefix(MATCHING): scores[name] for name in scores if name.startswith(MATCHING)}
    contest = f"2018 Data Science Bowl: {named['dsb2018']:.3f}"
    return f"Matching, scores from {min_score:g}\n{aligned(matching_rows(named))}\n{contest}"


def class_table(scores: dict[str, float], records: Sequence[Record], names: Sequence[str]) -> str:
    """Lay out the AP of each class, best first; classes without objects are only counted, in a line before."""
    kinds = [kind for kind in reversed(KINDS) if f"{kind}_AP" in scores]
    counts = np.zeros(len(names) + 1, int)
    for record in records:
        counts += np.bincount(record.class_ids[~record.crowd], minlength=len(names) + 1)

    def rank(name: str) -> tuple[bool, float]:
        value = scores[f"{kinds[0]}_AP/{name}"]
        return math.isnan(value), -value

    objects = dict(zip(names, counts[1:].tolist(), strict=True))
    rows = [["class", *(f"{kind} AP" for kind in kinds), "objects"]]
    for name in sorted((name for name in names if objects[name]), key=rank):
        values = [_number(scores[f"{kind}_AP/{name}"]) for kind in kinds]
        rows.append([name, *values, str(objects[name])])
    absent = sum(not count for count in objects.values())
    left_out = f"{counted(absent, 'class', 'classes')} without objects left out\n" if absent else ""
    return left_out + aligned(rows)


def _number(value: float) -> str:
    return "-" if math.isnan(value) else f"{value:.3f}"
