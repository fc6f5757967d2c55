"""What bounds each part of an inference: its operations and bytes, its share of the time, and of its own limit.

    python benchmarks/roofline.py [--size 800x1088] [--rounds 5] [--dtype mixed_bfloat16]

ResNet-50-FPN with random weights and one image with 100 detections; each part is a function of its own, on what the
parts before it made. GFLOP are two for each multiplication of the direct sums; "least" counts 3x3 convolutions of
stride 1 at a quarter, as Winograd's F(4x4) does them. Bytes are what convolutions, products and poolings read and
write, each once. NMS, in proposals and selection, is counted as if each box were compared with all others of its level
or class, 12 operations each, and reads and writes its inputs and results; pasting writes whole masks. The limit is the
longer of the least GFLOP at the machine's own float32 matrix product and the bytes at its copying rate; a share of 100%
is a part at its limit, and more is possible in bfloat16 alone.
"""

import argparse
import os
import statistics
from collections.abc import Callable
from typing import Any, NamedTuple

os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "1")  # faster on processors without AVX-512

import keras
import numpy as np
import peers
import tensorflow as tf

from keras_maskrcnn.detections.from_outputs import make_detections
from keras_maskrcnn.models.detector import image_batch
from keras_maskrcnn.network.dense import proposal_layer
from keras_maskrcnn.network.inference_graph import inference_stages, postprocess_layer
from keras_maskrcnn.network.pooling import roi_align_layer

WINOGRAD = "MaskrcnnConvolve3x3"
MULTIPLYING = ("Conv2D", "MatMul", "BatchMatMulV2", WINOGRAD, "MaskrcnnConvolveDirect")
MOVING = ("MaskrcnnRoiAlign", "MaxPool")
"""Operations that are counted for their bytes alone."""
COMPARISON = 12
"""Operations of an IoU: four corners chosen, two sides, their product, the union, and whether it is too much."""


class Cost(NamedTuple):
    """What a part's operations need, in GFLOP and GB."""

    direct: float = 0.0
    least: float = 0.0
    moved: float = 0.0


class Part(NamedTuple):
    """A part of the model as a function without arguments, and what it needs."""

    run: Callable[[], Any]
    cost: Cost


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--size", default="800x1088", help="height x width of the image")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--dtype", default="float32", choices=("float32", "mixed_bfloat16"))
    options = parser.parse_args()
    keras.config.set_dtype_policy(options.dtype)
    height, width = map(int, options.size.split("x"))
    image = peers.made_image(height, width)
    model, _ = peers.our_model()
    parts = make_parts(model, image)
    costs = {name: part.cost for name, part in parts.items()}
    runs = {name: part.run for name, part in parts.items()} | {"whole": lambda: model.detect(image)}
    rate, copying = peers.matrix_rate(), copying_rate()
    seconds = peers.in_turns(runs, options.rounds)
    rate = (rate + peers.matrix_rate()) / 2  # before and after
    title = f"{peers.machine()}; {options.size}, {options.dtype}; matrix product {rate:.0f} GFLOP/s"
    print(f"{title}, copying {copying:.1f} GB/s\n")
    medians = {name: statistics.median(taken) for name, taken in seconds.items()}
    print_table(medians, costs, rate, copying)


def make_parts(model: Any, image: np.ndarray) -> dict[str, Part]:
    """Return all parts of the model's inference, each with what it takes at hand."""
    network, config = model.network, model.config
    inputs = image_batch([image], config)
    stages = inference_stages(network, config, inputs)
    dense, box, rois = stages["dense"], stages["box_stages"][-1], stages["rois"]
    parts: dict[str, Part] = {"stem": traced(network.backbone.stem_features, dense.normalized)}
    x, features = parts["stem"].run(), {}
    for level, blocks in enumerate(network.backbone.stages, start=2):
        parts[f"res{level}"] = traced(chained(blocks), x)
        x = features[f"C{level}"] = parts[f"res{level}"].run()
    parts["FPN"] = traced(network.fpn, features)
    parts["RPN head"] = traced(network.rpn_head, dense.features)
    predicted = dense.logits, dense.deltas, dense.anchors, dense.limits
    levels = [min(config.pre_nms_top_k, np.prod(x.shape[1:])) for x in tf.nest.flatten(dense.logits)]
    parts["proposals"] = comparing(levels, proposal_layer(config, training=False), *predicted)
    proposals = tf.reshape(stages["proposals"], [-1, 4])
    of_image = tf.zeros([len(proposals)], tf.int32)
    box_align = roi_align_layer(config, config.box_pool_size, "box")
    parts["box RoIAlign"] = traced(box_align, dense.features, proposals, of_image)
    parts["box head"] = traced(network.box_heads[-1], box["pooled"])
    chosen = box["probabilities"], box["deltas"], box["boxes"], stages["valid"], dense.windows
    found = np.reshape(box["probabilities"] > config.score_threshold, (-1, config.num_classes + 1))
    parts["selection"] = comparing(found.sum(axis=0)[1:], postprocess_layer(config), *chosen)
    mask_align = roi_align_layer(config, config.mask_pool_size, "mask")
    parts["mask RoIAlign"] = traced(mask_align, dense.features, rois["boxes"], rois["image_indices"])
    head = network.roi_heads[0]
    parts["mask head"] = traced(
        lambda pooled, classes: head.own_logits(config, pooled, classes),
        stages["mask_features"],
        rois["classes"],
    )
    rows = {name: value[0].numpy() for name, value in stages["outputs"].items()}
    size = tuple(inputs["sizes"][0].numpy().tolist())
    written = len(rows["masks"]) * np.prod(image.shape[:2]) / 1e9
    parts["pasting"] = Part(
        lambda: make_detections(rows, image.shape[:2], size, config.class_names), Cost(moved=written)
    )
    return parts


