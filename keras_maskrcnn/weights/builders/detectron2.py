"""Detectron2's configuration that builds the model of a Config, for the weights that `sources.detectron2` writes."""

from typing import Any

from keras_maskrcnn.config.config import Config
from keras_maskrcnn.presets import PRESETS

NORMS = {
    "frozen_batch_norm": "FrozenBN",
    "batch_norm": "BN",
    "sync_batch_norm": "SyncBN",
    "group_norm": "GN",
    "none": "",
}
KEYS = {
    "depth": "MODEL.RESNETS.DEPTH",
    "groups": "MODEL.RESNETS.NUM_GROUPS",
    "group_width": "MODEL.RESNETS.WIDTH_PER_GROUP",
    "stride_in_1x1": "MODEL.RESNETS.STRIDE_IN_1X1",
    "norm": "MODEL.RESNETS.NORM",
    "fpn_channels": "MODEL.FPN.OUT_CHANNELS",
    "fpn_norm": "MODEL.FPN.NORM",
    "head_norm": "MODEL.ROI_BOX_HEAD.NORM MODEL.ROI_MASK_HEAD.NORM",
    "anchor_sizes": "MODEL.ANCHOR_GENERATOR.SIZES",
    "pre_nms_top_k": "MODEL.RPN.PRE_NMS_TOPK_TEST",
    "post_nms_top_k": "MODEL.RPN.POST_NMS_TOPK_TEST",
    "rpn_nms_iou": "MODEL.RPN.NMS_THRESH",
    "roi_sampling_ratio": (
        "MODEL.ROI_BOX_HEAD.POOLER_SAMPLING_RATIO MODEL.ROI_MASK_HEAD.POOLER_SAMPLING_RATIO "
        "MODEL.ROI_KEYPOINT_HEAD.POOLER_SAMPLING_RATIO"
    ),
    "box_pool_size": "MODEL.ROI_BOX_HEAD.POOLER_RESOLUTION",
    "box_convs": "MODEL.ROI_BOX_HEAD.NUM_CONV",
    "box_fcs": "MODEL.ROI_BOX_HEAD.NUM_FC",
    "box_head_channels": "MODEL.ROI_BOX_HEAD.FC_DIM",
    "box_delta_weights": "MODEL.ROI_BOX_HEAD.BBOX_REG_WEIGHTS",
    "class_agnostic_boxes": "MODEL.ROI_BOX_HEAD.CLS_AGNOSTIC_BBOX_REG",
    "cascade_ious": "MODEL.ROI_BOX_CASCADE_HEAD.IOUS",
    "cascade_delta_weights": "MODEL.ROI_BOX_CASCADE_HEAD.BBOX_REG_WEIGHTS",
    "mask_pool_size": "MODEL.ROI_MASK_HEAD.POOLER_RESOLUTION",
    "mask_convs": "MODEL.ROI_MASK_HEAD.NUM_CONV",
    "mask_head_channels": "MODEL.ROI_MASK_HEAD.CONV_DIM",
    "keypoint_pool_size": "MODEL.ROI_KEYPOINT_HEAD.POOLER_RESOLUTION",
    "score_threshold": "MODEL.ROI_HEADS.SCORE_THRESH_TEST",
    "nms_iou": "MODEL.ROI_HEADS.NMS_THRESH_TEST",
    "max_detections": "TEST.DETECTIONS_PER_IMAGE",
    "min_size": "INPUT.MIN_SIZE_TEST",
    "max_size": "INPUT.MAX_SIZE_TEST",
}
"""What Detectron2 calls a field, where only its name is another."""


def code(config: Config) -> str:
    """Return Python code that makes `model`, whose state dict has the names and shapes of what is written.

    Fields that Detectron2's configuration has are set; others it has no words for.
    """
    name, base = _base(config)
    settings: dict[str, Any] = {"MODEL.ROI_HEADS.NUM_CLASSES": config.num_classes}
    for field, keys in KEYS.items():
        value = getattr(config, field)
        if value != getattr(base, field):
            settings |= dict.fromkeys(keys.split(), NORMS[value] if field.endswith("norm") else _plain(value))
    settings |= _others(config, base)
    if config.architecture == "c4":  # res5, which has the backbone's norm, takes the place of these layers
        settings = {key: value for key, value in settings.items() if not key.endswith(("NUM_CONV", "NUM_FC"))}
    lines = [
        "from detectron2 import model_zoo",
        "from detectron2.modeling import build_model",
        f'cfg = model_zoo.get_config("{name}.yaml")',
        *(f"cfg.{key} = {value!r}" for key, value in settings.items()),
        "model = build_model(cfg)",
    ]
    return "\n".join(lines)


def _base(config: Config) -> tuple[str, Config]:
    """The model of the zoo that is nearest, and its Config."""
    if config.cascade_ious:
        name = "Misc/cascade_mask_rcnn_R_50_FPN_3x"
    else:
        family = {"fpn": "FPN", "c4": "C4", "dc5": "DC5"}[config.architecture]
        name = f"COCO-InstanceSegmentation/mask_rcnn_R_50_{family}_3x"
    return name, PRESETS[name].config


def _others(config: Config, base: Config) -> dict[str, Any]:
    """Settings that are more than another name."""
    settings: dict[str, Any] = {}
    if config.depth < 50:
        settings["MODEL.RESNETS.RES2_OUT_CHANNELS"] = 64
    elif config.stem_channels != base.stem_channels:
        settings["MODEL.RESNETS.STEM_OUT_CHANNELS"] = config.stem_channels
        settings["MODEL.RESNETS.RES2_OUT_CHANNELS"] = 4 * config.stem_channels
    if config.mask_head == "none":
        settings["MODEL.MASK_ON"] = False
    elif config.mask_loss == "class_agnostic":
        settings["MODEL.ROI_MASK_HEAD.CLS_AGNOSTIC_MASK"] = True
    if config.keypoint_names:
        settings["MODEL.KEYPOINT_ON"] = True
        settings["MODEL.ROI_KEYPOINT_HEAD.NUM_KEYPOINTS"] = len(config.keypoint_names)
        settings["MODEL.ROI_KEYPOINT_HEAD.CONV_DIMS"] = [
            config.keypoint_head_channels
        ] * config.keypoint_convs
    if config.box_convs:
        settings["MODEL.ROI_BOX_HEAD.CONV_DIM"] = config.fpn_channels
    if (config.rpn_convs, config.rpn_channels) != (1, 0):
        settings["MODEL.RPN.CONV_DIMS"] = [config.rpn_channels or -1] * config.rpn_convs
    if config.anchor_ratios != base.anchor_ratios:
        settings["MODEL.ANCHOR_GENERATOR.ASPECT_RATIOS"] = [list(config.anchor_ratios)]
    if not config.roi_aligned:
        for head in ("BOX", "MASK", "KEYPOINT"):
            settings[f"MODEL.ROI_{head}_HEAD.POOLER_TYPE"] = "ROIAlign"
    pixels = config.bgr, config.pixel_mean, config.pixel_std
    if pixels != (base.bgr, base.pixel_mean, base.pixel_std):
        order = -1 if config.bgr else 1
        settings["INPUT.FORMAT"] = "BGR" if config.bgr else "RGB"
        settings["MODEL.PIXEL_MEAN"] = list(config.pixel_mean[::order])
        settings["MODEL.PIXEL_STD"] = list(config.pixel_std[::order])
    return settings


def _plain(value: Any) -> Any:
    """Lists, as Detectron2's files have them, in place of tuples."""
    return [_plain(item) for item in value] if isinstance(value, tuple) else value
