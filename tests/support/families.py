"""Published models with the weights of the kits, and variants with random ones, to be exported."""

import dataclasses

import keras
from kit_models import config_of, loaded
from parity import shared_kit

from keras_maskrcnn.config.config import Config
from keras_maskrcnn.models.mask_rcnn import MaskRCNN

KITS = {
    "torchvision `maskrcnn_resnet50_fpn`": "torchvision_maskrcnn_resnet50_fpn",
    "torchvision `maskrcnn_resnet50_fpn_v2`": "torchvision_maskrcnn_resnet50_fpn_v2",
    "torchvision `keypointrcnn_resnet50_fpn`": "torchvision_keypointrcnn_resnet50_fpn",
    "Detectron2 `mask_rcnn_R_50_FPN`": "detectron2_mask_rcnn_R_50_FPN",
    "Detectron2 `mask_rcnn_R_50_C4`": "detectron2_mask_rcnn_R_50_C4",
    "Detectron2 `cascade_mask_rcnn_R_50_FPN`": "detectron2_cascade_mask_rcnn_R_50_FPN",
    "Matterport `mask_rcnn_coco`": "matterport_mask_rcnn_coco",
}
GROUP_NORM = {"norm": "group_norm", "fpn_norm": "group_norm", "head_norm": "group_norm", "frozen_stages": 0}
FIELDS = {
    "group norm": GROUP_NORM,
    "class-agnostic NMS": {**GROUP_NORM, "class_agnostic_nms": True},
    "soft NMS": {**GROUP_NORM, "soft_nms_sigma": 0.5},
    "Mask Scoring R-CNN": {**GROUP_NORM, "mask_iou_head": True},
}
"""Of a ResNet-50-FPN with random weights."""


def model_of(family):
    """The model, images of half the published size, and scores that random weights reach."""
    if family in KITS:
        kit = shared_kit(KITS[family])
        config = config_of(kit)
        sizes = {"min_size": config.min_size // 2, "max_size": config.max_size // 2, "train_min_sizes": ()}
        return loaded(kit, dataclasses.replace(config, score_threshold=0.0, **sizes), as_file=False)[0]
    keras.utils.set_random_seed(0)
    names = tuple(f"class {number}" for number in range(1, 81))
    return MaskRCNN(
        Config(class_names=names, min_size=320, max_size=480, score_threshold=0.0, **FIELDS[family])
    )
