"""torchvision's call that builds the model of a Config, for the weights that `sources.torchvision` writes."""

import dataclasses
import re
from typing import Any

from keras_maskrcnn.config.config import Config
from keras_maskrcnn.config.fields import network_fields
from keras_maskrcnn.presets.torchvision import MASK_V2

OPTIONS = {
    "min_size": "min_size",
    "max_size": "max_size",
    "pre_nms_top_k": "rpn_pre_nms_top_n_test",
    "post_nms_top_k": "rpn_post_nms_top_n_test",
    "rpn_nms_iou": "rpn_nms_thresh",
    "score_threshold": "box_score_thresh",
    "nms_iou": "box_nms_thresh",
    "max_detections": "box_detections_per_img",
}
"""What torchvision's models call fields of a Config that are plain numbers."""
NORMS = {
    "frozen_batch_norm": "FrozenBatchNorm2d",
    "batch_norm": "nn.BatchNorm2d",
    "sync_batch_norm": "nn.SyncBatchNorm",
    "group_norm": "partial(nn.GroupNorm, 32)",
}
IMPORTS = {
    "partial": "functools",
    "nn": "torch",
    "MaskRCNN": "torchvision.models.detection",
    "FasterRCNN": "torchvision.models.detection",
    "maskrcnn_resnet50_fpn_v2": "torchvision.models.detection",
    "AnchorGenerator": "torchvision.models.detection.anchor_utils",
    "BackboneWithFPN": "torchvision.models.detection.backbone_utils",
    "resnet_fpn_backbone": "torchvision.models.detection.backbone_utils",
    "FastRCNNConvFCHead": "torchvision.models.detection.faster_rcnn",
    "FastRCNNPredictor": "torchvision.models.detection.faster_rcnn",
    "TwoMLPHead": "torchvision.models.detection.faster_rcnn",
    "KeypointRCNNHeads": "torchvision.models.detection.keypoint_rcnn",
    "KeypointRCNNPredictor": "torchvision.models.detection.keypoint_rcnn",
    "MaskRCNNHeads": "torchvision.models.detection.mask_rcnn",
    "MaskRCNNPredictor": "torchvision.models.detection.mask_rcnn",
    "RPNHead": "torchvision.models.detection.rpn",
    "resnet": "torchvision.models",
    "FrozenBatchNorm2d": "torchvision.ops.misc",
    "MultiScaleRoIAlign": "torchvision.ops",
}
"""Where each name is from."""


def code(config: Config) -> str:
    """Return Python code that makes `model`, whose state dict has the names and shapes of what is written.

    Fields that torchvision's constructors take are given to them; others it has no words for.
    """
    build = _build(config)
    names: dict[str, list[str]] = {}
    for name, module in IMPORTS.items():
        if re.search(rf"\b{name}\b", build):
            names.setdefault(module, []).append(name)
    imports = [f"from {module} import {', '.join(of_module)}" for module, of_module in names.items()]
    return "\n".join([*imports, build])


def _build(config: Config) -> str:
    options = _options(config)
    if _same_tensors(config, MASK_V2) and config.norm_epsilon == MASK_V2.norm_epsilon:
        return f"model = {_call('maskrcnn_resnet50_fpn_v2', weights=None, weights_backbone=None, **options)}"
    lines = [f"backbone = {_backbone(config)}"]
    if config.channels != 3:
        lines.append(f"backbone.body.conv1 = nn.Conv2d({config.channels}, 64, 7, 2, 3, bias=False)")
    kind = "MaskRCNN" if config.mask_head == "fcn" else "FasterRCNN"
    options |= _rpn(config) | _box_head(config)
    if config.mask_head == "fcn":
        options |= _mask_head(config)
    own = [name for name in ("box_predictor", "mask_predictor") if name in options]
    if own:  # then none is made from num_classes
        del options["num_classes"]
        options = _predictors(config) | options
    lines.append(f"model = {_call(kind, _Code('backbone'), **options)}")
    lines += [f"model.roi_heads.{name} = {part!r}" for name, part in _keypoint_parts(config).items()]
    return "\n".join(lines)


class _Code(str):
    """Code in a call, whose representation is the code itself."""

    def __repr__(self) -> str:
        return str(self)


def _call(name: str, *arguments: Any, **options: Any) -> _Code:
    listed = [*map(repr, arguments), *(f"{key}={value!r}" for key, value in options.items())]
    return _Code(f"{name}({', '.join(listed)})")


def _norm(name: str, epsilon: float) -> _Code | None:
    if name == "none":
        return None
    layer = NORMS[name]
    if epsilon == 1e-5:
        return _Code(layer)
    return _Code(
        f"{layer[:-1]}, eps={epsilon!r})" if name == "group_norm" else f"partial({layer}, eps={epsilon!r})"
    )


def _same_tensors(config: Config, other: Config) -> bool:
    fields = [*network_fields(Config), "anchor_sizes", "anchor_ratios", "cascade_ious", "keypoint_names"]
    # Whether the predictors have rows for the background is a matter of this package.
    alike = dataclasses.replace(config, background_outputs=other.background_outputs)
    return all(getattr(alike, name) == getattr(other, name) for name in (*fields, "mask_pool_size"))


