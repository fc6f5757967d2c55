"""Fine-tune the packaged model of nuclei on ten images of another kind, and compare with training from scratch.

    python samples/nuclei/fine_tune.py stage1_train --output tuned

The other kind is made from the same data: a part of each image, magnified, blurred, noisy, and dark on a bright ground
as in transmitted light. Ten images train, others of the validation judge: the packaged model as it is, fine-tuned, and
the same network trained from scratch in as many steps.

With images of your own there is nothing to make: read them with km.load_dataset, and call `fine_tune` below.
"""

import argparse
import dataclasses
import os
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")  # no lines about missing GPUs
os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "1")  # faster on processors without AVX-512

import keras
import numpy as np
from scipy import ndimage
from train import CONFIG, add_data, evaluate, print_size, read_records, split, summary, train

import keras_maskrcnn as km
from keras_maskrcnn.images.io import read_image

NAME = "nuclei_resnet18_fpn"
PART, SCALE = 112, 2.5
"""Side in pixels of the part of an image that is used, and how much it is magnified."""


def another_kind(record, seed):
    """Make the record of an image of another kind, or None if there are not three nuclei in it."""
    rng = np.random.default_rng(seed)
    labels = record.to_label_image()
    y, x = (int(rng.integers(0, max(1, side - PART + 1))) for side in labels.shape)
    window = slice(y, y + PART), slice(x, x + PART)
    pixels = read_image(record.image, channels=1)[window][:, :, 0].astype(np.float32)
    low, high = np.percentile(pixels, (1, 99.8))
    light = ndimage.zoom(((pixels - low) / max(high - low, 1)).clip(0, 1), SCALE, order=1)
    dark = 200 - 120 * ndimage.gaussian_filter(light, 2) + rng.normal(0, 8, light.shape)
    enlarged = ndimage.zoom(labels[window], SCALE, order=0)
    numbers, areas = np.unique(enlarged[enlarged > 0], return_counts=True)
    masks = [enlarged == number for number, area in zip(numbers, areas, strict=True) if area >= 100]
    if len(masks) < 3:
        return None
    image = dark.clip(0, 255).astype(np.uint8)
    return km.make_record(
        image, masks=masks, class_ids=[1] * len(masks), image_id=str(record.image_id), class_names=["nucleus"]
    )


def make_images(records, count):
    """Return records of `count` images of another kind, or of as many as there are."""
    made = (another_kind(record, seed) for seed, record in enumerate(records))
    return [record for record in made if record is not None][:count]


def fine_tune(records, steps, seed=0, **changes):
    """Return the packaged model after so many more steps; `changes` are of its Config."""
    keras.utils.set_random_seed(seed)
    model = km.load_pretrained(NAME, **changes)
    train(model, records, steps, seed=seed, learning_rate=3e-4)
    return model


def from_scratch(records, steps, seed=0, **changes):
    """Return a new model of the same network after so many steps."""
    keras.utils.set_random_seed(seed)
    model = km.MaskRCNN(dataclasses.replace(CONFIG, **changes))
    train(model, records, steps, seed=seed)
    return model


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add_data(parser)
    parser.add_argument("--output", type=Path, default=Path("tuned"), help="folder to write to")
    parser.add_argument("--steps", type=int, default=300, help="training steps of both models")
    parser.add_argument("--count", type=int, default=10, help="images to train on")
    args = parser.parse_args()

    training, validation = split(read_records(args.annotations, args.images), 0.1, args.validation_names)
    training, validation = make_images(training, args.count), make_images(validation, 40)
    if not training or not validation:
        raise SystemExit("no image has a part with three nuclei, to train on or to validate on")
    print_size(training)
    changes = {"image_scale": 1.0}  # these nuclei are large as they are
    print("as it is:    ", summary(evaluate(km.load_pretrained(NAME, **changes), validation)), flush=True)
    tuned = fine_tune(training, args.steps, args.seed, **changes)
    print("fine-tuned:  ", summary(evaluate(tuned, validation)), flush=True)
    scratch = from_scratch(training, args.steps, args.seed, **changes)
    print("from scratch:", summary(evaluate(scratch, validation)))
    args.output.mkdir(parents=True, exist_ok=True)
    tuned.save(args.output / "tuned.keras")
    (found,) = tuned.detect(validation[0].image)
    found.draw().save(args.output / "tuned.png")


if __name__ == "__main__":
    main()
