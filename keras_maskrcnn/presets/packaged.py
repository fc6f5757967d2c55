"""Models that come with this package: trained by its own samples, stored in half precision, each with its card."""

from keras_maskrcnn.config.config import Config
from keras_maskrcnn.presets.preset import Preset

NUCLEI = Config(
    class_names=("nucleus",),
    channels=1,
    intensity_percentiles=(1.0, 99.8),  # exposures differ by a factor of ten
    pixel_mean=(45.0,),
    pixel_std=(60.0,),
    image_scale=2.0,  # half of the nuclei are narrower than 13 pixels
    crop_size=256,
    scale_jitter=(0.7, 1.4),
    vertical_flip_probability=0.5,
    rotate90_probability=0.75,
    brightness=0.1,
    contrast=0.3,
    depth=18,
    stem_channels=32,
    norm="group_norm",  # from scratch there are no statistics to freeze
    fpn_norm="group_norm",
    head_norm="group_norm",
    frozen_stages=0,
    fpn_channels=64,
    anchor_sizes=((11, 16), (23, 32), (45, 64), (90, 128), (181, 256)),
    anchor_ratios=(0.7, 1.4),
    pre_nms_top_k_train=1000,
    post_nms_top_k_train=500,
    box_batch_size=128,
    box_head_channels=256,
    mask_head_channels=64,
    roi_aligned=True,
    background_outputs=False,
    max_detections=500,
    soft_nms_sigma=0.3,  # neighbours overlap: 0.609 for 0.597 of the contest's mean with hard NMS
)
"""A small network, for small things that all look alike. samples/nuclei/train.py trains it."""

PRESETS = (
    Preset(
        name="nuclei_resnet18_fpn",
        config=NUCLEI,
        source="keras_maskrcnn",
        url="",
        hash="sha256:297bae87",
        size=7.73,
        licence="Apache-2.0",
        dataset="2018 Data Science Bowl",
    ),
)
