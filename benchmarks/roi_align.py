"""Times RoIAlign, compiled and plain, and crop_and_resize, forward and with the gradient to the features.

python benchmarks/roi_align.py [--boxes 1000] [--size 7] [--channels 256] [--rounds 9]

All run in turns in one process, on levels P2-P5 of an 800 x 1088 image. With torchvision installed, its
roi_align is timed as well, level by level as its models call it.
"""

import argparse
import os
import statistics
import time

os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "1")  # faster on processors without AVX-512

import numpy as np
import tensorflow as tf

from keras_maskrcnn.ops.library import SWITCH
from keras_maskrcnn.ops.roi_align import roi_align as our_roi_align

HEIGHT, WIDTH = 800, 1088
STRIDES = (4, 8, 16, 32)


def make_case(boxes, channels):
    """Features of the pyramid, and boxes of all sizes with the level each belongs to."""
    random = np.random.default_rng(0)
    features = [
        tf.constant(random.normal(size=(1, HEIGHT // s, WIDTH // s, channels)), tf.float32) for s in STRIDES
    ]
    centre = random.uniform([0, 0], [WIDTH, HEIGHT], (boxes, 2))
    size = np.exp(random.uniform(np.log(16), np.log(600), (boxes, 2)))
    corners = np.concatenate([centre - size / 2, centre + size / 2], 1)
    corners = np.float32(corners.clip(0, [WIDTH, HEIGHT] * 2))
    side = np.sqrt(np.prod(corners[:, 2:] - corners[:, :2], axis=1))
    levels = np.int32(np.clip(np.floor(4 + np.log2(side / 224 + 1e-6)), 2, 5) - 2)
    return features, corners, levels


def crop_and_resize(features, boxes, levels, size, samples):
    """RoIAlign's stand-in, level by level: its values differ at the borders, and its gradient loses sums."""
    pooled = []
    for level, (feature, stride) in enumerate(zip(features, STRIDES, strict=True)):
        scale = tf.cast(tf.shape(feature)[1:3] - 1, tf.float32)[::-1]
        chosen = tf.boolean_mask(boxes, levels == level) / (stride * tf.concat([scale, scale], 0))
        chosen = tf.gather(chosen, [1, 0, 3, 2], axis=1)
        indices = tf.zeros(tf.shape(chosen)[:1], tf.int32)
        crops = tf.image.crop_and_resize(feature, chosen, indices, [size * samples] * 2)
        pooled.append(tf.nn.avg_pool2d(crops, samples, samples, "VALID") if samples > 1 else crops)
    return tf.concat(pooled, 0)


def tensorflow_runs(features, boxes, levels, size):
    """Forward and forward + backward of each candidate, as functions without arguments."""
    images = np.zeros_like(levels)

    def roi_align(choice, ratio, mode):
        def pool(features):
            os.environ[SWITCH] = choice
            settings = {"strides": STRIDES, "output_size": size, "sampling_ratio": ratio, "mode": mode}
            return our_roi_align(features, boxes, images, levels, aligned=False, **settings)

        return pool

    pools = {
        f"{choice}, {mode}, {f'{ratio} samples' if ratio else 'adaptive'}": roi_align(choice, ratio, mode)
        for choice in ("compiled", "plain")
        for mode, ratio in (("average", 2), ("average", 0), ("max", 2))
    }
    for samples in (1, 2):
        pools[f"crop_and_resize, {samples} sample{'s' * (samples > 1)}"] = lambda features, samples=samples: (
            crop_and_resize(features, boxes, levels, size, samples)
        )
    return {name: both_ways(pool, features) for name, pool in pools.items()}


def both_ways(pool, features):
    forward = tf.function(pool)

    @tf.function
    def backward(features):
        pooled = pool(features)
        return pooled, tf.gradients(pooled, features, pooled)

    return lambda: forward(features), lambda: backward(features)


def torchvision_runs(features, boxes, levels, size):
    import torch
    from torchvision.ops import roi_align

    maps = [torch.tensor(f.numpy().transpose(0, 3, 1, 2), requires_grad=True) for f in features]
    on_level = [torch.tensor(boxes[levels == level]) for level in range(len(maps))]

    def forward():
        return [
            roi_align(feature, [some], size, 1 / stride, 2, False)
            for feature, some, stride in zip(maps, on_level, STRIDES, strict=True)
        ]

    def only_forward():
        with torch.no_grad():
            forward()

    def backward():
        pooled = forward()
        torch.autograd.grad(pooled, maps, [value.detach() for value in pooled])

    return {"torchvision, average, 2 samples": (only_forward, backward)}


def medians(runs, rounds):
    """Median milliseconds of every function, all in turns."""
    times = {(name, way): [] for name in runs for way in range(2)}
    for turn in range(rounds + 1):
        for (name, way), taken in times.items():
            start = time.perf_counter()
            runs[name][way]()
            if turn:  # the first one traces and warms up
                taken.append(time.perf_counter() - start)
    return {key: 1000 * statistics.median(taken) for key, taken in times.items()}


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--boxes", type=int, default=1000)
    parser.add_argument("--size", type=int, default=7, help="bins on a side")
    parser.add_argument("--channels", type=int, default=256)
    parser.add_argument("--rounds", type=int, default=9)
    options = parser.parse_args()
    features, boxes, levels = make_case(options.boxes, options.channels)
    runs = tensorflow_runs(features, boxes, levels, options.size)
    try:
        runs |= torchvision_runs(features, boxes, levels, options.size)
    except ImportError:
        print("torchvision is not installed (pip install torch==2.11.0 torchvision==0.26.0): left out")
    taken = medians(runs, options.rounds)
    base = next(iter(runs))
    print(
        f"{options.boxes} x {options.size} x {options.size} x {options.channels}, {os.cpu_count()} cores, medians"
    )
    print("| | forward ms | ratio | forward + backward ms | ratio |\n|---|---|---|---|---|")
    for name in runs:
        cells = [f"{taken[name, way]:.1f} | {taken[name, way] / taken[base, way]:.1f}" for way in range(2)]
        print(f"| {name} | {' | '.join(cells)} |")


if __name__ == "__main__":
    main()
