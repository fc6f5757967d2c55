"""This package's side of nuclei.py, which runs it: trains, detects, and writes what was found."""

import argparse
import json
import os
import sys
import time
from pathlib import Path

os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "1")  # faster on processors without AVX-512

import keras

import keras_maskrcnn as km

sys.path.append(str(Path(__file__).resolve().parents[1] / "samples" / "nuclei"))
from train import read_records, split, train


def rows(model, records):
    """What is found in each image, by its name: scores, boxes and RLEs."""
    found = km.detect_records(model, records, score_threshold=0.05, progress=False)
    return {
        Path(record.image).stem: [
            {"score": float(score), "bbox": [float(side) for side in box], "segmentation": mask}
            for score, box, mask in zip(one.scores, one.boxes, one.masks, strict=True)
        ]
        for record, one in zip(records, found, strict=True)
    }


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    for name in ("labels", "images", "config", "validation-names", "tuning-names", "result"):
        parser.add_argument(f"--{name}", type=Path, required=True)
    parser.add_argument("--steps", type=int, required=True)
    parser.add_argument("--seed", type=int, required=True)
    args = parser.parse_args()

    records = read_records(args.labels, args.images)
    training, validation = split(records, 0, args.validation_names)
    _, tuning = split(records, 0, args.tuning_names)
    keras.utils.set_random_seed(args.seed)
    model = km.MaskRCNN(km.Config.from_json(args.config.read_text()))
    start = time.perf_counter()
    train(model, training, args.steps, seed=args.seed)
    seconds = time.perf_counter() - start
    result = {"seconds": seconds, "found": rows(model, validation), "tuning": rows(model, tuning)}
    args.result.write_text(json.dumps(result))


if __name__ == "__main__":
    main()
