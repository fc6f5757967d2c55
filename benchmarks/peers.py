"""What the benchmarks share: torchvision's model and ours with the same random weights, and timing in turns."""

import dataclasses
import math
import os
import platform
import statistics
import time
import zlib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "1")  # faster on processors without AVX-512

import numpy as np
import tensorflow as tf

import keras_maskrcnn as km
from keras_maskrcnn.presets.torchvision import MASK_V1
from keras_maskrcnn.weights.sources import table, torchvision
from keras_maskrcnn.weights.transfer import load_state

MISSING = (
    "torchvision is not installed: its rows are left out "
    "(pip install torch==2.11.0 torchvision==0.26.0: 5 GB, best into an environment of their own)"
)
GAINS = {
    "rpn.head.cls_logits": 2.0,
    "rpn.head.bbox_pred": 0.3,
    "cls_score": 2.5,
    "bbox_pred": 0.8,
    "fpn": 0.7,
}


def made_tensor(name: str, shape: tuple[int, ...]) -> np.ndarray:
    """One tensor of torchvision's names, such that features keep their size and some scores are high."""
    random = np.random.default_rng(zlib.crc32(name.encode()))
    leaf = name.rsplit(".", 1)[-1]
    if leaf == "running_var":
        return random.uniform(0.6, 1.4, shape).astype(np.float32)
    if leaf == "weight" and len(shape) == 1:
        low, high = (0.1, 0.3) if ".bn3" in name else (0.7, 1.1)  # residual branches add little
        return random.uniform(low, high, shape).astype(np.float32)
    if len(shape) == 1:
        return random.normal(0, 0.05, shape).astype(np.float32)
    gain = next((gain for part, gain in GAINS.items() if part in name), math.sqrt(2))
    fan_in = shape[0] if "conv5_mask" in name else math.prod(shape[1:])
    return random.normal(0, gain / math.sqrt(fan_in), shape).astype(np.float32)


def our_model(**changes: Any) -> tuple[km.MaskRCNN, dict[str, np.ndarray]]:
    """A Mask R-CNN of torchvision's first kind with randomly generated weights, and these by torchvision's names."""
    model = km.MaskRCNN(dataclasses.replace(MASK_V1, **changes))
    shapes = {name: value.shape for name, value in table.save(torchvision.table(model.network)).items()}
    state = {name: made_tensor(name, shape) for name, shape in shapes.items()}
    load_state(model, dict(state), torchvision)
    return model, state


def torchvision_model(state: Mapping[str, np.ndarray] | None, **options: Any) -> Any:
    """torchvision's model with these weights, or the same made anew; None where it is not installed."""
    try:
        import torch
        from torchvision.models.detection import maskrcnn_resnet50_fpn
    except ImportError:
        print(MISSING)
        return None
    model = maskrcnn_resnet50_fpn(weights=None, weights_backbone=None, **options)
    for module in model.modules():
        if type(module).__name__ == "FrozenBatchNorm2d":
            module.eps = 0.0  # as for the published weights
    if state is None:
        state = {name: made_tensor(name, tuple(value.shape)) for name, value in model.state_dict().items()}
    model.load_state_dict({name: torch.tensor(value) for name, value in state.items()})
    return model


def made_image(height: int, width: int, seed: int = 0) -> np.ndarray:
    """An image of smooth blobs, uint8 RGB."""
    random = np.random.default_rng(seed)
    image = sum(
        tf.image.resize(
            random.normal(size=(height // step + 2, width // step + 2, 3)), (height, width), "bicubic"
        )
        for step in (8, 32, 128)
    )
    return np.clip(128 + 40 * image.numpy(), 0, 255).astype(np.uint8)


def in_turns(runs: Mapping[str, Callable[[], Any]], rounds: int) -> dict[str, list[float]]:
    """Seconds of every run, all in turns; the first round warms up and does not count."""
    seconds: dict[str, list[float]] = {name: [] for name in runs}
    for turn in range(rounds + 1):
        for name, run in runs.items():
            start = time.perf_counter()
            run()
            if turn:
                seconds[name].append(time.perf_counter() - start)
    return seconds


def print_table(seconds: Mapping[str, list[float]], base: str, note: Mapping[str, str] | None = None) -> None:
    """Print medians, ranges, and the ratios to a base that is a median of the same run."""
    reference = statistics.median(seconds[base])
    print("| | seconds (median) | from - to | ratio | |\n|---|---|---|---|---|")
    for name, taken in seconds.items():
        median = statistics.median(taken)
        span = f"{min(taken):.3f} - {max(taken):.3f}"
        print(f"| {name} | {median:.3f} | {span} | {median / reference:.2f} | {(note or {}).get(name, '')} |")


def machine() -> str:
    """The processor, the number of cores and the versions that were measured."""
    model = platform.processor()
    info = Path("/proc/cpuinfo")
    if info.exists():
        names = [
            line.split(":")[1].strip()
            for line in info.read_text().splitlines()
            if line.startswith("model name")
        ]
        model = names[0] if names else model
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return f"{model}, {cores} cores, TensorFlow {tf.__version__}"


def memory(kind: str) -> float:
    """This process's memory in GiB: "VmRSS" now, "VmHWM" at its highest (Linux)."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(kind)) / 2**20


def matrix_rate(rounds: int = 5, size: int = 3072) -> float:
    """What the machine's own float32 matrix product reaches, in GFLOP/s."""
    a = tf.random.stateless_normal((size, size), (1, 2))
    product = tf.function(lambda: tf.reduce_sum(tf.matmul(a, a)))
    return 2 * size**3 / min(in_turns({"": product}, rounds)[""]) / 1e9
