"""Train a Mask R-CNN from scratch on drawn shapes of three classes that overlap, with no data but this script.

    python samples/shapes/train.py

Images are drawn when they are asked for: a sequence with a length and `[i]` is all that a dataset needs to be.
"""

import argparse
import os
from collections.abc import Sequence
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")  # no lines about missing GPUs
os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "1")  # faster on processors without AVX-512

import keras
import numpy as np
from skimage import draw, filters

import keras_maskrcnn as km

CLASSES = ("circle", "square", "triangle")
HEIGHT = 128


class Shapes(Sequence):
    """`count` images of one to six shapes; image i depends on the seed and on i alone."""

    def __init__(self, count, seed):
        self.count, self.seed = count, seed

    def __len__(self):
        return self.count

    def __getitem__(self, index):
        rng = np.random.default_rng((self.seed, index))
        width = int(rng.integers(128, 193))
        noise = filters.gaussian(rng.uniform(0, 255, (HEIGHT, width, 3)), sigma=3, channel_axis=2)
        image = 255 * (noise - noise.min()) / np.ptp(noise)
        owner = np.zeros((HEIGHT, width), int)  # which shape each pixel shows, 0 for none
        classes, sizes = [], []
        for _ in range(int(rng.integers(1, 7))):
            class_id = int(rng.integers(1, len(CLASSES) + 1))
            shape = random_shape(rng, CLASSES[class_id - 1], width)
            covered = np.where(shape, len(classes) + 1, owner)
            visible = [(covered == i + 1).sum() for i in range(len(sizes))]
            if any(seen < 0.5 * size for seen, size in zip(visible, sizes, strict=True)):
                continue  # it would hide another shape too much to be recognised
            owner = covered
            image[shape] = rng.uniform(0, 255, 3) + rng.normal(0, 12, (shape.sum(), 1))
            classes.append(class_id)
            sizes.append(shape.sum())
        masks = np.stack([owner == i + 1 for i in range(len(classes))])
        image = np.clip(image, 0, 255).astype(np.uint8)
        return km.make_record(image, masks=masks, class_ids=classes, image_id=f"shapes {index}")


def random_shape(rng, name, width):
    """Return the pixels [HEIGHT, width] of one shape, wholly inside the image."""
    radius = rng.uniform(10, 34)
    y, x = rng.uniform(radius, HEIGHT - radius), rng.uniform(radius, width - radius)
    if name == "circle":
        return draw.polygon2mask((HEIGHT, width), corners(y, x, radius, 60, 0))
    return draw.polygon2mask(
        (HEIGHT, width), corners(y, x, radius, {"square": 4, "triangle": 3}[name], rng.uniform(0, 7))
    )


def corners(y, x, radius, count, turn):
    """Return the corners [count, 2] (y, x) of a regular polygon."""
    angles = turn + np.linspace(0, 2 * np.pi, count, endpoint=False)
    return np.stack([y + radius * np.sin(angles), x + radius * np.cos(angles)], axis=1)


def small_config():
    """A small network, for images of this size, that needs no published weights."""
    return km.Config(
        class_names=CLASSES,
        min_size=HEIGHT,
        max_size=256,
        depth=18,
        norm="group_norm",
        fpn_norm="group_norm",
        head_norm="group_norm",
        frozen_stages=0,
        fpn_channels=128,
        anchor_sizes=((16,), (32,), (64,), (128,), (256,)),
        box_head_channels=256,
        mask_head_channels=128,
        rpn_batch_size=128,
        box_batch_size=64,
        post_nms_top_k_train=300,
        post_nms_top_k=200,
        roi_aligned=True,
    )


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--steps", type=int, default=900, help="training steps of four images each")
    parser.add_argument("--validation", type=int, default=200, help="images to evaluate on")
    parser.add_argument("--output", type=Path, default=Path("shapes.png"), help="the image to write")
    args = parser.parse_args()
    keras.utils.set_random_seed(0)

    config = small_config()
    model = km.MaskRCNN(config)
    rate = keras.optimizers.schedules.CosineDecay(
        1e-5, args.steps, warmup_target=5e-4, warmup_steps=args.steps // 10
    )
    model.compile(optimizer=keras.optimizers.AdamW(rate, weight_decay=1e-3, clipnorm=5.0))
    training, validation = Shapes(4 * args.steps, seed=0), Shapes(args.validation, seed=1)
    model.fit(km.make_dataset(training, config, batch_size=4, training=True))

    scores = km.evaluate_coco(model, validation, per_class=True)
    enlarged = np.kron(validation[0].image, np.ones((4, 4, 1), np.uint8))
    model.detect(enlarged)[0].draw().save(args.output)
    print(f"An image with its detections: {args.output.resolve()}")
    for name in CLASSES:
        print(f"{name}: box AP {scores[f'box_AP/{name}']:.2f} mask AP {scores[f'mask_AP/{name}']:.2f}")
    print(f"box AP {scores['box_AP']:.2f} AP50 {scores['box_AP50']:.2f}")
    print(f"mask AP {scores['mask_AP']:.2f} AP50 {scores['mask_AP50']:.2f}")


if __name__ == "__main__":
    main()
