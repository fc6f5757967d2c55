"""Fields of `examples.TINY` that make each architecture of it."""

C4 = {
    "architecture": "c4",
    "anchor_sizes": ((16, 32, 64),),
    "size_divisor": 1,
    "box_pool_size": 14,
    "fixed_anchor_strides": True,
    "level_rule": "detectron2",
    "rpn_loss_anchors": 32,
    "background_outputs": False,
}
MATTERPORT = {
    "square": True,
    "max_size": 128,
    "resize": "skimage",
    "size_rounding": "half_even",
    "conv_bias": True,
    "pool_padding": "end",
    "rpn_channels": 48,
    "rpn_softmax": True,
    "rpn_delta_weights": (10, 10, 5, 5),
    "joint_proposals": True,
    "clamp_deltas": False,
    "fixed_anchor_strides": True,
    "level_rule": "matterport",
    "roi_mode": "crop_and_resize",
    "head_norm": "batch_norm",
    "box_fc_norm": True,
    "one_class_per_box": True,
    "paste": "matterport",
}
VARIANTS = {
    "c4": C4,
    "dc5": {**C4, "architecture": "dc5", "box_pool_size": 7},
    "resnext": {"depth": 50, "groups": 32, "group_width": 4},
    "batch norm everywhere": {
        "norm": "batch_norm",
        "fpn_norm": "batch_norm",
        "head_norm": "batch_norm",
        "rpn_convs": 2,
        "box_convs": 4,
        "box_fcs": 1,
    },
    "cascade": {
        "cascade_ious": (0.6, 0.7),
        "cascade_delta_weights": ((20, 20, 10, 10), (30, 30, 15, 15)),
        "class_agnostic_boxes": True,
    },
    "keypoints": {
        "mask_head": "none",
        "keypoint_names": ("nose", "left_eye", "right_eye"),
        "keypoint_head_channels": 32,
        "keypoint_convs": 2,
    },
    "masks and keypoints": {"keypoint_names": ("nose",), "keypoint_head_channels": 32, "keypoint_convs": 1},
    "matterport": MATTERPORT,
}
