"""Train a Mask R-CNN from scratch on nuclei of the 2018 Data Science Bowl, evaluate it, and draw what it finds.

    python samples/nuclei/train.py stage1_train --output nuclei
    python samples/nuclei/train.py labels --images images --output nuclei

The data is not part of this project: it is stage1_train.zip of https://www.kaggle.com/c/data-science-bowl-2018, also as
BBBC038 at https://bbbc.broadinstitute.org (CC0), unpacked: a folder per image, with the folders images/ and masks/ in
it. Or they are label images, in which the pixels of each nucleus have a number of their own, with --images. Of the
contest's images those of fluorescence are used, gray on a dark ground; --all-kinds takes all.

It takes an hour on two cores of a CPU; --steps 1000 is quick and less good. Interrupted, the same command goes on where
it was. The model that comes with the package, nuclei_resnet18_fpn, was trained so, with --validation 0.
"""

import argparse
import os
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")  # no lines about missing GPUs
os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "1")  # faster on processors without AVX-512

import keras
import numpy as np

import keras_maskrcnn as km
from keras_maskrcnn.images.io import read_image

CONFIG = km.list_pretrained()["nuclei_resnet18_fpn"].config
"""Its fields are in keras_maskrcnn/presets/packaged.py; `dataclasses.replace(CONFIG, crop_size=320)` changes some."""

STEPS = 5000
METRICS = ("box_AP", "mask_AP", "mask_AP50", "mask_AP75", "matching_accuracy_50", "matching_accuracy_80")


def read_records(annotations, images=None, all_kinds=False):
    """Return the records of the images that are fluorescence, or of all."""
    records, _ = km.load_dataset(annotations, images, class_names=CONFIG.class_names)
    kept = [record for record in records if all_kinds or is_fluorescence(record)]
    if len(kept) < len(records):
        print(f"{len(records) - len(kept)} of {len(records)} images are not of fluorescence, and left out")
    return kept


def is_fluorescence(record):
    """Whether an image is gray and mostly dark."""
    pixels = read_image(record.image).astype(np.float32)
    return np.ptp(pixels, axis=2).mean() < 5 and np.median(pixels) < 100


def split(records, fraction, names=None):
    """Return the records to train on and to validate on: those that a text file names, or a fraction by chance."""
    if names is None:
        order = np.random.default_rng(0).permutation(len(records))
        chosen = set(order[: round(fraction * len(records))].tolist())
    else:
        wanted = set(names.read_text(encoding="utf-8").split())
        chosen = {number for number, one in enumerate(records) if Path(one.image).stem in wanted}
        if len(chosen) != len(wanted):
            raise SystemExit(f"{names} has {len(wanted)} names, {len(chosen)} of them of images")
    training = [record for number, record in enumerate(records) if number not in chosen]
    return training, [records[number] for number in sorted(chosen)]


class Crops:
    """A sequence of records for all steps, in which an image is the more frequent the longer its sides are.

    Each time it is another crop, and larger images have more to show.
    """

    def __init__(self, records, count, seed):
        sides = np.array([(record.height * record.width) ** 0.5 for record in records])
        self.records = records
        self.order = np.random.default_rng(seed).choice(len(records), count, p=sides / sides.sum())

    def __len__(self):
        return len(self.order)

    def __getitem__(self, index):
        return self.records[self.order[index]]


def optimizer_for(steps, learning_rate=1e-3):
    """AdamW with a short warm-up, a cosine to zero, and averages of the weights, which are what is kept in the end."""
    rate = keras.optimizers.schedules.CosineDecay(
        learning_rate / 100, steps, warmup_target=learning_rate, warmup_steps=max(1, steps // 20)
    )
    return keras.optimizers.AdamW(
        rate, weight_decay=1e-3, clipnorm=5.0, use_ema=True, ema_momentum=max(0.0, min(0.998, 1 - 5 / steps))
    )


def train(model, records, steps, batch_size=4, seed=0, backup=None, learning_rate=1e-3):
    """Train a model for so many steps; with the file `backup` it goes on where it was interrupted."""
    model.compile(optimizer=optimizer_for(steps, learning_rate), run_eagerly=steps < 10)
    dataset = km.make_dataset(
        Crops(records, steps * batch_size, seed), model.config, batch_size, training=True, seed=seed
    )
    callbacks = [] if backup is None else [km.TrainingBackup(backup, dataset, save_freq=500)]
    model.fit(dataset, callbacks=callbacks)


def evaluate(model, records, min_score=0.5):
    """Return COCO's metrics, and those of the detections as a label image, without those below min_score."""
    return km.evaluate_coco(
        model, records, score_threshold=0.05, max_detections=500, matching=min_score, progress=False
    )


def summary(scores):
    """The metrics that are usual for nuclei, in a line; the last is the contest's own."""
    shown = [f"{name.replace('matching_', '')} {scores[name]:.3f}" for name in METRICS]
    return ", ".join([*shown, f"contest mean {scores['matching_dsb2018']:.3f}"])


def draw(model, records, folder, count=4):
    """Write images with what is found in them, those with most nuclei first."""
    folder.mkdir(parents=True, exist_ok=True)
    for record in sorted(records, key=lambda one: -len(one.boxes))[:count]:
        (found,) = model.detect(record.image)
        found.draw().save(folder / f"{Path(record.image).stem}.png")


def add_data(parser):
    """Add the arguments that say where the images are, which of them judge, and what is random."""
    parser.add_argument("annotations", type=Path, help="stage1_train, or a folder of label images")
    parser.add_argument("--images", type=Path, help="folder of the images of label images")
    parser.add_argument(
        "--validation-names",
        type=Path,
        metavar="FILE",
        help="text file with the names of the images to validate on; left out: some by chance",
    )
    parser.add_argument("--seed", type=int, default=0, help="of all that is random")


def print_size(records):
    """Say how much there is to train on."""
    nuclei = sum(len(record.boxes) for record in records)
    print(f"{len(records)} images with {nuclei} nuclei to train on", flush=True)


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add_data(parser)
    parser.add_argument("--output", type=Path, default=Path("nuclei"), help="folder to write to")
    parser.add_argument("--steps", type=int, default=STEPS, help="training steps")
    parser.add_argument("--batch-size", type=int, default=4, help="crops per step")
    parser.add_argument("--validation", type=float, default=0.1, help="fraction of the images to validate on")
    parser.add_argument("--all-kinds", action="store_true", help="also images that are not of fluorescence")
    args = parser.parse_args()

    records = read_records(args.annotations, args.images, args.all_kinds)
    training, validation = split(records, args.validation, args.validation_names)
    print_size(training)
    args.output.mkdir(parents=True, exist_ok=True)
    keras.utils.set_random_seed(args.seed)
    model = km.MaskRCNN(CONFIG)
    backup = args.output / "backup.weights.h5"
    train(model, training, args.steps, args.batch_size, args.seed, backup)
    model.save(args.output / "nuclei.keras")
    print(f"Written: {args.output / 'nuclei.keras'}", flush=True)
    if validation:
        print(summary(evaluate(model, validation)))
        draw(model, validation, args.output / "validation")


if __name__ == "__main__":
    main()
