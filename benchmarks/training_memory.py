"""Compares `km.training_memory`'s estimate with the peak memory of real training steps, each in a process of its own.

python benchmarks/training_memory.py

Random images with so many objects that as many RoIs are positive as the config samples; SGD with momentum, float32.
"""

import argparse
import json
import os
import subprocess
import sys

os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "1")  # faster on processors without AVX-512

import numpy as np
import peers
import tensorflow as tf

import keras_maskrcnn as km
from keras_maskrcnn.presets.torchvision import MASK_V1

GROUP_NORM = {"norm": "group_norm", "fpn_norm": "group_norm", "head_norm": "group_norm"}
SMALL = {"depth": 18, "fpn_channels": 128, "mask_head_channels": 128, "box_batch_size": 64, **GROUP_NORM}
SETTINGS = (
    {"size": 256, "batch": 2},
    {"size": 512, "batch": 1},
    {"size": 512, "batch": 2},
    {"size": 512, "batch": 2, "frozen_stages": 2},
    {"size": 512, "batch": 1, "depth": 101},
    {"size": 512, "batch": 1, **GROUP_NORM},
    {"size": 768, "batch": 1, "mask_head": "none"},
    {"size": 320, "batch": 2, **SMALL},
)
OBJECTS = 150


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--only", type=json.loads, help="one setting, as JSON: print its estimate and its peak"
    )
    options = parser.parse_args()
    if options.only is not None:
        print(json.dumps(estimate_and_peak(**options.only)))
        return
    print(f"{peers.machine()}\n| setting | estimate, GiB | peak, GiB | ratio |\n|---|---|---|---|")
    for setting in SETTINGS:
        command = [sys.executable, __file__, "--only", json.dumps(setting)]
        output = subprocess.run(command, capture_output=True, text=True, check=True).stdout
        estimate, peak = json.loads(output.splitlines()[-1])
        print(f"| {setting} | {estimate:.2f} | {peak:.2f} | {estimate / peak:.2f} |", flush=True)


def estimate_and_peak(size, batch, **changes):
    """GiB of the estimate, and of the process at its highest beyond TensorFlow when it has begun to work."""
    fields = {"min_size": size, "max_size": size, "train_min_sizes": (), "frozen_stages": 0, **changes}
    config = km.Config(**{**MASK_V1.to_dict(), **fields})
    records = made_records(batch, size)
    tf.zeros(1) + 1
    before = peers.memory("VmRSS")
    model = km.MaskRCNN(config)
    model.compile(optimizer=km.sgd(1e-4))
    data = next(iter(km.make_dataset(records, config, batch_size=batch)))
    for _ in range(3):
        model.train_on_batch(data)
    peak = peers.memory("VmHWM") - before  # the estimate builds a model of its own, so it comes after
    return km.training_memory(config, batch, records) / 2**30, peak


def made_records(count, size):
    random = np.random.default_rng(0)
    records = []
    for number in range(count):
        sides = np.exp(random.uniform(np.log(size / 16), np.log(size / 2), (OBJECTS, 2)))
        start = random.uniform(0, size - sides)
        boxes = np.concatenate([start, start + sides], axis=1)
        outlines = [[[x1, y1, x2, y1, x2, y2, x1, y2]] for x1, y1, x2, y2 in boxes.tolist()]
        image = peers.made_image(size, size, number)
        records.append(
            km.make_record(image, boxes, random.integers(1, 91, OBJECTS), outlines, image_id=number)
        )
    return records


if __name__ == "__main__":
    main()
