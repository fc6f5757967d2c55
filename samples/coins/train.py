"""Train a Mask R-CNN from scratch on one photograph of coins, in a few minutes on a laptop's CPU.

    python samples/coins/train.py

The photograph comes with scikit-image: 24 Greek coins from Pompeii. A classical segmentation finds their outlines;
the 16 coins of the four left columns train the network, the 8 of the two right columns judge it.
"""

import argparse
import os
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")  # no lines about missing GPUs
os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "1")  # faster on processors without AVX-512

import keras
import numpy as np
from PIL import Image
from scipy import ndimage
from skimage import data, filters, measure, segmentation

import keras_maskrcnn as km

# Rows and columns of the photograph. The bottom row of coins stands further right than the others.
TRAINING_PARTS = (slice(0, 222), slice(0, 243)), (slice(222, 303), slice(0, 271))
VALIDATION_PARTS = (slice(0, 222), slice(243, 384)), (slice(222, 303), slice(271, 384))


def label_coins(photograph):
    """Give the pixels of every coin a number of their own: a watershed of the edges, from dark to bright."""
    markers = np.zeros(photograph.shape, int)
    markers[photograph < 30], markers[photograph > 150] = 1, 2
    coins = segmentation.watershed(filters.sobel(photograph), markers) == 2
    labels = measure.label(ndimage.binary_fill_holes(coins))
    for region in measure.regionprops(labels):
        if region.area < 100:  # a speck beside the third coin
            labels[labels == region.label] = 0
    return labels


def make_record(image, labels, name):
    """Make the record of an image, all of whose coins that show enough to be recognised count."""
    masks = [labels == label for label in np.unique(labels) if label and (labels == label).sum() >= 40]
    return km.make_record(image, masks=masks or None, class_ids=[1] * len(masks), image_id=name)


def random_crops(photograph, labels, count, seed):
    """Crop `count` windows from the training parts, each rotated and flipped at random."""
    rng = np.random.default_rng(seed)
    records = []
    for number in range(count):
        rows, columns = TRAINING_PARTS[int(rng.random() < 0.25)]
        part = np.stack([photograph[rows, columns], labels[rows, columns]])
        height, width = (int(rng.integers(78, min(side, 150) + 1)) for side in part.shape[1:])
        y, x = (
            int(rng.integers(0, side - size + 1))
            for side, size in zip(part.shape[1:], (height, width), strict=True)
        )
        window = np.rot90(part[:, y : y + height, x : x + width], int(rng.integers(4)), axes=(1, 2))
        if rng.random() < 0.5:
            window = window[:, :, ::-1]
        records.append(make_record(window[0].astype(np.uint8), window[1], f"crop {number}"))
    return records


def small_config(**changes):
    """A small network: there is one class, the coins are large, and two minutes are better than ten."""
    return km.Config(
        class_names=("coin",),
        channels=1,
        pixel_mean=(96.0,),
        pixel_std=(53.0,),
        min_size=160,
        max_size=320,
        depth=18,
        norm="group_norm",
        fpn_norm="group_norm",
        head_norm="group_norm",
        frozen_stages=0,
        fpn_channels=128,
        box_head_channels=256,
        mask_head_channels=128,
        rpn_batch_size=128,
        box_batch_size=64,
        post_nms_top_k_train=200,
        post_nms_top_k=100,
        roi_aligned=True,
        **changes,
    )


def make_optimizer(steps):
    """AdamW, with a short warm-up and a rate that falls to nothing."""
    rate = keras.optimizers.schedules.CosineDecay(
        1e-5, steps, warmup_target=5e-4, warmup_steps=max(1, steps // 10)
    )
    return keras.optimizers.AdamW(rate, weight_decay=1e-3, clipnorm=5.0)


def train(records, steps):
    """Return a model that has seen each record once, two per step."""
    config = small_config()
    model = km.MaskRCNN(config)
    # a graph of the training takes half a minute to make, which does not pay for a few steps
    model.compile(optimizer=make_optimizer(steps), run_eagerly=steps < 10)
    model.fit(km.make_dataset(records, config, batch_size=2, training=True))
    return model


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--steps", type=int, default=320, help="training steps of two crops each")
    parser.add_argument("--output", type=Path, default=Path("coins.png"), help="the image to write")
    args = parser.parse_args()
    keras.utils.set_random_seed(0)

    photograph = data.coins()
    labels = label_coins(photograph)
    training = random_crops(photograph, labels, 2 * args.steps, seed=0)
    validation = [
        make_record(photograph[part], labels[part], f"part {i}") for i, part in enumerate(VALIDATION_PARTS)
    ]
    coins = sum(len(record.boxes) for record in validation)
    print(
        f"{len(training)} crops with {sum(len(r.boxes) for r in training)} coins train, {coins} coins validate"
    )

    model = train(training, args.steps)

    scores = km.evaluate_coco(model, validation, progress=False)
    save_image(model, validation, args.output)
    print(f"The validation coins with their detections: {args.output.resolve()}")
    print(f"box AP {scores['box_AP']:.2f} AP50 {scores['box_AP50']:.2f}")
    print(f"mask AP {scores['mask_AP']:.2f} AP50 {scores['mask_AP50']:.2f}")


def save_image(model, validation, path):
    """Draw the detections on the validation parts, enlarged, one below the other."""
    enlarged = [np.kron(record.image, np.ones((4, 4), np.uint8)) for record in validation]
    drawn = [found.draw() for found in model.detect(enlarged)]
    image = Image.new("RGB", (max(d.width for d in drawn), sum(d.height for d in drawn)))
    top = 0
    for part in drawn:
        image.paste(part, (0, top))
        top += part.height
    image.save(path)


if __name__ == "__main__":
    main()
