"""Which fields of a Config go together."""

from __future__ import annotations

import collections
from typing import Any

GROUPS = 32
"""Of group normalisation (Wu and He 2018, section 4)."""


def check(config: Any) -> None:
    """Raise a ValueError that names the first fields of a Config that do not go together.

    Each field by itself has its type and range already. The type of `config` is not named here, because its module
    imports this one.
    """
    _check_classes(config)
    _check_images(config)
    _check_anchors(config)
    _check_architecture(config)
    _check_group_norm(config)
    _check_heads(config)
    _check_limits(config)
    _check_augmentation(config)


def _check_classes(config: Any) -> None:
    for name in ("class_names", "keypoint_names"):
        names = getattr(config, name)
        repeated = sorted(one for one, count in collections.Counter(names).items() if count > 1)
        if repeated:
            raise ValueError(f"Config.{name} holds {', '.join(repeated)} more than once")


def _check_images(config: Any) -> None:
    for name in ("pixel_mean", "pixel_std"):
        if len(getattr(config, name)) != config.channels:
            raise ValueError(
                f"Config.{name} needs one value per channel ({config.channels}); got {getattr(config, name)}"
            )
    percentiles = config.intensity_percentiles
    if percentiles and (len(percentiles) != 2 or percentiles[0] >= percentiles[1]):
        raise ValueError(
            f"Config.intensity_percentiles needs two percentiles, the lower one first; got {percentiles}"
        )
    if config.bgr and config.channels != 3:
        raise ValueError(f"Config.bgr needs 3 channels; got {config.channels}")
    if config.min_size > config.max_size:
        raise ValueError(f"Config.min_size {config.min_size} exceeds Config.max_size {config.max_size}")
    if max(config.train_min_sizes, default=0) > config.max_size:
        raise ValueError(
            f"Config.train_min_sizes {config.train_min_sizes} exceeds max_size {config.max_size}"
        )
    for name in ("train_min_sizes", "square"):
        if config.image_scale and getattr(config, name):
            raise ValueError(f"Config.image_scale takes the place of the sizes that Config.{name} is about")
    if config.square and config.max_size % 64:
        raise ValueError(f"Config.max_size must be a multiple of 64 with square=True; got {config.max_size}")
    if config.architecture == "fpn" and config.size_divisor % 32:
        raise ValueError(
            f"Config.size_divisor must be a multiple of 32 for an FPN; got {config.size_divisor}"
        )


def _check_architecture(config: Any) -> None:
    for name in ("norm", "fpn_norm"):
        if config.recomputed_stages and getattr(config, name) in ("batch_norm", "sync_batch_norm"):
            raise ValueError(
                f'Config.recomputed_stages does not go with {name}="{getattr(config, name)}": its statistics would be '
                "updated twice"
            )
    if config.groups > 1 and config.depth < 50:
        raise ValueError(f"Config.groups needs bottlenecks, so depth 50 or more; got depth {config.depth}")
    if config.architecture == "c4" and (config.keypoint_names or config.mask_head == "mlp"):
        raise ValueError('Config.architecture="c4" has a res5 head, for boxes and "fcn" masks only')
    if config.architecture == "c4" and not config.box_pool_size == config.mask_pool_size == 14:
        raise ValueError(
            'Config.box_pool_size and mask_pool_size must be 14 with architecture="c4": res5 halves both'
        )


def _check_group_norm(config: Any) -> None:
    """Check that channels can be grouped wherever a layer is to normalise them so."""
    heads = config.head_norm == "group_norm"
    has_convs = config.architecture != "c4"
    masks = config.mask_head == "fcn" and config.mask_convs and has_convs
    grouped = {
        "stem_channels": config.norm == "group_norm" and config.stem_channels,
        "group_width": config.norm == "group_norm"
        and config.depth >= 50
        and config.groups * config.group_width,
        "fpn_channels": config.architecture == "fpn"
        and (config.fpn_norm == "group_norm" or (heads and config.box_convs))
        and config.fpn_channels,
        "box_head_channels": heads and config.box_fc_norm and has_convs and config.box_head_channels,
        "mask_head_channels": heads and (masks or config.mask_iou_head) and config.mask_head_channels,
        "keypoint_head_channels": heads
        and bool(config.keypoint_names and config.keypoint_convs)
        and config.keypoint_head_channels,
    }
    for name, channels in grouped.items():
        if channels % GROUPS:
            raise ValueError(
                f"Config.{name} must make a multiple of {GROUPS} channels for group_norm; got {channels}"
            )


