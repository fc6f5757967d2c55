"""MMDetection's model zoo: its Mask, Faster and Cascade R-CNN with ResNet and ResNeXt, but for those named here.

Left out are models with parts that this package does not have (deformable convolutions and pooling, weight
standardisation, RegNet and ConvNeXt, global context and GRoIE, other detectors) and those for LVIS v1.

Rows are called as MMDetection calls its models, with "_" for "-" and "mmdet_" before it. They and what each model is
made of stand in mmdet.csv; a part's name there is one of KINDS or PARTS.
"""

import csv
import importlib.resources
from dataclasses import replace
from typing import Any

from keras_maskrcnn.config.config import Config
from keras_maskrcnn.presets.class_names import COCO, lvis_v0_5
from keras_maskrcnn.presets.preset import Preset

URL = "https://download.openmmlab.com/mmdetection/v2.0/"
ZOO = "https://github.com/open-mmlab/mmdetection/blob/main/docs/en/model_zoo.md"

MASK = Config(
    class_names=COCO,
    size_rounding="round_once",
    resize="opencv",
    round_anchors=False,
    fixed_anchor_strides=True,
    rpn_smooth_l1_beta=0.0,
    rpn_min_size=1e-12,  # any side above 0 will do
    post_nms_top_k_train=1000,
    clamp_shrinking=True,
    level_rule="mmdetection",
    roi_sampling_ratio=0,
    roi_aligned=True,
    box_smooth_l1_beta=0.0,
    binary_mask_targets=True,
    background_outputs=False,
    min_detection_size=0.0,
)
BOXES: dict[str, Any] = {"mask_head": "none"}
# Stds of 0.05 and 0.1, then 0.033 and 0.067, of which weights are the inverse.
DELTA_WEIGHTS = ((20.0, 20.0, 10.0, 10.0), (1 / 0.033, 1 / 0.033, 1 / 0.067, 1 / 0.067))
CASCADE = replace(
    MASK,
    class_agnostic_boxes=True,
    cascade_ious=(0.6, 0.7),
    cascade_delta_weights=DELTA_WEIGHTS,
    cascade_scores="logits",
    cascade_mask_heads=True,
    rpn_smooth_l1_beta=1 / 9,
    box_smooth_l1_beta=1.0,
    post_nms_top_k_train=2000,
)
KINDS = {
    "mask": MASK,
    "faster": replace(MASK, **BOXES),
    "cascade_mask": CASCADE,
    "cascade": replace(CASCADE, cascade_mask_heads=False, **BOXES),
}
"""The architectures, with a ResNet-50 of torchvision's."""

# Means and stds are in RGB order here and in BGR order there. Those of 1 are of weights that MSRA trained, which
# have the stds in their first convolution.
RAW_BGR: dict[str, Any] = {"bgr": True, "pixel_std": (1.0, 1.0, 1.0)}
ONE_LEVEL: dict[str, Any] = {
    "anchor_sizes": ((32, 64, 128, 256, 512),),
    "pre_nms_top_k": 6000,
    "pre_nms_top_k_train": 12000,
    "post_nms_top_k_train": 2000,
}
DEEP_BOX_HEAD: dict[str, Any] = {"box_convs": 4, "box_fcs": 1}
GN: dict[str, Any] = {
    **{"norm": "group_norm", "fpn_norm": "group_norm", "head_norm": "group_norm"},
    **DEEP_BOX_HEAD,
}
SYNC_BN: dict[str, Any] = {
    **{"norm": "batch_norm", "fpn_norm": "batch_norm", "head_norm": "batch_norm"},
    **{"frozen_stages": 0, "rpn_convs": 2},
    **DEEP_BOX_HEAD,
}
PARTS: dict[str, dict[str, Any]] = {
    "r101": {"depth": 101},
    "x101_32x4d": {"depth": 101, "groups": 32, "group_width": 4},
    "x101_64x4d": {"depth": 101, "groups": 64, "group_width": 4},
    "x101_32x8d": {"depth": 101, "groups": 32, "group_width": 8, "bgr": True},
    "caffe": {"stride_in_1x1": True, **RAW_BGR},
    "c4": {"architecture": "c4", "box_pool_size": 14, **ONE_LEVEL},
    "dc5": {"architecture": "dc5", **ONE_LEVEL},
    "gn": GN,
    "gn_detectron": {**GN, **RAW_BGR},
    "syncbn": SYNC_BN,
    "lvis_v0.5": {"class_names": lvis_v0_5(), "score_threshold": 1e-4, "max_detections": 300},
    "steps": {"train_min_sizes": (640, 672, 704, 736, 768, 800)},
    "range": {"train_min_sizes": tuple(range(640, 801))},
}
"""What a model has that its kind has not."""

KITS = ("mask", "cascade_mask", "mask caffe", "mask x101_32x8d")
"""Models of these parts, however they were trained, were compared with a recording of MMDetection."""
LISTS = (
    *(
        "mask x101_64x4d",
        "mask r101 caffe",
        "mask gn_detectron",
        "faster",
        "faster caffe",
        "faster x101_32x4d",
    ),
    *("cascade", "cascade_mask x101_32x4d"),
)
"""Of these, names and shapes of the tensors."""
RECIPES = ("steps", "range")


def _row(name: str, parts: str, file: str, box_ap: str, mask_ap: str) -> Preset:
    kind, *others = parts.split()
    changes = {field: value for part in others for field, value in PARTS[part].items()}
    model = " ".join([kind, *(part for part in others if part not in RECIPES)])
    return Preset(
        name=name,
        config=replace(KINDS[kind], **changes),
        source="mmdet",
        url=URL + file,
        hash=f"sha256:{file.removesuffix('.pth')[-8:]}",
        dataset="LVIS v0.5" if "lvis_v0.5" in others else "COCO",
        parity="kit" if model in KITS else "names" if model in LISTS else "none",
        box_ap=float(box_ap),
        mask_ap=float(mask_ap) if mask_ap else None,
        published=ZOO,
    )


def _rows() -> tuple[Preset, ...]:
    text = importlib.resources.files(__package__).joinpath("mmdet.csv").read_text(encoding="utf-8")
    _, *rows = csv.reader(text.splitlines())
    return tuple(_row(*row) for row in rows)


PRESETS = _rows()