def chained(blocks: list[Any]) -> Callable[[Any], Any]:
    """One function of layers that follow each other."""

    def run(x):
        for block in blocks:
            x = block(x)
        return x

    return run


def traced(function: Callable[..., Any], *values: Any) -> Part:
    """A function of these values, whose shapes its graph knows."""
    graph = tf.function(lambda *given: function(*given))
    return Part(lambda: graph(*values), cost_of(graph.get_concrete_function(*values).graph))


def comparing(counts: Any, function: Callable[..., Any], *values: Any) -> Part:
    """A function of these values that compares boxes, so many of each level or class."""
    part, counts = traced(function, *values), np.asarray(counts, np.float64)
    flops = COMPARISON * (counts * (counts - 1) / 2).sum() / 1e9
    tensors = tf.nest.flatten([values, part.run()])
    moved = sum(np.prod(tensor.shape.as_list()) * tensor.dtype.size for tensor in tensors) / 1e9
    return Part(part.run, Cost(flops, flops, moved))


def cost_of(graph: Any) -> Cost:
    """Add up what the graph's operations need, by the shapes of their inputs and outputs."""
    direct = least = moved = 0.0
    for operation in graph.get_operations():
        if operation.type not in (*MULTIPLYING, *MOVING):
            continue
        tensors = [*operation.inputs, operation.outputs[0]]
        moved += sum(np.prod(tensor.shape.as_list()) * tensor.dtype.size for tensor in tensors) / 1e9
        if operation.type in MULTIPLYING:
            # each output is a sum over the kernel without its last axis, the outputs' channels
            inner = np.prod(operation.inputs[1].shape[:-1])
            if operation.type == "BatchMatMulV2":
                inner = operation.inputs[0].shape[-1]
            flops = 2 * inner * np.prod(operation.outputs[0].shape.as_list()) / 1e9
            direct += flops
            least += flops / 4 if operation.type == WINOGRAD else flops
    return Cost(direct, least, moved)


def copying_rate() -> float:
    """What copying a tensor that no cache holds reaches, in GB/s read and written."""
    x = tf.ones([64 * 2**20])
    copy = tf.function(lambda: -x)
    return 2 * x.shape[0] * x.dtype.size / min(peers.in_turns({"": copy}, 5)[""]) / 1e9


def print_table(seconds: dict[str, float], costs: dict[str, Cost], rate: float, copying: float) -> None:
    whole = seconds.pop("whole")
    print(
        "| | GFLOP | least | GB | ms | of the whole | limit, ms | of its limit |\n|---|---|---|---|---|---|---|---|"
    )
    limits = {name: 1e3 * max(cost.least / rate, cost.moved / copying) for name, cost in costs.items()}
    for name, taken in seconds.items():
        cost, limit = costs[name], limits[name]
        share = f"{limit:.1f} | {limit / taken / 10:.0f}%"
        numbers = f"{cost.direct:.2f} | {cost.least:.2f} | {cost.moved:.2f} | {1e3 * taken:.1f}"
        print(f"| {name} | {numbers} | {100 * taken / whole:.0f}% | {share} |")
    total = Cost(*(sum(values) for values in zip(*costs.values(), strict=True)))
    numbers = (
        f"{total.direct:.1f} | {total.least:.1f} | {total.moved:.2f} | {1e3 * sum(seconds.values()):.1f}"
    )
    share = 100 * sum(seconds.values()) / whole
    limit = sum(limits.values())
    print(
        f"| all parts | {numbers} | {share:.0f}% | {limit:.1f} | {limit / sum(seconds.values()) / 10:.0f}% |"
    )
    print(f"\n`detect` as a whole: {1e3 * whole:.1f} ms")


if __name__ == "__main__":
    main()
