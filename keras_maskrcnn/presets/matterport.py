"""Matterport's Mask R-CNN for Keras 2 and TensorFlow 1."""

from keras_maskrcnn.config.config import Config
from keras_maskrcnn.presets.class_names import COCO
from keras_maskrcnn.presets.preset import Preset

MASK = Config(
    class_names=COCO,
    pixel_mean=(123.7, 116.8, 103.9),
    pixel_std=(1.0, 1.0, 1.0),
    max_size=1024,
    size_rounding="half_even",
    resize="skimage",
    square=True,
    depth=101,
    stride_in_1x1=True,
    norm_epsilon=1e-3,
    conv_bias=True,
    pool_padding="end",
    head_norm="frozen_batch_norm",
    anchor_ratios=(2.0, 1.0, 0.5),  # its 0.5, 1, 2 are width over height
    round_anchors=False,
    fixed_anchor_strides=True,
    rpn_channels=512,
    rpn_softmax=True,
    rpn_delta_weights=(10.0, 10.0, 5.0, 5.0),
    rpn_smooth_l1_beta=1.0,
    rpn_min_size=0.0,
    pre_nms_top_k=6000,
    pre_nms_top_k_train=6000,
    joint_proposals=True,
    clamp_deltas=False,
    level_rule="matterport",
    roi_mode="crop_and_resize",
    box_fc_norm=True,
    box_batch_size=200,
    box_positive_fraction=0.33,
    box_smooth_l1_beta=1.0,
    score_threshold=0.7,
    nms_iou=0.3,
    one_class_per_box=True,
    min_detection_size=0.0,
    paste="matterport",
)

PRESETS = (
    Preset(
        name="matterport_mask_rcnn_coco",
        config=MASK,
        source="matterport",
        url="https://github.com/matterport/Mask_RCNN/releases/download/v2.0/mask_rcnn_coco.h5",
        licence="MIT",
        parity="kit",
        box_ap=34.7,
        mask_ap=29.6,
        published="https://github.com/matterport/Mask_RCNN/releases/tag/v2.0 (COCO minival; the mask AP is quoted in "
        "https://github.com/facebookresearch/maskrcnn-benchmark/issues/449)",
        evaluated_above=0.0,
    ),
)
