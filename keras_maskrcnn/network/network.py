"""The layers with weights that a Config asks for, each made once for both graphs."""

import dataclasses
from typing import Any

import keras

from keras_maskrcnn.config.config import Config
from keras_maskrcnn.config.values import ALL_STAGES
from keras_maskrcnn.layers import losses
from keras_maskrcnn.layers.fpn import FPN
from keras_maskrcnn.layers.heads import BoxHead
from keras_maskrcnn.layers.resnet import Res5, ResNet
from keras_maskrcnn.layers.rpn import RPNHead
from keras_maskrcnn.network.backbone import (
    LEVELS,
    check_backbone,
    freeze_backbone,
    make_backbone,
    make_res5,
)
from keras_maskrcnn.network.heads.head import RoIHead
from keras_maskrcnn.network.heads.keypoint import KeypointRoIHead
from keras_maskrcnn.network.heads.mask import MaskRoIHead
from keras_maskrcnn.network.heads.mask_iou import MaskIoURoIHead
from keras_maskrcnn.network.stage_name import stage_name

ROI_HEADS: tuple[type[RoIHead], ...] = (MaskRoIHead, MaskIoURoIHead, KeypointRoIHead)
"""All heads of RoIs beside the box head, each after those whose outputs it takes."""


@dataclasses.dataclass(frozen=True, eq=False)
class Network:
    """The layers of a Mask R-CNN, and the Config that says how they are joined."""

    config: Config
    backbone: Any
    """A `ResNet`, or any Keras layer that returns feature maps by level."""
    fpn: FPN | None
    """None for C4 and DC5."""
    res5: Res5 | None
    """What a C4 model runs on each RoI."""
    rpn_head: RPNHead
    box_heads: list[BoxHead]
    """One, or one for each stage of a cascade."""
    roi_heads: list[RoIHead]
    """Those of ROI_HEADS that the config asks for."""
    box_losses: list[losses.Loss]
    """Of the RPN and the box stages."""

    @property
    def head_layers(self) -> dict[str, Any]:
        """The layers of the RoI heads by the heads' names, None for those that there are not."""
        return {kind.name: None for kind in ROI_HEADS} | {head.name: head.layer for head in self.roi_heads}

    @property
    def layers(self) -> list[keras.layers.Layer]:
        """The layers with weights, in the order in which an image passes them."""
        single = self.backbone, self.fpn, self.res5, self.rpn_head, *self.box_heads
        return [layer for layer in (*single, *self.head_layers.values()) if layer is not None]

    @property
    def losses_by_name(self) -> dict[str, losses.Loss]:
        """The loss layers by the names that the logs show, in their order."""
        layers = [*self.box_losses, *(head.loss_layer for head in self.roi_heads)]
        return {layer.name: layer for layer in layers}

    @property
    def has_custom_backbone(self) -> bool:
        """Whether the backbone is not what the config describes."""
        return not isinstance(self.backbone, ResNet)


def make_network(config: Config, backbone: keras.layers.Layer | None = None) -> Network:
    """Make the layers that `config` asks for, around a custom `backbone` if there is one.

    Raises:
        ValueError: the backbone does not return what the config's architecture takes; see `check_backbone`.
    """
    if backbone is None:
        backbone = make_backbone(config)
    else:
        check_backbone(backbone, config)
        freeze_backbone(backbone, config.frozen_stages)
    return Network(
        config=config,
        backbone=backbone,
        fpn=_fpn(config),
        res5=make_res5(config),
        rpn_head=_rpn_head(config, backbone),
        box_heads=_box_heads(config),
        roi_heads=[kind.make(config) for kind in ROI_HEADS if kind.is_in(config)],
        box_losses=_box_losses(config),
    )


def feature_maps(network: Network, images: Any, training: bool | None = None) -> dict[str, Any]:
    """Return the maps by level that proposals and RoIs are taken from, of normalised images `[B, H, W, C]`.

    Without `training` it is that of the layer, if any, whose call this is part of.
    """
    mode = {} if training is None else {"training": training}
    maps = network.backbone(images, **mode)
    taken = {level: maps[level] for level in LEVELS[network.config.architecture]}
    return taken if network.fpn is None else network.fpn(taken, **mode)


def feature_channels(config: Config) -> int:
    """Return the channels of the features that proposals and RoIs are taken from, of a ResNet."""
    if config.architecture == "fpn":
        return config.fpn_channels
    res2 = config.stem_channels * (4 if config.depth >= 50 else 1)
    return res2 * (4 if config.architecture == "c4" else 8)


def _fpn(config: Config) -> FPN | None:
    if config.architecture != "fpn":
        return None
    return FPN(
        channels=config.fpn_channels,
        norm=config.fpn_norm,
        epsilon=config.norm_epsilon,
        recomputed=config.recomputed_stages == ALL_STAGES,
        name="fpn",
    )


def _rpn_head(config: Config, backbone: keras.layers.Layer) -> RPNHead:
    return RPNHead(
        channels=config.rpn_channels or _channels(config, backbone),
        num_anchors=len(config.anchor_sizes[0]) * len(config.anchor_ratios),
        num_convs=config.rpn_convs,
        softmax=config.rpn_softmax,
        name="rpn_head",
    )


def _channels(config: Config, backbone: keras.layers.Layer) -> int:
    if config.architecture == "fpn" or isinstance(backbone, ResNet):
        return feature_channels(config)
    (level,) = LEVELS[config.architecture]
    return backbone(keras.KerasTensor((1, 128, 128, config.channels)))[level].shape[-1]


def _box_heads(config: Config) -> list[BoxHead]:
    has_res5 = config.architecture == "c4"
    return [
        BoxHead(
            num_classes=config.num_classes,
            class_agnostic=config.class_agnostic_boxes,
            background=config.background_outputs,
            convs=0 if has_res5 else config.box_convs,
            conv_channels=config.fpn_channels,
            fcs=0 if has_res5 else config.box_fcs,
            channels=config.box_head_channels,
            norm=config.head_norm,
            epsilon=config.norm_epsilon,
            fc_norm=config.box_fc_norm,
            name=stage_name("box_head", stage),
        )
        for stage in range(1 + len(config.cascade_ious))
    ]


def _box_losses(config: Config) -> list[losses.Loss]:
    anchors = config.rpn_loss_anchors
    layers: list[losses.Loss] = [
        losses.ObjectnessLoss(anchors_per_image=anchors, name="rpn_class_loss"),
        losses.AnchorBoxLoss(beta=config.rpn_smooth_l1_beta, anchors_per_image=anchors, name="rpn_box_loss"),
    ]
    for stage in range(1 + len(config.cascade_ious)):
        layers.append(
            losses.ClassLoss(class_weights=config.class_weights, name=stage_name("class_loss", stage))
        )
        layers.append(
            losses.BoxLoss(
                beta=config.box_smooth_l1_beta,
                background=config.background_outputs,
                name=stage_name("box_loss", stage),
            )
        )
    return layers
