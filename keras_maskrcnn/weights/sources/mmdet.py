"""MMDetection's names for the tensors of its Mask, Faster and Cascade R-CNN, of versions 2 and 3.

Its last class is the background, ours the first; where a level has anchors of several sizes, its anchors run by ratio
first and ours by size.
"""

from collections.abc import Iterable, Iterator

import numpy as np

from keras_maskrcnn.config.config import Config
from keras_maskrcnn.layers.cascade_masks import CascadeMaskHeads
from keras_maskrcnn.layers.convolution import ConvNorm
from keras_maskrcnn.layers.heads import BoxHead, MaskHead
from keras_maskrcnn.network.network import Network
from keras_maskrcnn.weights.sources import torchvision
from keras_maskrcnn.weights.sources.table import (
    BACKGROUND_LAST,
    CLASSIFIER,
    TORCH,
    TORCH_CONV,
    TORCH_DENSE,
    Entry,
    Layout,
    both,
    parameters,
    parts_not_in_torch,
    predictor_layouts,
    refuse_parts,
    torch_conv,
    torch_dense_after_flatten,
    unnamed_parts,
)

IGNORED = ("*.num_batches_tracked",)
"""Counters of batch norms that average over all batches, which MMDetection's do not."""


def table(network: Network) -> list[Entry]:
    """Return the name table of a model of MMDetection's architecture, with an FPN, with C4 or with DC5.

    Raises:
        ValueError: the model has a part that MMDetection's does not have.
    """
    config = network.config
    refuse_parts(
        "MMDetection",
        {
            **parts_not_in_torch(config),
            f'architecture="{config.architecture}" of depth {config.depth}': (
                config.architecture != "fpn" and config.depth < 50
            ),
            "one mask head for all stages of a cascade": (
                bool(config.cascade_ious) and config.mask_head != "none" and not config.cascade_mask_heads
            ),
            **unnamed_parts(network, heads=("mask",)),
        },
    )
    norm = "gn" if config.norm == "group_norm" else "bn"
    entries = [
        *torchvision.resnet(network.backbone.stem, network.backbone.stages, "backbone.", norm),
        *_fpn(network),
        *_rpn(network),
    ]
    if network.res5 is not None:
        entries += torchvision.residual_stage(network.res5.blocks, "roi_head.shared_head.layer4", norm)
    for number, head in enumerate(network.box_heads):
        entries += _box_head(head, config, f".{number}" if len(network.box_heads) > 1 else "")
    return [*entries, *_mask_heads(network)]


def _fpn(network: Network) -> Iterator[Entry]:
    if network.fpn is None:
        return
    for name, convs in {"lateral": network.fpn.laterals, "fpn": network.fpn.outputs}.items():
        yield from _modules(convs, f"neck.{name}_convs", network.config.fpn_norm)


def _rpn(network: Network) -> Iterator[Entry]:
    head, config = network.rpn_head, network.config
    if len(head.convs) > 1:
        yield from _modules(head.convs, "rpn_head.rpn_conv", "none")
    else:
        yield from torch_conv(head.convs[0], "rpn_head.rpn_conv", "")
    for layer, name, values in ((head.logits, "rpn_cls", 1), (head.deltas, "rpn_reg", 4)):
        order = _by_ratio(len(config.anchor_sizes[0]), len(config.anchor_ratios), values)
        yield from parameters(layer, f"rpn_head.{name}", TORCH, both(order, TORCH_CONV), order)


def _by_ratio(sizes: int, ratios: int, values: int) -> Layout:
    """The layout of rows by ratio, then by size, of which each anchor has `values`."""

    def swap(x: np.ndarray, outer: int, inner: int) -> np.ndarray:
        return x.reshape(outer, inner, values, *x.shape[1:]).swapaxes(0, 1).reshape(x.shape)

    return Layout(lambda x: swap(x, ratios, sizes), lambda x: swap(x, sizes, ratios))


def _box_head(head: BoxHead, config: Config, stage: str) -> Iterator[Entry]:
    key = f"roi_head.bbox_head{stage}"
    yield from _modules(head.convs, f"{key}.shared_convs", config.head_norm)
    layout = torch_dense_after_flatten(config.box_pool_size, config.box_pool_size)
    for number, layer in enumerate(head.fcs):
        yield from parameters(layer, f"{key}.shared_fcs.{number}", TORCH, layout)
        layout = TORCH_DENSE
    yield from parameters(head.logits, f"{key}.fc_cls", TORCH, CLASSIFIER, BACKGROUND_LAST)
    has_background = config.background_outputs and not config.class_agnostic_boxes
    layouts = predictor_layouts(has_background, TORCH_DENSE, 4)
    yield from parameters(head.deltas, f"{key}.fc_reg", TORCH, *layouts)


def _mask_heads(network: Network) -> Iterator[Entry]:
    layer = network.head_layers["mask"]
    if isinstance(layer, CascadeMaskHeads):
        for number, head in enumerate(layer.heads):
            yield from _mask_head(head, network.config, f".{number}")
    elif layer is not None:
        yield from _mask_head(layer, network.config, "")


def _mask_head(head: MaskHead, config: Config, stage: str) -> Iterator[Entry]:
    key = f"roi_head.mask_head{stage}"
    yield from _modules(head.convs, f"{key}.convs", config.head_norm)
    yield from parameters(head.deconv, f"{key}.upsample", TORCH, TORCH_CONV)
    has_background = config.background_outputs and config.mask_loss != "class_agnostic"
    yield from parameters(
        head.logits, f"{key}.conv_logits", TORCH, *predictor_layouts(has_background, TORCH_CONV, 1)
    )


def _modules(convs: Iterable[ConvNorm], key: str, norm: str) -> Iterator[Entry]:
    """The entries of a list of MMCV's ConvModule, whose parts are called by what they are."""
    for number, conv in enumerate(convs):
        at = f"{key}.{number}"
        yield from torch_conv(conv, f"{at}.conv", f"{at}.{'gn' if norm == 'group_norm' else 'bn'}")
