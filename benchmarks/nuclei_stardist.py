"""StarDist's side of nuclei.py, which runs it by the interpreter that has StarDist: trains, detects, writes results.

The configuration, the augmentation and the choice of thresholds are those of StarDist's own example for these images.
Its 400 epochs of 100 steps are a day on two cores. Here they are fewer, and the rate is lowered accordingly earlier.
"""

import os
import time

os.environ["TF_USE_LEGACY_KERAS"] = "1"  # StarDist is made for Keras 2
os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "1")  # faster on processors without AVX-512

import numpy as np
import pycocotools.mask as coco_mask
import tf_keras
from csbdeep.utils import normalize
from nuclei_side import arguments, row, write
from PIL import Image
from stardist import fill_label_holes
from stardist.models import Config2D, StarDist2D


def augmented(pixels, labels):
    """Flip and rotate by chance, and change brightness and contrast, as StarDist's example does."""
    times, flips = np.random.randint(4), np.random.rand(2) < 0.5
    for axis in (0, 1):
        if flips[axis]:
            pixels, labels = np.flip(pixels, axis), np.flip(labels, axis)
    pixels, labels = np.rot90(pixels, times), np.rot90(labels, times)
    pixels = pixels * np.random.uniform(0.6, 2) + np.random.uniform(-0.2, 0.2)
    return pixels + 0.02 * np.random.uniform(0, 1) * np.random.normal(size=pixels.shape), labels


def rows(model, images):
    """What is found in each image, by its name: probabilities, boxes and RLEs."""
    found = {}
    for name, pixels in images.items():
        labels, details = model.predict_instances(pixels)
        found[name] = []
        for number, score in enumerate(details["prob"], start=1):
            rle = coco_mask.encode(np.asfortranarray(labels == number, np.uint8))
            x, y, width, height = coco_mask.toBbox(rle)
            if width > 0:
                found[name].append(row(score, [x, y, x + width, y + height], rle))
    return found


def main():
    args = arguments(__doc__)
    np.random.seed(args.seed)
    tf_keras.utils.set_random_seed(args.seed)
    names = sorted(path.stem for path in args.labels.glob("*.png"))
    images = {
        name: normalize(np.asarray(Image.open(args.images / f"{name}.png")), 1, 99.8, axis=(0, 1))
        for name in names
    }
    labels = {
        name: fill_label_holes(np.asarray(Image.open(args.labels / f"{name}.png")).astype(np.int32))
        for name in names
    }
    validation, tuning = (file.read_text().split() for file in (args.validation_names, args.tuning_names))
    training = [name for name in names if name not in set(validation)]
    # Its rate and its thresholds are chosen by images beside those that it trains on and those that judge it.
    held = training[5::10]
    training = [name for name in training if name not in set(held)]
    folder = args.result.with_suffix("")
    epochs = max(1, args.steps // 100)
    config = Config2D(
        n_rays=32,
        grid=(2, 2),
        n_channel_in=1,
        train_reduce_lr={"factor": 0.5, "patience": max(1, epochs // 10), "min_delta": 0},
        train_tensorboard=False,
        train_steps_per_epoch=min(100, args.steps),
    )
    model = StarDist2D(config, name=folder.name, basedir=str(folder.parent))
    start = time.perf_counter()
    model.train(
        [images[name] for name in training],
        [labels[name] for name in training],
        validation_data=([images[name] for name in held], [labels[name] for name in held]),
        augmenter=augmented,
        epochs=epochs,
        seed=args.seed,
    )
    seconds = time.perf_counter() - start
    model.optimize_thresholds([images[name] for name in held], [labels[name] for name in held])
    results = [rows(model, {name: images[name] for name in chosen}) for chosen in (validation, tuning)]
    write(args, seconds, *results)


if __name__ == "__main__":
    main()