def _options(config: Config) -> dict[str, Any]:
    """What every constructor takes besides the layers, where it is not the default."""
    default = Config(class_names=config.class_names)
    options: dict[str, Any] = {"num_classes": config.num_classes + 1}
    for field, option in OPTIONS.items():
        if getattr(config, field) != getattr(default, field):
            options[option] = getattr(config, field)
    for field, option in {"pixel_mean": "image_mean", "pixel_std": "image_std"}.items():
        if getattr(config, field) != getattr(default, field):
            options[option] = [round(value / 255, 6) for value in getattr(config, field)]
    return (
        options | _pool(config, "box", 7) | (_pool(config, "mask", 14) if config.mask_head == "fcn" else {})
    )


def _backbone(config: Config) -> _Code:
    norm = _norm(config.norm, config.norm_epsilon)
    fpn_norm = _norm(config.fpn_norm, config.norm_epsilon)
    groups = {"groups": config.groups, "width_per_group": config.group_width}
    groups = {} if (config.groups, config.group_width) == (1, 64) or config.depth < 50 else groups
    if not groups and config.fpn_channels == 256 and fpn_norm is None:
        own = {} if norm == NORMS["frozen_batch_norm"] else {"norm_layer": norm}
        return _call("resnet_fpn_backbone", backbone_name=f"resnet{config.depth}", weights=None, **own)
    body = _call(f"resnet.resnet{config.depth}", norm_layer=norm, **groups)
    layers = {f"layer{number + 1}": str(number) for number in range(4)}
    channels = [(256 if config.depth >= 50 else 64) * 2**number for number in range(4)]
    own = {} if fpn_norm is None else {"norm_layer": fpn_norm}
    return _call("BackboneWithFPN", body, layers, channels, config.fpn_channels, **own)


def _rpn(config: Config) -> dict[str, Any]:
    default, options = Config(class_names=config.class_names), {}
    anchors = config.anchor_sizes, config.anchor_ratios
    if anchors != (default.anchor_sizes, default.anchor_ratios):
        ratios = (config.anchor_ratios,) * len(config.anchor_sizes)
        options["rpn_anchor_generator"] = _call("AnchorGenerator", config.anchor_sizes, ratios)
    if config.rpn_convs != 1:
        count = len(config.anchor_sizes[0]) * len(config.anchor_ratios)
        options["rpn_head"] = _call("RPNHead", config.fpn_channels, count, conv_depth=config.rpn_convs)
    return options


def _pool(config: Config, name: str, default: int) -> dict[str, Any]:
    size = getattr(config, f"{name}_pool_size")
    if (size, config.roi_sampling_ratio) == (default, 2):
        return {}
    levels = ["0", "1", "2", "3"]
    return {f"{name}_roi_pool": _call("MultiScaleRoIAlign", levels, size, config.roi_sampling_ratio)}


def _box_head(config: Config) -> dict[str, Any]:
    options: dict[str, Any] = {}
    size = config.box_pool_size
    own = {} if config.head_norm == "none" else {"norm_layer": _norm(config.head_norm, config.norm_epsilon)}
    if (config.box_convs, config.box_fcs) != (0, 2):
        layers = [config.fpn_channels] * config.box_convs, [config.box_head_channels] * config.box_fcs
        options["box_head"] = _call("FastRCNNConvFCHead", (config.fpn_channels, size, size), *layers, **own)
    elif (size, config.box_head_channels) != (7, 1024):
        options["box_head"] = _call("TwoMLPHead", config.fpn_channels * size**2, config.box_head_channels)
    if config.box_head_channels != 1024:
        options["box_predictor"] = _predictors(config)["box_predictor"]
    return options


def _mask_head(config: Config) -> dict[str, Any]:
    options: dict[str, Any] = {}
    width = config.mask_head_channels
    own = {} if config.head_norm == "none" else {"norm_layer": _norm(config.head_norm, config.norm_epsilon)}
    if own or (config.mask_convs, width) != (4, 256):
        options["mask_head"] = _call(
            "MaskRCNNHeads", config.fpn_channels, [width] * config.mask_convs, 1, **own
        )
    if (width if config.mask_convs else config.fpn_channels, width) != (256, 256):
        options["mask_predictor"] = _predictors(config)["mask_predictor"]
    return options


def _predictors(config: Config) -> dict[str, Any]:
    classes, width = config.num_classes + 1, config.mask_head_channels
    predictors = {"box_predictor": _call("FastRCNNPredictor", config.box_head_channels, classes)}
    if config.mask_head == "fcn":
        inputs = width if config.mask_convs else config.fpn_channels
        predictors["mask_predictor"] = _call("MaskRCNNPredictor", inputs, width, classes)
    return predictors


def _keypoint_parts(config: Config) -> dict[str, Any]:
    """What makes a Faster or Mask R-CNN one of keypoints too."""
    if not config.keypoint_names:
        return {}
    width, levels = config.keypoint_head_channels, ["0", "1", "2", "3"]
    inputs = width if config.keypoint_convs else config.fpn_channels
    pool = _call("MultiScaleRoIAlign", levels, config.keypoint_pool_size, config.roi_sampling_ratio)
    return {
        "keypoint_roi_pool": pool,
        "keypoint_head": _call("KeypointRCNNHeads", config.fpn_channels, (width,) * config.keypoint_convs),
        "keypoint_predictor": _call("KeypointRCNNPredictor", inputs, len(config.keypoint_names)),
    }