def _check_anchors(config: Any) -> None:
    fpn = config.architecture == "fpn"
    levels = 5 if fpn else 1
    if len(config.anchor_sizes) != levels or len({len(sizes) for sizes in config.anchor_sizes}) != 1:
        needed = "five tuples of equal length, one per level P2..P6" if fpn else "one tuple, of its one level"
        raise ValueError(
            f'Config.anchor_sizes needs {needed} for architecture="{config.architecture}"; got {config.anchor_sizes}'
        )
    if config.rpn_negative_iou > config.rpn_positive_iou:
        raise ValueError(
            f"Config.rpn_negative_iou {config.rpn_negative_iou} exceeds rpn_positive_iou {config.rpn_positive_iou}"
        )


def _check_heads(config: Any) -> None:
    if config.class_weights and len(config.class_weights) != config.num_classes:
        raise ValueError(
            f"Config.class_weights needs a number for each of the {config.num_classes} classes; got "
            f"{config.class_weights}"
        )
    if len(config.cascade_ious) != len(config.cascade_delta_weights):
        raise ValueError(
            "Config.cascade_delta_weights needs four values for each of "
            f"cascade_ious {config.cascade_ious}; got {config.cascade_delta_weights}"
        )
    if config.mask_iou_head and config.mask_head == "none":
        raise ValueError('Config.mask_iou_head needs masks to score; mask_head is "none"')
    if config.cascade_mask_heads:
        _check_cascade_masks(config)
    if config.cascade_ious and not config.class_agnostic_boxes:
        raise ValueError(
            "Config.cascade_ious needs class_agnostic_boxes=True: a stage refines boxes, not classes"
        )
    if config.box_fc_norm and config.head_norm == "none":
        raise ValueError("Config.box_fc_norm=True needs a head_norm to normalise with")
    if config.architecture != "c4" and config.box_fcs < 1:
        raise ValueError(f"Config.box_fcs must be at least 1; got {config.box_fcs}")


def _check_cascade_masks(config: Any) -> None:
    if not config.cascade_ious:
        raise ValueError("Config.cascade_mask_heads are one per box stage; cascade_ious has none")
    if config.mask_head != "fcn" or config.mask_loss == "softmax":
        raise ValueError(
            'Config.cascade_mask_heads needs mask_head="fcn" and masks of one sigmoid each; got '
            f'mask_head="{config.mask_head}", mask_loss="{config.mask_loss}"'
        )
    if config.mask_iou_head:
        raise ValueError("Config.cascade_mask_heads are several, and mask_iou_head scores the masks of one")


def _check_limits(config: Any) -> None:
    if config.max_detections > config.post_nms_top_k * config.num_classes:
        raise ValueError(
            f"Config.max_detections {config.max_detections} cannot be reached with {config.post_nms_top_k} proposals "
            f"and {config.num_classes} classes: raise Config.post_nms_top_k"
        )


def _check_augmentation(config: Any) -> None:
    scales = config.scale_jitter
    if scales and (len(scales) != 2 or scales[0] > scales[1]):
        raise ValueError(f"Config.scale_jitter needs two factors, the lower one first; got {scales}")
    if config.square and config.crop_size > config.max_size:
        raise ValueError(
            f"Config.crop_size {config.crop_size} does not fit the square of max_size {config.max_size}"
        )
    if config.cutout_count and not config.cutout_size:
        raise ValueError("Config.cutout_size must be above 0 with a cutout_count")
    if config.copy_paste_probability and config.mask_head == "none":
        raise ValueError(
            'Config.copy_paste_probability needs masks, along which objects are cropped; mask_head is "none"'
        )
    for name, channels in (("brightness", (1, 3)), ("contrast", (1, 3)), ("saturation", (3,)), ("hue", (3,))):
        if getattr(config, name) and config.channels not in channels:
            needed = " or ".join(map(str, channels))
            raise ValueError(f"Config.{name} needs {needed} channels; got {config.channels}")
