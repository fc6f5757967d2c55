"""What each choice of samples/nuclei gives: the model of nuclei.py, trained in other ways, and searched in other ways.

    python benchmarks/nuclei_ablations.py labels --images images --validation-names val.txt --output runs/nuclei

Arguments, results and columns are those of nuclei.py, whose own model of so many steps is trained first if it is not
there. It takes two hours. What has been run before is not run again.
"""

import argparse
import dataclasses
import json
import os
import sys
import time

os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "1")  # faster on processors without AVX-512

from nuclei import COLUMNS, CONFIG, add_data, prepared, run, tuned_scores, written
from nuclei_ours import rows

import keras_maskrcnn as km

TRAINED = {
    "as it is": {},
    "images at their own size": {"image_scale": 1.0},
    "images three times as large": {"image_scale": 3.0},
    "one anchor size per level, three ratios": {
        "anchor_sizes": ((16,), (32,), (64,), (128,), (256,)),
        "anchor_ratios": (0.6, 1.0, 1.6),
    },
    "mask_crop_size 56": {"mask_crop_size": 56},
    "masks of 56 x 56": {"mask_pool_size": 28},
    "cascade": {
        "class_agnostic_boxes": True,
        "cascade_ious": (0.6, 0.7),
        "cascade_delta_weights": ((20.0, 20.0, 10.0, 10.0), (30.0, 30.0, 15.0, 15.0)),
    },
    "mask scoring": {"mask_iou_head": True},
    "twice the channels": {"stem_channels": 64, "fpn_channels": 128, "mask_head_channels": 128},
}
"""Fields of the Config."""

SEARCHED = {
    "as it is": ({}, None),
    "max_detections 100": ({"max_detections": 100}, None),
    "max_detections 200": ({"max_detections": 200}, None),
    "max_detections 1000": ({"max_detections": 1000}, None),
    "nms_iou 0.3": ({"nms_iou": 0.3}, None),
    "nms_iou 0.7": ({"nms_iou": 0.7}, None),
    "soft_nms_sigma 0.2": ({"soft_nms_sigma": 0.2}, None),
    "soft_nms_sigma 0.5": ({"soft_nms_sigma": 0.5}, None),
    "2000 proposals": ({"pre_nms_top_k": 2000, "post_nms_top_k": 2000}, None),
    'augment="horizontal_flip"': ({}, "horizontal_flip"),
    'augment="d4"': ({}, "d4"),
    'augment=("horizontal_flip", 0.75, 1.5)': ({}, ("horizontal_flip", 0.75, 1.5)),
}
"""Fields of the Config, and test-time augmentation."""


def search(model, name, validation, tuning, result):
    """Search images in one of these ways, unless the result is there."""
    if result.exists():
        return
    changes, augment = SEARCHED[name]
    other = km.MaskRCNN(dataclasses.replace(model.config, **changes))
    other.set_weights(model.get_weights())
    rows(other, validation[:1], augment)  # the graphs are made
    start = time.perf_counter()
    found = rows(other, validation, augment)
    seconds = time.perf_counter() - start
    content = {"seconds": seconds, "found": found, "tuning": rows(other, tuning, augment)}
    result.write_text(json.dumps(content))


def print_row(name, result, validation, tuning):
    content = json.loads(result.read_text())
    scores = tuned_scores(content, validation, tuning)
    cells = [name, f"{content['seconds']:.0f}", *(f"{scores[column]:.4f}" for column in COLUMNS)]
    print("|", " | ".join(cells), "|", flush=True)


def file_name(name):
    return "".join(letter if letter.isalnum() else "_" for letter in name)


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add_data(parser)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--steps", type=int, default=1500)
    parser.add_argument("--trained", nargs="*", choices=TRAINED, default=list(TRAINED), help="those to train")
    args = parser.parse_args()

    options, _, validation, tuning = prepared(args)
    own = args.output / f"ours_steps_{args.steps}_seed_{args.seed}.json"
    head = f"seconds | {' | '.join(COLUMNS)} |\n{'|---' * (len(COLUMNS) + 2)}|"
    print(f"| trained for {args.steps} steps | {head}")
    for name in args.trained:
        stem = f"ablation_{args.steps}_{file_name(name)}"
        config = written(dataclasses.replace(CONFIG, **TRAINED[name]), args.output / f"{stem}.config.json")
        result = args.output / f"{stem}.json" if TRAINED[name] else own
        run("nuclei_ours.py", sys.executable, [*options, "--config", config], args.seed, args.steps, result)
        print_row(name, result, validation, tuning)
    model = km.load_model(own.with_suffix(".keras"))
    print(f"\n| searched | {head}")
    for name in SEARCHED:
        result = args.output / f"searched_{own.stem}_{file_name(name)}.json"
        search(model, name, validation, tuning, result)
        print_row(name, result, validation, tuning)


if __name__ == "__main__":
    main()
