"""torchvision's names for the tensors of its Mask R-CNN and Faster R-CNN with a ResNet-FPN backbone."""

from collections.abc import Iterator

import keras

from keras_maskrcnn.layers.convolution import ConvNorm
from keras_maskrcnn.layers.heads import MLPMaskHead
from keras_maskrcnn.model import MaskRCNN
from keras_maskrcnn.weights.table import (
    TORCH_CONV,
    TORCH_DENSE,
    Entry,
    torch_dense_after_flatten,
)

IGNORED = ("num_batches_tracked",)
"""Counters of batch norms that average over all batches, which torchvision's do not."""


def table(model: MaskRCNN) -> list[Entry]:
    """Return the name table of a model of torchvision's architecture.

    Raises:
        ValueError: the model has a part that torchvision's does not have.
    """
    if isinstance(model.mask_head, MLPMaskHead):
        raise ValueError('torchvision has no Mask R-CNN with mask_head="mlp"')
    return [*_backbone(model), *_fpn(model), *_rpn(model), *_box_head(model), *_mask_head(model)]


def _backbone(model: MaskRCNN) -> Iterator[Entry]:
    body = "backbone.body"
    yield from _conv_norm(model.backbone.stem, f"{body}.conv1", f"{body}.bn1")
    for number, stage in enumerate(model.backbone.stages, start=1):
        for index, block in enumerate(stage):
            prefix = f"{body}.layer{number}.{index}"
            convs = [block.conv1, block.conv2] + ([block.conv3] if hasattr(block, "conv3") else [])
            for i, conv in enumerate(convs, start=1):
                yield from _conv_norm(conv, f"{prefix}.conv{i}", f"{prefix}.bn{i}")
            if block.shortcut is not None:
                yield from _conv_norm(block.shortcut, f"{prefix}.downsample.0", f"{prefix}.downsample.1")


def _fpn(model: MaskRCNN) -> Iterator[Entry]:
    for i, (lateral, output) in enumerate(zip(model.fpn.laterals, model.fpn.outputs, strict=True)):
        yield from _conv_norm(lateral, f"backbone.fpn.inner_blocks.{i}.0", f"backbone.fpn.inner_blocks.{i}.1")
        yield from _conv_norm(output, f"backbone.fpn.layer_blocks.{i}.0", f"backbone.fpn.layer_blocks.{i}.1")


def _rpn(model: MaskRCNN) -> Iterator[Entry]:
    for i, conv in enumerate(model.rpn_head.convs):
        yield from _conv_norm(conv, f"rpn.head.conv.{i}.0", f"rpn.head.conv.{i}.1")
    yield from _conv(model.rpn_head.logits, "rpn.head.cls_logits")
    yield from _conv(model.rpn_head.deltas, "rpn.head.bbox_pred")


def _box_head(model: MaskRCNN) -> Iterator[Entry]:
    head, size = model.box_head, model.config.box_pool_size
    yield Entry("roi_heads.box_head.fc6.weight", head.fc1.kernel, torch_dense_after_flatten(size, size))
    yield Entry("roi_heads.box_head.fc6.bias", head.fc1.bias)
    dense = {
        "box_head.fc7": head.fc2,
        "box_predictor.cls_score": head.logits,
        "box_predictor.bbox_pred": head.deltas,
    }
    for key, layer in dense.items():
        yield Entry(f"roi_heads.{key}.weight", layer.kernel, TORCH_DENSE)
        yield Entry(f"roi_heads.{key}.bias", layer.bias)


def _mask_head(model: MaskRCNN) -> Iterator[Entry]:
    if model.mask_head is None:
        return
    for i, conv in enumerate(model.mask_head.convs):
        yield from _conv_norm(conv, f"roi_heads.mask_head.{i}.0", f"roi_heads.mask_head.{i}.1")
    yield from _conv(model.mask_head.deconv, "roi_heads.mask_predictor.conv5_mask")
    yield from _conv(model.mask_head.logits, "roi_heads.mask_predictor.mask_fcn_logits")


def _conv(layer: keras.layers.Layer, key: str) -> Iterator[Entry]:
    yield Entry(f"{key}.weight", layer.kernel, TORCH_CONV)
    yield Entry(f"{key}.bias", layer.bias)


def _conv_norm(layer: ConvNorm, conv: str, norm: str) -> Iterator[Entry]:
    if layer.normalization is None:
        yield from _conv(layer, conv)
        return
    yield Entry(f"{conv}.weight", layer.kernel, TORCH_CONV)
    yield Entry(f"{norm}.weight", layer.normalization.gamma)
    yield Entry(f"{norm}.bias", layer.normalization.beta)
    if layer.norm != "group_norm":
        yield Entry(f"{norm}.running_mean", layer.normalization.moving_mean)
        yield Entry(f"{norm}.running_var", layer.normalization.moving_variance)
