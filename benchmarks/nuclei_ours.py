"""This package's side of nuclei.py, which runs it: trains, detects, and writes the model and what was found."""

import os
import sys
import time
from pathlib import Path

os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "1")  # faster on processors without AVX-512

import keras
from nuclei_side import arguments, row, write

import keras_maskrcnn as km

sys.path.append(str(Path(__file__).resolve().parents[1] / "samples" / "nuclei"))
from train import read_records, split, train


def rows(model, records, augment=None):
    """What is found in each image, by its name."""
    found = km.detect_records(model, records, score_threshold=0.05, progress=False, augment=augment)
    return {
        Path(record.image).stem: [
            row(*object) for object in zip(one.scores, one.boxes, one.masks, strict=True)
        ]
        for record, one in zip(records, found, strict=True)
    }


def main():
    args = arguments(__doc__)
    records = read_records(args.labels, args.images)
    training, validation = split(records, 0, args.validation_names)
    _, tuning = split(records, 0, args.tuning_names)
    keras.utils.set_random_seed(args.seed)
    model = km.MaskRCNN(km.Config.from_json(args.config.read_text()))
    start = time.perf_counter()
    train(model, training, args.steps, seed=args.seed)
    seconds = time.perf_counter() - start
    model.save(args.result.with_suffix(".keras"))
    write(args, seconds, rows(model, validation), rows(model, tuning))


if __name__ == "__main__":
    main()
