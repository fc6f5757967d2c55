"""This package's Mask R-CNN, torchvision's and StarDist trained on the same nuclei: accuracy and time in one table.

    python benchmarks/nuclei.py labels --images images --validation-names val.txt --output runs/nuclei \\
        --torchvision ../torch/bin/python --stardist ../stardist/bin/python --seeds 0 1 2

The data is that of samples/nuclei/train.py. The first two have the same architecture, crops, batch, steps, optimizer,
schedule and averages of weights, from scratch; StarDist has its own network and recipe. Each peer is run by the
interpreter of an environment that has it:

    torch==2.11.0 torchvision==0.26.0 pycocotools
    stardist==0.9.2 tensorflow==2.21.0 tf_keras pycocotools

It takes hours. What has been run before is not run again, and whatever is in the output folder is in the table. Score
thresholds of the label images are each model's best on the training images, not on those that it is judged by.
"""

import argparse
import dataclasses
import json
import os
import statistics
import subprocess
import sys
from pathlib import Path

os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "1")  # faster on processors without AVX-512

import numpy as np

import keras_maskrcnn as km

HERE = Path(__file__).resolve().parent
sys.path.append(str(HERE.parent / "samples" / "nuclei"))
import train  # noqa: E402
from train import read_records, split  # noqa: E402

CONFIG = dataclasses.replace(train.CONFIG, soft_nms_sigma=0.0)  # as torchvision has it

COLUMNS = (
    "mask_AP", "mask_AP50", "mask_AP75",
    "accuracy_50", "accuracy_70", "accuracy_80", "accuracy_90", "dsb2018",
)  # fmt: skip


def tuned_scores(content, validation, tuning):
    """The metrics of what a program has found, with the score threshold that is best on the images to tune by."""
    threshold = best_threshold(content["tuning"], tuning)
    detections = [as_detections(content["found"][Path(record.image).stem], record) for record in validation]
    coco = km.analyse(validation, detections, CONFIG.class_names, max_detections=500).scores
    return {**coco, **km.score_matching(validation, detections, threshold).to_dict()}


def as_detections(rows, record):
    masks = [row["segmentation"] for row in rows]
    boxes = [row["bbox"] for row in rows]
    return km.Detections(
        boxes=np.array(boxes, np.float32).reshape(-1, 4),
        scores=[row["score"] for row in rows],
        class_ids=[1] * len(rows),
        class_names=list(CONFIG.class_names) * len(rows),
        height=record.height,
        width=record.width,
        masks=masks,
    )


def best_threshold(found, records):
    """The least score of objects in a label image that is best by the contest's metric."""
    detections = [as_detections(found[Path(record.image).stem], record) for record in records]
    thresholds = np.arange(0.1, 0.95, 0.05)
    scores = [km.score_matching(records, detections, float(one)).dsb2018 for one in thresholds]
    return float(thresholds[int(np.argmax(scores))])


def run(program, python, options, seed, steps, result):
    """Run a program that trains and detects, unless its result is there."""
    if result.exists():
        return
    command = [python, HERE / program, *options, "--seed", seed, "--steps", steps, "--result", result]
    print(" ".join(map(str, command)), flush=True)
    subprocess.run([str(part) for part in command], check=True)


def table(folder, records, tuning):
    """Print a line for each model: medians over seeds, and the range of the mask AP."""
    rows = {}
    for path in sorted(folder.glob("*_steps_*_seed_*.json")):
        content = json.loads(path.read_text())
        scores = tuned_scores(content, records, tuning)
        rows.setdefault(path.stem.split("_seed_")[0], []).append({"seconds": content["seconds"], **scores})
    print("| model | runs | training s |", " | ".join(COLUMNS), "| mask AP from .. to |")
    print("|---" * (len(COLUMNS) + 4) + "|")
    for name, runs in rows.items():
        medians = [f"{statistics.median(one[column] for one in runs):.4f}" for column in COLUMNS]
        seconds = f"{statistics.median(one['seconds'] for one in runs):.0f}"
        spread = f"{min(one['mask_AP'] for one in runs):.4f} .. {max(one['mask_AP'] for one in runs):.4f}"
        print("|", " | ".join([name, str(len(runs)), seconds, *medians, spread]), "|")


def add_data(parser):
    """Add the arguments that say where the data and the results are."""
    parser.add_argument("labels", type=Path, help="folder of label images")
    parser.add_argument("--images", type=Path, required=True, help="folder of the images")
    parser.add_argument(
        "--validation-names", type=Path, required=True, help="text file with the names to judge by"
    )
    parser.add_argument("--output", type=Path, required=True, help="folder of the results")


def written(config, path):
    """Write a Config as JSON and return the path."""
    path.write_text(config.to_json())
    return path


def prepared(args):
    """Return a side's arguments, and the records to train on, to judge by, and (of the first) to tune by."""
    args.output.mkdir(parents=True, exist_ok=True)
    training, validation = split(read_records(args.labels, args.images), 0, args.validation_names)
    tuning, names = training[::10], args.output / "tuning.txt"
    names.write_text("\n".join(Path(record.image).stem for record in tuning))
    options = ["--labels", args.labels, "--images", args.images]
    return (
        [*options, "--validation-names", args.validation_names, "--tuning-names", names],
        training,
        validation,
        tuning,
    )


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add_data(parser)
    parser.add_argument("--torchvision", help="interpreter that has torchvision; left out: not run")
    parser.add_argument("--stardist", help="interpreter that has StarDist; left out: not run")
    parser.add_argument("--stardist-steps", type=int, default=4000, help="of StarDist, four crops each too")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0], help="of ours; the peers have the first")
    parser.add_argument("--steps", type=int, default=1500, help="of ours and torchvision's")
    parser.add_argument("--more", type=int, nargs="*", default=[500], help="steps of more runs of ours")
    args = parser.parse_args()

    options, _, validation, tuning = prepared(args)
    config = written(CONFIG, args.output / "config.json")
    runs = [("ours", sys.executable, steps, args.seeds) for steps in (args.steps, *args.more)]
    runs += [("torchvision", args.torchvision, args.steps, args.seeds[:1])]
    runs += [("stardist", args.stardist, args.stardist_steps, args.seeds[:1])]
    for side, python, steps, seeds in runs:
        for seed in seeds if python else ():
            result = args.output / f"{side}_steps_{steps}_seed_{seed}.json"
            run(f"nuclei_{side}.py", python, [*options, "--config", config], seed, steps, result)
    table(args.output, validation, tuning)


if __name__ == "__main__":
    main()
