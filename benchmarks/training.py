"""Times a training step against torchvision, and compares the peak memory of the two.

python benchmarks/training.py [--size 512] [--batch 2] [--rounds 5]

ResNet-50-FPN, all layers trained but frozen batch norms, float32, SGD with momentum; the same random weights, images
and objects; steps in turns in one process. Peak memory is that of a process of its own for each row.
"""

import argparse
import os
import subprocess
import sys

os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "1")  # faster on processors without AVX-512

import keras
import numpy as np
import peers
import tensorflow as tf

import keras_maskrcnn as km
from keras_maskrcnn.utils.heap import give_back

OBJECTS = 8
OURS = "ours"
RECOMPUTED = {"ours, stem and res2 recomputed": 2, "ours, backbone recomputed": 5}
"""Stages."""


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--size", type=int, default=512, help="side of the images")
    parser.add_argument("--batch", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument(
        "--only", choices=("torchvision", OURS, *RECOMPUTED), help="run one side and print its peak memory"
    )
    options = parser.parse_args()
    if options.only is not None:
        print_peak(options)
        return
    model, state = our_model(options.size)
    examples = make_examples(options.batch, options.size)
    runs = {}
    theirs = torchvision_model(state, options.size)
    if theirs is not None:
        runs["torchvision"] = torchvision_step(theirs, examples)
    runs[OURS] = our_step(model, examples)
    for name, stages in RECOMPUTED.items():
        runs[name] = our_step(our_model(options.size, recomputed_stages=stages)[0], examples)
    print_agreement(model, theirs, examples)
    seconds = peers.in_turns(runs, options.rounds)
    print(f"{peers.machine()}; {options.batch} x {options.size} x {options.size}")
    peers.print_table(seconds, next(iter(runs)), {name: peak_of(name, options) for name in runs})


def our_model(size, **changes):
    return peers.our_model(
        min_size=size,
        max_size=size,
        train_min_sizes=(),
        frozen_stages=0,
        horizontal_flip_probability=0.0,
        **changes,
    )


def torchvision_model(state, size):
    model = peers.torchvision_model(state, min_size=size, max_size=size)
    if model is not None:
        for parameter in model.parameters():
            parameter.requires_grad_(True)
        model.train()
    return model


def make_examples(batch, size, objects=OBJECTS):
    """Images, and for each `objects` boxes of many sizes with masks that are ellipses in them."""
    random = np.random.default_rng(1)
    examples = []
    for seed in range(batch):
        sides = np.exp(random.uniform(np.log(size / 16), np.log(size / 2), (objects, 2)))
        start = random.uniform(0, size - sides)
        boxes = np.concatenate([start, start + sides], axis=1).astype(np.float32)
        y, x = np.mgrid[:size, :size] + 0.5
        middle, half = (boxes[:, :2] + boxes[:, 2:]) / 2, sides / 2
        masks = np.stack(
            [
                ((x - m[0]) / h[0]) ** 2 + ((y - m[1]) / h[1]) ** 2 <= 1
                for m, h in zip(middle, half, strict=True)
            ]
        )
        classes = random.integers(1, 91, objects)
        examples.append((peers.made_image(size, size, seed), boxes, masks, classes))
    return examples


def records_of(examples):
    return [
        km.make_record(image, masks=masks, boxes=boxes, class_ids=classes, image_id=number)
        for number, (image, boxes, masks, classes) in enumerate(examples)
    ]


def batch_of(model, examples):
    records = records_of(examples)
    return next(iter(km.make_dataset(records, model.config, batch_size=len(records))))


def our_step(model, examples):
    batch = batch_of(model, examples)
    model.compile(optimizer=km.sgd(1e-4))
    return lambda: model.train_on_batch(batch, return_dict=True)


def torchvision_inputs(examples):
    import torch

    images = [torch.tensor(image.transpose(2, 0, 1) / np.float32(255)) for image, *_ in examples]
    targets = [
        {
            "boxes": torch.tensor(boxes),
            "labels": torch.tensor(classes),
            "masks": torch.tensor(masks, dtype=torch.uint8),
        }
        for _, boxes, masks, classes in examples
    ]
    return images, targets


def torchvision_step(model, examples):
    import torch

    images, targets = torchvision_inputs(examples)
    optimizer = torch.optim.SGD(model.parameters(), lr=1e-4, momentum=0.9, weight_decay=1e-4)

    def step():
        optimizer.zero_grad()
        losses = model(images, targets)
        sum(losses.values()).backward()
        optimizer.step()
        return {name: float(value) for name, value in losses.items()}

    return step


def print_agreement(model, theirs, examples):
    """Proposals, sampled boxes and positives of the first step."""
    ours = counts_of_ours(model, examples)
    print(f"ours: {ours}")
    if theirs is not None:
        print(f"torchvision: {counts_of_torchvision(theirs, examples)}")


def counts_of_ours(model, examples):
    graph = model.training_graph
    proposals = graph.get_layer("proposals").output[1]
    names = ("boxes", "classes", "deltas", "matched", "valid")  # as Keras orders them
    sample = dict(zip(names, graph.get_layer("proposal_targets").output, strict=True))
    counted = keras.Model(
        graph.input, {"proposals": proposals, "valid": sample["valid"], "classes": sample["classes"]}
    )
    found = counted(batch_of(model, examples))
    return {
        "proposals": int(tf.reduce_sum(tf.cast(found["proposals"], tf.int32))),
        "sampled": int(tf.reduce_sum(tf.cast(found["valid"], tf.int32))),
        "positive": int(tf.reduce_sum(tf.cast(found["classes"] > 0, tf.int32))),
    }


def counts_of_torchvision(model, examples):
    import torch

    counts = {}
    heads, select = model.roi_heads, model.roi_heads.select_training_samples

    def watched(proposals, targets):
        counts["proposals"] = sum(len(p) for p in proposals)
        found = select(proposals, targets)
        counts["sampled"] = sum(len(labels) for labels in found[2])
        counts["positive"] = sum(int((labels > 0).sum()) for labels in found[2])
        return found

    heads.select_training_samples = watched
    with torch.no_grad():
        model(*torchvision_inputs(examples))
    del heads.select_training_samples
    return counts


def print_peak(options):
    """Run some steps of one side; the imported frameworks are not counted."""
    examples = make_examples(options.batch, options.size)
    if options.only == "torchvision":
        import torchvision.models.detection  # noqa: F401
    before = peers.memory("VmRSS")
    if options.only == "torchvision":
        step = torchvision_step(torchvision_model(None, options.size), examples)
    else:
        model = our_model(options.size, recomputed_stages=RECOMPUTED.get(options.only, 0))[0]
        step = our_step(model, examples)
    give_back()  # what making the weights left
    for _ in range(3):
        step()
    print(f"peak memory {peers.memory('VmHWM') - before:.2f} GiB beyond the imports")


def peak_of(name, options):
    command = [
        sys.executable,
        __file__,
        "--only",
        name,
        "--size",
        str(options.size),
        "--batch",
        str(options.batch),
    ]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.splitlines()[-1]


if __name__ == "__main__":
    main()
