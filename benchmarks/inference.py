"""Times whole-model inference against torchvision, and its dense part against the machine's own matrix product.

python benchmarks/inference.py [--size 800x1088] [--rounds 5]

ResNet-50-FPN, one image, float32, masks pasted to the image's size; both models have the same random weights and
run in turns in one process. The dense part is the backbone, the pyramid and the RPN's head; its rate counts the
direct sum's multiplications, of which Winograd's convolution needs a quarter.
"""

import argparse
import functools
import os
import statistics

os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "1")  # faster on processors without AVX-512

import numpy as np
import peers
import tensorflow as tf

from keras_maskrcnn.models.detector import image_batch
from keras_maskrcnn.network.dense import dense_outputs
from keras_maskrcnn.ops.library import SWITCH


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--size", default="800x1088", help="height x width of the image")
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    height, width = map(int, options.size.split("x"))
    image = peers.made_image(height, width)
    model, state = peers.our_model()
    theirs = peers.torchvision_model(state)
    runs = {}
    if theirs is not None:
        runs |= torchvision_runs(theirs, image)
        print_agreement(model.detect(image)[0], runs["torchvision, whole"]())
    runs["ours, whole"] = lambda: model.detect(image)
    runs |= dense_runs(model, image)
    flops = dense_flops(model, image)
    rate = peers.matrix_rate()
    seconds = peers.in_turns(runs, options.rounds)
    rate = (rate + peers.matrix_rate()) / 2  # before and after
    notes = {}
    for name in (name for name in runs if ", dense" in name and "whole" not in name):
        reached = flops / statistics.median(seconds[name]) / 1e9
        notes[name] = f"{reached:.0f} GFLOP/s, {100 * reached / rate:.0f}% of the matrix product"
    print(
        f"{peers.machine()}; {options.size}; dense part {flops / 1e9:.0f} GFLOP, matrix product {rate:.0f} GFLOP/s"
    )
    peers.print_table(seconds, next(iter(runs)), notes)


def torchvision_runs(model, image):
    import torch

    model.eval()
    tensor = torch.tensor(image.transpose(2, 0, 1) / np.float32(255))
    with torch.no_grad():
        padded, _ = model.transform([tensor])

    def whole():
        with torch.no_grad():
            return {key: value.numpy() for key, value in model([tensor])[0].items()}

    def dense():
        with torch.no_grad():
            model.rpn.head(list(model.backbone(padded.tensors).values()))

    return {"torchvision, whole": whole, "torchvision, dense part": dense}


def dense_part(model, choice):
    """The dense part as a function, with the operations that KERAS_MASKRCNN_OPS=choice stands for."""

    def run(inputs):
        os.environ[SWITCH] = choice  # when it is traced
        return dense_outputs(model.network, inputs)._asdict()

    return tf.function(run)


def dense_runs(model, image):
    inputs = image_batch([image], model.config)
    names = {"ours, dense part": "auto", "ours, dense part, direct convolutions": "plain"}
    functions = {name: dense_part(model, choice) for name, choice in names.items()}
    return {name: functools.partial(function, inputs) for name, function in functions.items()}


def dense_flops(model, image):
    """Twice the multiplications of the dense part's convolutions, done directly."""
    graph = dense_part(model, "plain").get_concrete_function(image_batch([image], model.config))
    flops = 0
    for operation in graph.graph.get_operations():
        if operation.type == "Conv2D":
            kernel = operation.inputs[1].shape
            flops += 2 * int(np.prod(kernel[:3])) * int(np.prod(operation.outputs[0].shape))
    os.environ[SWITCH] = "auto"
    return flops


def print_agreement(ours, theirs):
    """Detections of the two, one to one: same class, boxes within a pixel."""
    same = sum(
        bool(((np.abs(theirs["boxes"] - box).max(1) < 1) & (theirs["labels"] == class_id)).any())
        for box, class_id in zip(ours.boxes, ours.class_ids, strict=True)
    )
    print(f"detections: {len(ours)} ours, {len(theirs['scores'])} torchvision's, {same} the same")


if __name__ == "__main__":
    main()
