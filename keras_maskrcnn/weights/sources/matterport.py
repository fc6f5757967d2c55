"""The names of the tensors of Matterport's Mask R-CNN in Keras 2's HDF5 files, and the order of its channels."""

import re
from collections.abc import Iterator, Mapping

import keras
import numpy as np

from keras_maskrcnn.layers.convolution import ConvNorm
from keras_maskrcnn.layers.resnet import BLOCKS
from keras_maskrcnn.network.network import Network
from keras_maskrcnn.weights.sources.table import SAME, Entry, Layout, parameters, refuse_parts, unnamed_parts

IGNORED = ("anchors/*",)
"""The anchors, which versions for TensorFlow 2 save as a variable."""

KERAS = {name: f"/{name}:0" for name in ("kernel", "bias", "gamma", "beta", "moving_mean", "moving_variance")}


def _swap_axes(x: np.ndarray) -> np.ndarray:
    return x.reshape(*x.shape[:-1], -1, 4)[..., [1, 0, 3, 2]].reshape(x.shape)


DELTAS = Layout(_swap_axes, _swap_axes)
"""dy, dx, dh, dw of each anchor or class to dx, dy, dw, dh."""


def dense_from_conv(size: int) -> Layout:
    """Return the layout of a dense layer that is a convolution there, whose kernel covers all `size` x `size` cells."""
    return Layout(lambda x: x.reshape(-1, x.shape[-1]), lambda x: x.reshape(size, size, -1, x.shape[-1]))


def rename(state: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Return `state` without the numbers that Keras 2 appends to names when a model is built once more.

    That file has "conv1/conv1_1/kernel:0" where another has "conv1/conv1/kernel:0".

    Raises:
        ValueError: a tensor is there under both names.
    """
    renamed: dict[str, np.ndarray] = {}
    for key, array in state.items():
        name = re.sub(r"_\d+(?=/[^/]+$)", "", key)
        if name in renamed:
            raise ValueError(f"The weights hold {name} more than once")
        renamed[name] = array
    return renamed


def describe(state: Mapping[str, np.ndarray]) -> tuple[int, int]:
    """Return a file's depth, 50 or 101, and its number of classes without the background.

    Args:
        state: the file's tensors, by `rename`'s names.

    Raises:
        ValueError: they are no Mask R-CNN of Matterport's; the message says what is missing.
    """
    bias = state.get("mrcnn_class_logits/mrcnn_class_logits/bias:0")
    if bias is None or bias.ndim != 1 or len(bias) < 2:
        raise ValueError(
            "The weights are not Matterport's Mask R-CNN: they hold no biases mrcnn_class_logits"
        )
    depths = {BLOCKS[depth][2]: depth for depth in (50, 101)}
    blocks = sum(bool(re.fullmatch(r"res4[a-z]_branch2a/.*/kernel:0", key)) for key in state)
    if blocks not in depths:
        known = " and ".join(f"ResNet-{depth} has {count}" for count, depth in depths.items())
        raise ValueError(f"The weights hold {blocks} blocks res4a, res4b, ...; {known}")
    return depths[blocks], len(bias) - 1


def table(network: Network) -> list[Entry]:
    """Return the name table of a model of Matterport's architecture.

    Raises:
        ValueError: the model has a part that Matterport's does not have, or lacks one.
    """
    config = network.config
    refuse_parts(
        "Matterport",
        {
            f'architecture="{config.architecture}"': config.architecture != "fpn",
            f"depth={config.depth}": config.depth not in (50, 101),
            "conv_bias=False": not config.conv_bias,
            "fpn_norm": config.fpn_norm != "none",
            "rpn_softmax=False": not config.rpn_softmax,
            "other than one of rpn_convs": config.rpn_convs != 1,
            "box_convs": config.box_convs > 0,
            "other than two of box_fcs": config.box_fcs != 2,
            "box_fc_norm=False": not config.box_fc_norm,
            "cascade_ious": bool(config.cascade_ious),
            "class_agnostic_boxes": config.class_agnostic_boxes,
            "background_outputs=False": not config.background_outputs,
            'mask_head="mlp"': config.mask_head == "mlp",
            **unnamed_parts(network, heads=("mask",)),
        },
    )
    return [*_backbone(network), *_fpn(network), *_rpn(network), *_box_head(network), *_mask_head(network)]


def _backbone(network: Network) -> Iterator[Entry]:
    yield from _conv(network.backbone.stem, "conv1", "bn_conv1")
    for level, stage in enumerate(network.backbone.stages, start=2):
        for letter, block in zip("abcdefghijklmnopqrstuvwxyz", stage, strict=False):
            branches = {"2a": block.conv1, "2b": block.conv2, "2c": block.conv3, "1": block.shortcut}
            for branch, conv in branches.items():
                if conv is not None:
                    name = f"{level}{letter}_branch{branch}"
                    yield from _conv(conv, f"res{name}", f"bn{name}")


def _fpn(network: Network) -> Iterator[Entry]:
    if network.fpn is None:
        return
    for level, (lateral, output) in enumerate(zip(network.fpn.laterals, network.fpn.outputs, strict=True), 2):
        yield from _layer(lateral, f"fpn_c{level}p{level}")
        yield from _layer(output, f"fpn_p{level}")


def _rpn(network: Network) -> Iterator[Entry]:
    yield from parameters(network.rpn_head.convs[0], "rpn_model/rpn_conv_shared", KERAS)
    yield from parameters(network.rpn_head.logits, "rpn_model/rpn_class_raw", KERAS)
    yield from parameters(network.rpn_head.deltas, "rpn_model/rpn_bbox_pred", KERAS, DELTAS, DELTAS)


def _box_head(network: Network) -> Iterator[Entry]:
    (head,) = network.box_heads
    for k, size in enumerate((network.config.box_pool_size, 1)):
        yield from _layer(head.fcs[k], f"mrcnn_class_conv{k + 1}", dense_from_conv(size))
        yield from _layer(head.fc_norms[k], f"mrcnn_class_bn{k + 1}")
    yield from _layer(head.logits, "mrcnn_class_logits")
    yield from _layer(head.deltas, "mrcnn_bbox_fc", DELTAS, DELTAS)


def _mask_head(network: Network) -> Iterator[Entry]:
    mask_head = network.head_layers["mask"]
    if mask_head is None:
        return
    for k, conv in enumerate(mask_head.convs, start=1):
        yield from _conv(conv, f"mrcnn_mask_conv{k}", f"mrcnn_mask_bn{k}")
    yield from _layer(mask_head.deconv, "mrcnn_mask_deconv")
    yield from _layer(mask_head.logits, "mrcnn_mask")


def _conv(layer: ConvNorm, conv: str, norm: str) -> Iterator[Entry]:
    yield from _layer(layer, conv)
    if layer.normalization is not None:
        yield from _layer(layer.normalization, norm)


def _layer(
    layer: keras.layers.Layer, name: str, kernel: Layout = SAME, bias: Layout = SAME
) -> Iterator[Entry]:
    yield from parameters(layer, f"{name}/{name}", KERAS, kernel, bias)
