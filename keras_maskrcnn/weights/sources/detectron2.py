"""Detectron2's names for the tensors of its Mask, Faster, Keypoint and Cascade R-CNN.

Its last class is the background, ours the first.
"""

from collections.abc import Iterable, Iterator

import keras

from keras_maskrcnn.config.config import Config
from keras_maskrcnn.layers.convolution import ConvNorm
from keras_maskrcnn.layers.heads import BoxHead
from keras_maskrcnn.network.network import Network
from keras_maskrcnn.weights.sources.table import (
    BACKGROUND_LAST,
    CLASSIFIER,
    TORCH,
    TORCH_CONV,
    TORCH_DENSE,
    Entry,
    parameters,
    parts_not_in_torch,
    predictor_layouts,
    refuse_parts,
    torch_conv,
    torch_dense_after_flatten,
    unnamed_parts,
)

IGNORED = ("pixel_mean", "pixel_std", "*.anchor_generator.cell_anchors.*", "*.num_batches_tracked")
"""Buffers that some files hold: what the config says too, and counters that nothing reads."""


def table(network: Network) -> list[Entry]:
    """Return the name table of a model of Detectron2's architecture, with an FPN, with C4 or with DC5.

    Raises:
        ValueError: the model has a part that Detectron2's does not have.
    """
    config = network.config
    refuse_parts(
        "Detectron2",
        {
            **parts_not_in_torch(config),
            f'architecture="{config.architecture}" of depth {config.depth}': (
                config.architecture != "fpn" and config.depth < 50
            ),
            f"stem_channels other than 64 of depth {config.depth}": (
                config.stem_channels != 64 and config.depth < 50
            ),
            "cascade_mask_heads": config.cascade_mask_heads,
            **unnamed_parts(network, heads=("mask", "keypoint")),
        },
    )
    prefix = "backbone." if network.fpn is None else "backbone.bottom_up."
    entries = [
        *resnet(network.backbone.stem, network.backbone.stages, prefix),
        *_fpn(network),
        *_rpn(network),
    ]
    if network.res5 is not None:
        entries += residual_stage(network.res5.blocks, "roi_heads.res5")
    for k, head in enumerate(network.box_heads):
        entries += _box_head(head, config, f".{k}" if len(network.box_heads) > 1 else "")
    return [*entries, *_mask_head(network), *_keypoint_head(network)]


def resnet(stem: ConvNorm, stages: Iterable[list[keras.layers.Layer]], prefix: str) -> Iterator[Entry]:
    """Yield the entries of a ResNet, with its stages from res2 on, whose names begin with `prefix`."""
    yield from _conv(stem, f"{prefix}stem.conv1")
    for level, stage in enumerate(stages, start=2):
        yield from residual_stage(stage, f"{prefix}res{level}")


def residual_stage(blocks: Iterable[keras.layers.Layer], key: str) -> Iterator[Entry]:
    """Yield the entries of a stage that is called `key`."""
    for index, block in enumerate(blocks):
        for name in ("shortcut", "conv1", "conv2", "conv3"):
            conv = getattr(block, name, None)
            if conv is not None:
                yield from _conv(conv, f"{key}.{index}.{name}")


def _fpn(network: Network) -> Iterator[Entry]:
    if network.fpn is None:
        return
    for level, convs in enumerate(zip(network.fpn.laterals, network.fpn.outputs, strict=True), start=2):
        for name, conv in zip(("lateral", "output"), convs, strict=True):
            yield from _conv(conv, f"backbone.fpn_{name}{level}")


def _rpn(network: Network) -> Iterator[Entry]:
    head, key = network.rpn_head, "proposal_generator.rpn_head"
    for k, conv in enumerate(head.convs):
        yield from _conv(conv, f"{key}.conv.conv{k}" if len(head.convs) > 1 else f"{key}.conv")
    yield from parameters(head.logits, f"{key}.objectness_logits", TORCH, TORCH_CONV)
    yield from parameters(head.deltas, f"{key}.anchor_deltas", TORCH, TORCH_CONV)


def _box_head(head: BoxHead, config: Config, stage: str) -> Iterator[Entry]:
    for k, conv in enumerate(head.convs, start=1):
        yield from _conv(conv, f"roi_heads.box_head{stage}.conv{k}")
    layout = torch_dense_after_flatten(config.box_pool_size, config.box_pool_size)
    for k, layer in enumerate(head.fcs, start=1):
        yield from parameters(layer, f"roi_heads.box_head{stage}.fc{k}", TORCH, layout)
        layout = TORCH_DENSE
    predictor = f"roi_heads.box_predictor{stage}"
    yield from parameters(head.logits, f"{predictor}.cls_score", TORCH, CLASSIFIER, BACKGROUND_LAST)
    has_background = config.background_outputs and not config.class_agnostic_boxes
    layouts = predictor_layouts(has_background, TORCH_DENSE, 4)
    yield from parameters(head.deltas, f"{predictor}.bbox_pred", TORCH, *layouts)


def _mask_head(network: Network) -> Iterator[Entry]:
    mask_head = network.head_layers["mask"]
    if mask_head is None:
        return
    for k, conv in enumerate(mask_head.convs, start=1):
        yield from _conv(conv, f"roi_heads.mask_head.mask_fcn{k}")
    yield from parameters(mask_head.deconv, "roi_heads.mask_head.deconv", TORCH, TORCH_CONV)
    has_background = network.config.background_outputs and network.config.mask_loss != "class_agnostic"
    layouts = predictor_layouts(has_background, TORCH_CONV, 1)
    yield from parameters(mask_head.logits, "roi_heads.mask_head.predictor", TORCH, *layouts)


def _keypoint_head(network: Network) -> Iterator[Entry]:
    keypoint_head = network.head_layers["keypoint"]
    if keypoint_head is None:
        return
    for k, conv in enumerate(keypoint_head.convs, start=1):
        yield from _conv(conv, f"roi_heads.keypoint_head.conv_fcn{k}")
    yield from parameters(keypoint_head.logits, "roi_heads.keypoint_head.score_lowres", TORCH, TORCH_CONV)


def _conv(layer: ConvNorm, key: str) -> Iterator[Entry]:
    yield from torch_conv(layer, key, f"{key}.norm")
