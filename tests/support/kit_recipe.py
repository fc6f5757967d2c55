"""The weights that the kits were recorded with: drawn from a seed and a tensor's name, so that no file need hold them.

They are random, but of such spreads that activations neither vanish nor explode, and that scores are neither tied nor
saturated. Each tensor has a generator of its own. The order and kind of every draw is part of the recipe: the original
frameworks computed what the kits hold with exactly these values.
"""

import zlib
from collections.abc import Mapping

import numpy as np

RELU_GAIN, RELU_GAIN_OF_MATTERPORT = 1.4142135, 1.4142
RAW_PIXELS = 58.0
"""A deviation of pixels, by which no input of these models is divided: their first layer's weights are instead."""
TRANSPOSED = ("conv5_mask", "deconv", "kps_score_lowres", "score_lowres", "mask_head.upsample")
"""In names of torch's transposed convolutions, which store their inputs first."""
GAINS = {
    "rpn.head.cls_logits": 2.0,
    "objectness_logits": 2.0,
    "rpn.head.bbox_pred": 0.3,
    "anchor_deltas": 0.3,
    "rpn_cls": 2.0,
    "rpn_reg": 0.3,
    "cls_score": 2.5,
    "bbox_pred": 0.8,
    "fc_cls": 2.5,
    "fc_reg": 0.8,
    "fpn": 0.7,
    "neck.": 0.7,
    "stem.conv1.weight": RELU_GAIN / RAW_PIXELS,
}
"""How far a layer spreads its inputs, by what its name in torch has in it; the first that fits."""
MATTERPORT_GAINS = {
    "conv1": RELU_GAIN_OF_MATTERPORT / RAW_PIXELS,
    "rpn_class_raw": 2.0,
    "rpn_bbox_pred": 0.6,
    "mrcnn_class_logits": 2.5,
    "mrcnn_bbox_fc": 0.8,
}


def weights(
    source: str, shapes: Mapping[str, tuple[int, ...]], seed: int, raw_pixels: bool = False
) -> dict[str, np.ndarray]:
    """Return a checkpoint's tensors by name.

    Args:
        source: "torchvision", "detectron2", "mmdet" or "matterport", which say how names and layouts are to be read.
        shapes: the tensors' shapes by name, as the source stores them.
        seed: the seed of the whole checkpoint.
        raw_pixels: whether MMDetection does not divide the pixels by a deviation ("caffe").
    """
    draw = _matterport_tensor if source == "matterport" else _torch_tensor
    tensors = {name: draw(name, tuple(shape), seed) for name, shape in shapes.items()}
    if raw_pixels:
        tensors["backbone.conv1.weight"] /= np.float32(RAW_PIXELS)
    return tensors


def _torch_tensor(name: str, shape: tuple[int, ...], seed: int) -> np.ndarray:
    rng = np.random.default_rng([seed, zlib.crc32(name.encode())])
    kind = name.rpartition(".")[2]
    if kind == "num_batches_tracked":
        return np.zeros(shape, np.int64)
    if kind == "running_var":
        values = rng.uniform(0.6, 1.4, shape)
    elif kind == "running_mean":
        values = rng.normal(0.0, 0.1, shape)
    elif kind == "bias":
        values = rng.normal(0.0, 0.05, shape)
    elif kind == "weight" and len(shape) == 1:  # a normalisation's, small where a residual block ends
        ends_block = name.endswith(("bn3.weight", "gn3.weight", "conv3.norm.weight"))
        values = rng.uniform(*((0.1, 0.3) if ends_block else (0.7, 1.1)), shape)
    else:
        values = rng.normal(0.0, _torch_gain(name, shape) / np.sqrt(_torch_inputs(name, shape)), shape)
    return values.astype(np.float32)


def _torch_gain(name: str, shape: tuple[int, ...]) -> float:
    part = next((part for part in GAINS if part in name), None)
    if part == "cls_score" and shape[0] <= 2:
        return 0.8  # two classes' scores are saturated sooner
    return GAINS.get(part, RELU_GAIN)


def _torch_inputs(name: str, shape: tuple[int, ...]) -> int:
    """How many inputs each output sums over."""
    if len(shape) == 4:
        return shape[0] if any(part in name for part in TRANSPOSED) else int(np.prod(shape[1:]))
    return shape[1] if len(shape) == 2 else 1


def _matterport_tensor(name: str, shape: tuple[int, ...], seed: int) -> np.ndarray:
    layer, kind = name.removesuffix(":0").split("/")[-2:]
    rng = np.random.RandomState(zlib.crc32(f"{layer}/{kind}:{seed}".encode()) & 0x7FFFFFFF)
    if kind == "gamma":
        values = rng.uniform(*((0.1, 0.3) if layer.endswith("2c") else (0.7, 1.1)), shape)
    elif kind == "moving_variance":
        values = rng.uniform(0.6, 1.4, shape)
    elif kind in ("moving_mean", "beta", "bias"):
        values = rng.normal(0, 0.1 if kind == "moving_mean" else 0.05, shape)
    else:
        gain = 0.7 if layer.startswith("fpn") else MATTERPORT_GAINS.get(layer, RELU_GAIN_OF_MATTERPORT)
        inputs = shape[-1] if layer == "mrcnn_mask_deconv" else np.prod(shape[:-1])
        values = rng.normal(0, gain / np.sqrt(inputs), shape)
    return values.astype(np.float32)
