"""What a Config may hold."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from keras_maskrcnn.config.config import Config

NORMS = ("frozen_batch_norm", "batch_norm", "group_norm", "none")
MASK_HEADS = ("fcn", "mlp", "none")
MASK_LOSSES = ("sigmoid", "class_agnostic", "softmax")
ARCHITECTURES = ("fpn", "c4", "dc5")


def check(config: Config) -> None:
    """Raise a ValueError that names the first field of `config` whose value cannot be."""
    _check_classes(config)
    choices = {
        "depth": (18, 34, 50, 101),
        "norm": NORMS,
        "head_norm": NORMS,
        "fpn_norm": NORMS,
        "architecture": ARCHITECTURES,
        "size_rounding": ("floor", "round", "half_even"),
        "resize": ("bilinear", "pillow", "skimage"),
        "pool_padding": ("symmetric", "end"),
        "level_rule": ("torchvision", "detectron2", "matterport"),
        "roi_mode": ("average", "max", "crop_and_resize"),
        "paste": ("exact", "torchvision", "matterport"),
        "mask_head": MASK_HEADS,
        "mask_loss": MASK_LOSSES,
        "frozen_stages": range(6),
    }
    for name, allowed in choices.items():
        if getattr(config, name) not in allowed:
            options = ", ".join(map(str, allowed))
            raise ValueError(f"Config.{name} must be one of {options}; got {getattr(config, name)!r}")
    for name in ("pixel_mean", "pixel_std"):
        if len(getattr(config, name)) != config.channels:
            raise ValueError(
                f"Config.{name} needs one value per channel ({config.channels}); got {getattr(config, name)}"
            )
    if min(config.pixel_std) <= 0:
        raise ValueError(f"Config.pixel_std must be positive; got {config.pixel_std}")
    if config.bgr and config.channels != 3:
        raise ValueError(f"Config.bgr needs 3 channels; got {config.channels}")
    _check_architecture(config)
    _check_ranges(config)
    _check_augmentation(config)


def _check_architecture(config: Config) -> None:
    fpn = config.architecture == "fpn"
    levels = 5 if fpn else 1
    if len(config.anchor_sizes) != levels or len({len(sizes) for sizes in config.anchor_sizes}) != 1:
        needed = "five tuples of equal length, one per level P2..P6" if fpn else "one tuple, of its one level"
        raise ValueError(
            f'Config.anchor_sizes needs {needed} for architecture="{config.architecture}"; got {config.anchor_sizes}'
        )
    if fpn and config.size_divisor % 32:
        raise ValueError(
            f"Config.size_divisor must be a multiple of 32 for an FPN; got {config.size_divisor}"
        )
    if config.square and config.max_size % 64:
        raise ValueError(f"Config.max_size must be a multiple of 64 with square=True; got {config.max_size}")
    if config.recompute_backbone and config.norm == "batch_norm":
        raise ValueError(
            'Config.recompute_backbone=True does not go with norm="batch_norm": its statistics would be updated twice'
        )
    if config.groups > 1 and config.depth < 50:
        raise ValueError(f"Config.groups needs bottlenecks, so depth 50 or more; got depth {config.depth}")
    if config.architecture == "c4" and (config.keypoint_names or config.mask_head == "mlp"):
        raise ValueError('Config.architecture="c4" has a res5 head, for boxes and "fcn" masks only')
    if config.architecture == "c4" and not config.box_pool_size == config.mask_pool_size == 14:
        raise ValueError(
            'Config.box_pool_size and mask_pool_size must be 14 with architecture="c4": res5 halves both'
        )
    if len(config.cascade_ious) != len(config.cascade_delta_weights):
        raise ValueError(
            "Config.cascade_delta_weights needs four values for each of "
            f"cascade_ious {config.cascade_ious}; got {config.cascade_delta_weights}"
        )
    if config.cascade_ious and not config.class_agnostic_boxes:
        raise ValueError(
            "Config.cascade_ious needs class_agnostic_boxes=True: a stage refines boxes, not classes"
        )
    if config.box_fc_norm and config.head_norm == "none":
        raise ValueError("Config.box_fc_norm=True needs a head_norm to normalise with")
    if config.architecture != "c4" and config.box_fcs < 1:
        raise ValueError(f"Config.box_fcs must be at least 1; got {config.box_fcs}")
    if len(set(config.keypoint_names)) < len(config.keypoint_names):
        raise ValueError(f"Config.keypoint_names holds a name more than once: {config.keypoint_names}")


def _check_classes(config: Config) -> None:
    if isinstance(config.class_names, str) or not config.class_names:
        raise ValueError(
            f"Config.class_names must be a sequence of at least one name; got {config.class_names!r}"
        )
    for name in config.class_names:
        if not isinstance(name, str):
            raise ValueError(f"Config.class_names must hold strings; got {name!r}")
    repeated = sorted({name for name in config.class_names if config.class_names.count(name) > 1})
    if repeated:
        raise ValueError(f"Config.class_names holds {', '.join(repeated)} more than once")


def _check_ranges(config: Config) -> None:
    at_least_one = (
        "channels", "min_size", "max_size", "size_divisor", "mask_crop_size", "fpn_channels", "rpn_convs",
        "rpn_batch_size", "pre_nms_top_k", "pre_nms_top_k_train", "post_nms_top_k", "post_nms_top_k_train",
        "box_pool_size", "box_head_channels", "box_batch_size", "mask_pool_size", "mask_head_channels",
        "max_detections", "groups", "group_width", "keypoint_pool_size", "keypoint_head_channels",
    )  # fmt: skip
    for name in at_least_one:
        if getattr(config, name) < 1:
            raise ValueError(f"Config.{name} must be at least 1; got {getattr(config, name)}")
    fractions = (
        "horizontal_flip_probability", "rpn_positive_iou", "rpn_negative_iou", "rpn_positive_fraction", "rpn_nms_iou",
        "crowd_overlap", "box_positive_iou", "box_positive_fraction", "score_threshold", "nms_iou",
        "vertical_flip_probability", "rotate90_probability", "copy_paste_probability", "min_visible_fraction",
        "brightness", "contrast", "saturation", "cutout_size",
    )  # fmt: skip
    for name in fractions:
        if not 0 <= getattr(config, name) <= 1:
            raise ValueError(f"Config.{name} must lie in 0..1; got {getattr(config, name)}")
    _check_sequences(config)
    not_negative = (
        "roi_sampling_ratio", "rpn_smooth_l1_beta", "box_smooth_l1_beta", "norm_epsilon", "rpn_min_size",
        "min_detection_size", "rpn_channels", "rpn_loss_anchors", "box_convs", "box_fcs", "mask_convs",
        "keypoint_convs", "crop_size", "blur_sigma", "cutout_count",
    )  # fmt: skip
    for name in not_negative:
        if getattr(config, name) < 0:
            raise ValueError(f"Config.{name} must not be negative; got {getattr(config, name)}")
    if config.rpn_negative_iou > config.rpn_positive_iou:
        raise ValueError(
            f"Config.rpn_negative_iou {config.rpn_negative_iou} exceeds rpn_positive_iou {config.rpn_positive_iou}"
        )
    if config.max_detections > config.post_nms_top_k * config.num_classes:
        raise ValueError(
            f"Config.max_detections {config.max_detections} cannot be reached with {config.post_nms_top_k} proposals "
            f"and {config.num_classes} classes: raise Config.post_nms_top_k"
        )
    if config.min_size > config.max_size:
        raise ValueError(f"Config.min_size {config.min_size} exceeds Config.max_size {config.max_size}")


def _check_sequences(config: Config) -> None:
    sizes = [size for level in config.anchor_sizes for size in level]
    positive = {
        "anchor_sizes": sizes,
        "anchor_ratios": config.anchor_ratios,
        "box_delta_weights": config.box_delta_weights,
        "train_min_sizes": config.train_min_sizes or (1,),
        "rpn_delta_weights": config.rpn_delta_weights,
        "cascade_ious": config.cascade_ious or (1,),
        "cascade_delta_weights": [w for stage in config.cascade_delta_weights for w in stage] or (1,),
    }
    for name, values in positive.items():
        if not values or min(values) <= 0:
            raise ValueError(f"Config.{name} needs values above 0; got {getattr(config, name)}")
    for name in ("rpn_delta_weights", "box_delta_weights"):
        if len(getattr(config, name)) != 4:
            raise ValueError(f"Config.{name} needs four values; got {getattr(config, name)}")
    if any(len(weights) != 4 for weights in config.cascade_delta_weights):
        raise ValueError(
            f"Config.cascade_delta_weights needs four values per stage; got {config.cascade_delta_weights}"
        )
    if max(config.train_min_sizes, default=0) > config.max_size:
        raise ValueError(
            f"Config.train_min_sizes {config.train_min_sizes} exceeds max_size {config.max_size}"
        )


def _check_augmentation(config: Config) -> None:
    for name, most in (("max_rotation_degrees", 180), ("hue", 0.5)):
        if not 0 <= getattr(config, name) <= most:
            raise ValueError(f"Config.{name} must lie in 0..{most}; got {getattr(config, name)}")
    scales = config.scale_jitter
    if scales and (len(scales) != 2 or not 0 < scales[0] <= scales[1]):
        raise ValueError(f"Config.scale_jitter needs two factors above 0, the lower one first; got {scales}")
    if config.square and config.crop_size > config.max_size:
        raise ValueError(
            f"Config.crop_size {config.crop_size} does not fit the square of max_size {config.max_size}"
        )
    if config.cutout_count and not config.cutout_size:
        raise ValueError("Config.cutout_size must be above 0 for squares to be cut out")
    if config.copy_paste_probability and config.mask_head == "none":
        raise ValueError(
            'Config.copy_paste_probability needs masks, along which objects are cut out; mask_head is "none"'
        )
    for name, channels in (("brightness", (1, 3)), ("contrast", (1, 3)), ("saturation", (3,)), ("hue", (3,))):
        if getattr(config, name) and config.channels not in channels:
            needed = " or ".join(map(str, channels))
            raise ValueError(f"Config.{name} needs {needed} channels; got {config.channels}")
