"""torchvision's detectors. Licences of the weights are not published: its README says that they may have their own."""

import dataclasses
from typing import Any, Literal

from keras_maskrcnn.config.config import Config
from keras_maskrcnn.config.keypoints import PERSON_KEYPOINTS
from keras_maskrcnn.presets.class_names import coco_by_id
from keras_maskrcnn.presets.preset import Preset

URL = "https://download.pytorch.org/models/"

MASK_V1 = Config(
    class_names=coco_by_id(),
    norm_epsilon=0.0,  # what these weights were trained with, before torchvision had another value
    paste="torchvision",
)
FASTER_V1 = dataclasses.replace(MASK_V1, mask_head="none")
MASK_V2 = dataclasses.replace(
    MASK_V1,
    norm="batch_norm",
    fpn_norm="batch_norm",
    head_norm="batch_norm",
    norm_epsilon=1e-5,
    rpn_convs=2,
    box_convs=4,
    box_fcs=1,
)
FASTER_V2 = dataclasses.replace(MASK_V2, mask_head="none")
KEYPOINT = dataclasses.replace(
    FASTER_V1,
    class_names=("person",),
    keypoint_names=PERSON_KEYPOINTS,
    train_min_sizes=(640, 672, 704, 736, 768, 800),
)
KEYPOINT_LEGACY = dataclasses.replace(KEYPOINT, norm_epsilon=1e-5)


def _row(
    name: str,
    file: str,
    config: Config,
    parity: Literal["kit", "names"],
    size: float | None,
    **metrics: Any,
) -> Preset:
    return Preset(
        name=name,
        config=config,
        source="torchvision",
        url=f"{URL}{file}",
        hash=f"sha256:{file.removesuffix('.pth').rsplit('-', 1)[-1]}",
        size=size,
        parity=parity,
        published="https://docs.pytorch.org/vision/stable/models.html",
        **metrics,
    )


PRESETS = (
    _row(
        "maskrcnn_resnet50_fpn_coco",
        "maskrcnn_resnet50_fpn_coco-bf2d0c1e.pth",
        *(MASK_V1, "kit", 169.84),
        box_ap=37.9,
        mask_ap=34.6,
    ),
    _row(
        "maskrcnn_resnet50_fpn_v2_coco",
        "maskrcnn_resnet50_fpn_v2_coco-73cbd019.pth",
        *(MASK_V2, "kit", 177.219),
        box_ap=47.4,
        mask_ap=41.8,
    ),
    _row(
        "fasterrcnn_resnet50_fpn_coco",
        "fasterrcnn_resnet50_fpn_coco-258fb6c6.pth",
        *(FASTER_V1, "kit", 159.743),
        box_ap=37.0,
    ),
    _row(
        "fasterrcnn_resnet50_fpn_v2_coco",
        "fasterrcnn_resnet50_fpn_v2_coco-dd69338a.pth",
        *(FASTER_V2, "names", 167.104),
        box_ap=46.7,
    ),
    _row(
        "keypointrcnn_resnet50_fpn_coco",
        "keypointrcnn_resnet50_fpn_coco-fc266e95.pth",
        *(KEYPOINT, "kit", 226.054),
        box_ap=54.6,
        keypoint_ap=65.0,
    ),
    _row(
        "keypointrcnn_resnet50_fpn_coco_legacy",
        "keypointrcnn_resnet50_fpn_coco-9f466800.pth",
        *(KEYPOINT_LEGACY, "kit", None),
        box_ap=50.6,
        keypoint_ap=61.1,
    ),
)
