"""The layers with weights that a Config asks for, each made once for both graphs."""

import dataclasses
from typing import Any

import keras

from keras_maskrcnn.config.config import Config
from keras_maskrcnn.layers import losses
from keras_maskrcnn.layers.fpn import FPN
from keras_maskrcnn.layers.heads import BoxHead, KeypointHead, MaskHead, MLPMaskHead
from keras_maskrcnn.layers.keypoints import KeypointLoss
from keras_maskrcnn.layers.resnet import Res5, ResNet
from keras_maskrcnn.layers.rpn import RPNHead


@dataclasses.dataclass(frozen=True, eq=False)
class Network:
    """The layers of a Mask R-CNN, and the Config that says how they are joined."""

    config: Config
    backbone: ResNet
    fpn: FPN | None
    """None for C4 and DC5."""
    res5: Res5 | None
    """What a C4 model runs on each RoI."""
    rpn_head: RPNHead
    box_heads: list[BoxHead]
    """One, or one for each stage of a cascade."""
    mask_head: MaskHead | MLPMaskHead | None
    keypoint_head: KeypointHead | None
    loss_layers: list[losses.Loss]
    """In the order in which the logs show them."""

    @property
    def layers(self) -> list[keras.layers.Layer]:
        """The layers with weights, in the order in which an image passes them."""
        single = self.backbone, self.fpn, self.res5, self.rpn_head, *self.box_heads
        return [layer for layer in (*single, self.mask_head, self.keypoint_head) if layer is not None]

    @property
    def losses_by_name(self) -> dict[str, losses.Loss]:
        """The loss layers by the names that the logs show."""
        return {layer.name: layer for layer in self.loss_layers}


def make_network(config: Config) -> Network:
    """Make the layers that `config` asks for."""
    return Network(
        config=config,
        backbone=backbone(config),
        fpn=fpn(config),
        res5=res5(config),
        rpn_head=rpn_head(config),
        box_heads=box_heads(config),
        mask_head=mask_head(config),
        keypoint_head=keypoint_head(config),
        loss_layers=loss_layers(config),
    )


def feature_maps(network: Network, images: Any, training: bool | None = None) -> dict[str, Any]:
    """The maps by level that proposals and RoIs are taken from, of normalised images `[B, H, W, C]`."""
    maps = network.backbone(images, training=training)
    if network.fpn is not None:
        return network.fpn(maps, training=training)
    return dict(list(maps.items())[-1:])


def backbone(config: Config) -> ResNet:
    """The bottom-up network: without res5 for C4, with a dilated one for DC5."""
    return ResNet(
        **_kind(config),
        frozen_stages=config.frozen_stages,
        last_stage=4 if config.architecture == "c4" else 5,
        dilated=config.architecture == "dc5",
        pool_padding=config.pool_padding,
        recompute=config.recompute_backbone,
        name="backbone",
    )


def _kind(config: Config) -> dict[str, Any]:
    return {
        "depth": config.depth,
        "stride_in_1x1": config.stride_in_1x1,
        "norm": config.norm,
        "epsilon": config.norm_epsilon,
        "groups": config.groups,
        "group_width": config.group_width,
        "bias": config.conv_bias,
    }


def fpn(config: Config) -> FPN | None:
    """The pyramid, if there is one."""
    if config.architecture != "fpn":
        return None
    return FPN(config.fpn_channels, config.fpn_norm, config.norm_epsilon, name="fpn")


def res5(config: Config) -> Res5 | None:
    """What C4 models run on each RoI."""
    if config.architecture != "c4":
        return None
    layer = Res5(**_kind(config), name="res5")
    layer.trainable = config.frozen_stages < 5
    return layer


def rpn_head(config: Config) -> RPNHead:
    """The region proposal network."""
    num_anchors = len(config.anchor_sizes[0]) * len(config.anchor_ratios)
    channels = config.rpn_channels or feature_channels(config)
    return RPNHead(channels, num_anchors, config.rpn_convs, config.rpn_softmax, name="rpn_head")


def feature_channels(config: Config) -> int:
    """Channels of the features that proposals and RoIs are taken from."""
    if config.architecture == "fpn":
        return config.fpn_channels
    res2 = 256 if config.depth >= 50 else 64
    return res2 * (4 if config.architecture == "c4" else 8)


def stage_name(name: str, stage: int) -> str:
    """Return the name of a layer of a box stage, counted from 0: "box_head", "box_head_2", ..."""
    return f"{name}_{stage + 1}" if stage else name


def box_heads(config: Config) -> list[BoxHead]:
    """One box head, or one for each stage of a cascade."""
    has_res5 = config.architecture == "c4"
    return [
        BoxHead(
            config.num_classes,
            config.class_agnostic_boxes,
            config.background_outputs,
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


def mask_head(config: Config) -> MaskHead | MLPMaskHead | None:
    """The mask head, if there is one."""
    if config.mask_head == "none":
        return None
    if config.mask_loss == "class_agnostic":
        num_masks = 1
    else:
        num_masks = config.num_classes + int(config.background_outputs or config.mask_loss == "softmax")
    if config.mask_head == "mlp":
        return MLPMaskHead(num_masks, config.box_head_channels, name="mask_head")
    return MaskHead(
        num_masks,
        config.mask_head_channels,
        0 if config.architecture == "c4" else config.mask_convs,
        config.head_norm,
        config.norm_epsilon,
        config.conv_bias,
        name="mask_head",
    )


def keypoint_head(config: Config) -> KeypointHead | None:
    """The keypoint head, if there is one."""
    if not config.keypoint_names:
        return None
    return KeypointHead(
        len(config.keypoint_names),
        config.keypoint_head_channels,
        config.keypoint_convs,
        config.head_norm,
        config.norm_epsilon,
        name="keypoint_head",
    )


def loss_layers(config: Config) -> list[losses.Loss]:
    """The losses, in the order in which the logs show them."""
    layers: list[losses.Loss] = [
        losses.ObjectnessLoss(config.rpn_loss_anchors, name="rpn_class_loss"),
        losses.AnchorBoxLoss(config.rpn_smooth_l1_beta, config.rpn_loss_anchors, name="rpn_box_loss"),
    ]
    for stage in range(1 + len(config.cascade_ious)):
        name = stage_name("box_loss", stage)
        layers.append(losses.ClassLoss(name=stage_name("class_loss", stage)))
        layers.append(losses.BoxLoss(config.box_smooth_l1_beta, config.background_outputs, name=name))
    if config.mask_head != "none":
        layers.append(losses.MaskLoss(config.mask_loss, config.background_outputs, name="mask_loss"))
    if config.keypoint_names:
        layers.append(KeypointLoss(name="keypoint_loss"))
    return layers
