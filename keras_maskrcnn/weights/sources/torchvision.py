"""torchvision's names for the tensors of its Mask, Faster and Keypoint R-CNN with a ResNet-FPN backbone."""

import re
from collections.abc import Iterable, Iterator, Mapping

import keras
import numpy as np

from keras_maskrcnn.layers.convolution import ConvNorm
from keras_maskrcnn.network.network import Network
from keras_maskrcnn.weights.sources.table import (
    SAME,
    TORCH,
    TORCH_CONV,
    TORCH_DENSE,
    Entry,
    Layout,
    background_only_there,
    parameters,
    parts_not_in_torch,
    refuse_parts,
    torch_conv,
    torch_dense_after_flatten,
    unnamed_parts,
)

IGNORED = ("*.num_batches_tracked",)
"""Counters of batch norms that average over all batches, which torchvision's do not."""


def rename(state: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Return `state` with today's names where files of 2019 have older ones.

    Raises:
        ValueError: a tensor is there under both its names.
    """
    renamed: dict[str, np.ndarray] = {}
    for key, array in state.items():
        current = _current_name(key)
        if current in renamed or (current != key and current in state):
            raise ValueError(f"The weights hold both {current} and its older name")
        renamed[current] = array
    return renamed


def _current_name(key: str) -> str:
    key = re.sub(r"^rpn\.head\.conv\.(?=weight|bias)", "rpn.head.conv.0.0.", key)
    key = re.sub(r"^(backbone\.fpn\.\w+_blocks\.\d+\.)(?=weight|bias)", r"\g<1>0.", key)
    return re.sub(
        r"^(roi_heads\.mask_head\.)mask_fcn(\d+)\.", lambda match: f"{match[1]}{int(match[2]) - 1}.0.", key
    )


def table(network: Network) -> list[Entry]:
    """Return the name table of a model of torchvision's architecture.

    Raises:
        ValueError: the model has a part that torchvision's does not have.
    """
    config = network.config
    refuse_parts(
        "torchvision",
        {
            f'architecture="{config.architecture}"': config.architecture != "fpn",
            **parts_not_in_torch(config),
            "rpn_channels other than fpn_channels": config.rpn_channels not in (0, config.fpn_channels),
            "stem_channels other than 64": config.stem_channels != 64,
            "cascade_ious": bool(config.cascade_ious),
            "class_agnostic_boxes": config.class_agnostic_boxes,
            'mask_loss="class_agnostic"': config.mask_head != "none" and config.mask_loss == "class_agnostic",
            **unnamed_parts(network, heads=("mask", "keypoint")),
        },
    )
    backbone = resnet(network.backbone.stem, network.backbone.stages, "backbone.body.")
    heads = [*_rpn(network), *_box_head(network), *_mask_head(network), *_keypoint_head(network)]
    return [*backbone, *_fpn(network), *heads]


def resnet(
    stem: ConvNorm, stages: Iterable[list[keras.layers.Layer]], prefix: str, norm: str = "bn"
) -> Iterator[Entry]:
    """Yield the entries of a ResNet, with its stages from res2 on, whose names begin with `prefix`.

    `norm` is how its normalisations are called, before their number.
    """
    yield from torch_conv(stem, f"{prefix}conv1", f"{prefix}{norm}1")
    for number, stage in enumerate(stages, start=1):
        yield from residual_stage(stage, f"{prefix}layer{number}", norm)


def residual_stage(blocks: Iterable[keras.layers.Layer], key: str, norm: str = "bn") -> Iterator[Entry]:
    """Yield the entries of a stage that is called `key`."""
    for index, block in enumerate(blocks):
        at = f"{key}.{index}"
        for i in (1, 2, 3):
            if hasattr(block, f"conv{i}"):
                yield from torch_conv(getattr(block, f"conv{i}"), f"{at}.conv{i}", f"{at}.{norm}{i}")
        if block.shortcut is not None:
            yield from torch_conv(block.shortcut, f"{at}.downsample.0", f"{at}.downsample.1")


def _fpn(network: Network) -> Iterator[Entry]:
    if network.fpn is None:
        return
    for name, convs in {"inner": network.fpn.laterals, "layer": network.fpn.outputs}.items():
        yield from _sequence(convs, f"backbone.fpn.{name}_blocks")


def _rpn(network: Network) -> Iterator[Entry]:
    yield from _sequence(network.rpn_head.convs, "rpn.head.conv")
    yield from parameters(network.rpn_head.logits, "rpn.head.cls_logits", TORCH, TORCH_CONV)
    yield from parameters(network.rpn_head.deltas, "rpn.head.bbox_pred", TORCH, TORCH_CONV)


def _box_head(network: Network) -> Iterator[Entry]:
    (head,), size = network.box_heads, network.config.box_pool_size
    yield from _sequence(head.convs, "roi_heads.box_head")
    if not head.convs and len(head.fcs) == 2:
        names = ["fc6", "fc7"]
    else:  # a sequence, in which the flattening and the ReLUs have numbers too
        names = [str(len(head.convs) + 1 + 2 * i) for i in range(len(head.fcs))]
    layout = torch_dense_after_flatten(size, size)
    for name, layer in zip(names, head.fcs, strict=True):
        yield from parameters(layer, f"roi_heads.box_head.{name}", TORCH, layout)
        layout = TORCH_DENSE
    yield from parameters(head.logits, "roi_heads.box_predictor.cls_score", TORCH, TORCH_DENSE)
    layouts = _predictor(network, TORCH_DENSE, 4)
    yield from parameters(head.deltas, "roi_heads.box_predictor.bbox_pred", TORCH, *layouts)


def _mask_head(network: Network) -> Iterator[Entry]:
    mask_head = network.head_layers["mask"]
    if mask_head is None:
        return
    yield from _sequence(mask_head.convs, "roi_heads.mask_head")
    predictor = "roi_heads.mask_predictor"
    yield from parameters(mask_head.deconv, f"{predictor}.conv5_mask", TORCH, TORCH_CONV)
    layouts = _predictor(network, TORCH_CONV, 1)
    yield from parameters(mask_head.logits, f"{predictor}.mask_fcn_logits", TORCH, *layouts)


def _predictor(network: Network, kernel: Layout, rows: int) -> tuple[Layout, Layout]:
    """Layouts of kernel and bias of a predictor that has `rows` for each class, here perhaps not for the background."""
    if network.config.background_outputs:
        return kernel, SAME
    return background_only_there(kernel, rows), background_only_there(SAME, rows)


def _keypoint_head(network: Network) -> Iterator[Entry]:
    keypoint_head = network.head_layers["keypoint"]
    if keypoint_head is None:
        return
    for i, conv in enumerate(keypoint_head.convs):
        yield from parameters(
            conv, f"roi_heads.keypoint_head.{2 * i}", TORCH, TORCH_CONV
        )  # ReLUs between them
    key = "roi_heads.keypoint_predictor.kps_score_lowres"
    yield from parameters(keypoint_head.logits, key, TORCH, TORCH_CONV)


def _sequence(convs: Iterable[ConvNorm], key: str) -> Iterator[Entry]:
    for i, conv in enumerate(convs):
        yield from torch_conv(conv, f"{key}.{i}.0", f"{key}.{i}.1")
