"""What the notebooks have in common: images of coins with their outlines, and a small model that detects them.

The images are windows of a photograph that comes with scikit-image; see samples/coins/train.py.
"""

import sys
from pathlib import Path

import numpy as np
from skimage import data, measure

import keras_maskrcnn as km
from keras_maskrcnn.masks.rle import rle_to_mask

sys.path.append(str(Path(__file__).resolve().parents[1] / "coins"))
from train import (
    VALIDATION_PARTS,
    label_coins,
    make_optimizer,
    make_record,
    random_crops,
    small_config,
    train,
)

__all__ = [
    "make_optimizer",
    "outlines",
    "small_config",
    "trained_model",
    "training_records",
    "validation_records",
]


def training_records(count):
    """`count` windows of the left part of the photograph, rotated and flipped at random."""
    photograph = data.coins()
    return random_crops(photograph, label_coins(photograph), count, seed=0)


def validation_records():
    """The two windows of its right part, with eight coins that no training window shows."""
    photograph = data.coins()
    labels = label_coins(photograph)
    return [
        make_record(photograph[part], labels[part], f"part {number}")
        for number, part in enumerate(VALIDATION_PARTS)
    ]


def outlines(record):
    """The outline of each coin as an annotator would click it: a list of [x, y] in pixels."""
    points = []
    for rle in record.masks or ():
        contours = measure.find_contours(np.pad(rle_to_mask(rle), 1), 0.5)
        contour = measure.approximate_polygon(max(contours, key=len), tolerance=0.4)
        points.append((contour[:-1, ::-1] - 0.5).clip(0, [record.width, record.height]).round(1).tolist())
    return points


def trained_model(steps, path="runs/coins.keras"):
    """The model that the second notebook saved, or one that is trained here and saved for the next time."""
    if Path(path).exists():
        return km.load_model(path)
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    model = train(training_records(2 * steps), steps)
    model.save(path)
    return model
