"""RoIAlign as the Config asks for it, on the levels that there are, with a C4 model's res5 behind it."""

from typing import Any

from keras_maskrcnn.config.config import Config
from keras_maskrcnn.layers.resnet import Res5
from keras_maskrcnn.layers.roi_align import RoIAlign
from keras_maskrcnn.network.backbone import SINGLE_STRIDE, STRIDES


def roi_align_layer(config: Config, size: int, name: str) -> RoIAlign:
    """Return the layer that pools boxes from their levels into `size` x `size` bins."""
    return RoIAlign(
        size=size,
        sampling_ratio=config.roi_sampling_ratio,
        aligned=config.roi_aligned,
        mode=config.roi_mode,
        strides=tuple(STRIDES.values()) if config.architecture == "fpn" else (SINGLE_STRIDE,),
        level_rule=config.level_rule,
        name=name,
    )


def pool_rois(
    config: Config, res5: Res5 | None, features: dict[str, Any], rois: dict[str, Any], size: int, name: str
) -> Any:
    """Pool rois `{"boxes": [M, 4], "image_indices": [M]}` into what a head is given, `[M, P, P, C]`."""
    pooled = roi_align_layer(config, size, name)(features, rois["boxes"], rois["image_indices"])
    return pooled if res5 is None else res5(pooled)
