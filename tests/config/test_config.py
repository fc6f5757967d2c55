import dataclasses

import numpy as np
import pytest

from keras_maskrcnn.config.config import Config

CONFIG = Config(class_names=("a", "b"))
CASCADE = {
    "cascade_ious": (0.6,),
    "cascade_delta_weights": ((20, 20, 10, 10),),
    "class_agnostic_boxes": True,
}


def test_json_round_trip():
    assert Config.from_json(CONFIG.to_json()) == CONFIG


def test_is_frozen_and_hashable():
    with pytest.raises(dataclasses.FrozenInstanceError):
        CONFIG.depth = 18
    assert hash(dataclasses.replace(CONFIG)) == hash(CONFIG)


def test_lists_become_tuples():
    assert Config(class_names=["a"], anchor_sizes=[[8], [16], [32], [64], [128]]).anchor_sizes[0] == (8,)


@pytest.mark.parametrize(
    "changes",
    [
        {"class_names": ()},
        {"class_names": "person"},
        {"class_names": (1, 2)},
        {"depth": 19},
        {"norm": "batchnorm"},
        {"mask_head": "unet"},
        {"mask_loss": "dice"},
        {"class_weights": (1.0,)},
        {"class_weights": (1.0, -1.0)},
        {"fpn_channels": 48, "fpn_norm": "group_norm"},
        {"mask_head_channels": 48, "head_norm": "group_norm"},
        {"keypoint_head_channels": 48, "head_norm": "group_norm", "keypoint_names": ("nose",)},
        {"group_width": 4, "groups": 3, "norm": "group_norm"},
        {"channels": 1},
        {"pixel_std": (1, 0, 1)},
        {"anchor_sizes": ((32,), (64,))},
        {"score_threshold": 1.5},
        {"min_size": 2000},
        {"max_detections": 0},
        {"size_divisor": 16},
        {"frozen_stages": 6},
        {"horizontal_flip_probability": -0.1},
        {"vertical_flip_probability": 1.1},
        {"rotate90_probability": -1},
        {"max_rotation_degrees": 181},
        {"max_rotation_degrees": -1},
        {"scale_jitter": (2.0,)},
        {"image_scale": 2.0, "train_min_sizes": (64,)},
        {"image_scale": 2.0, "square": True},
        {"intensity_percentiles": (1.0,)},
        {"intensity_percentiles": (99.0, 1.0)},
        {"intensity_percentiles": (1.0, 101.0)},
        {"stem_channels": 48, "norm": "group_norm"},
        {"scale_jitter": (2.0, 0.1)},
        {"scale_jitter": (0, 1)},
        {"crop_size": -1},
        {"crop_size": 2048, "max_size": 1024, "square": True},
        {"brightness": 2},
        {"contrast": -0.1},
        {"saturation": 1.5},
        {"hue": 0.6},
        {"hue": 0.1, "channels": 1, "pixel_mean": (0,), "pixel_std": (1,)},
        {"contrast": 0.1, "channels": 5, "pixel_mean": (0,) * 5, "pixel_std": (1,) * 5},
        {"blur_sigma": -1},
        {"cutout_count": -1},
        {"cutout_size": 0.0, "cutout_count": 1},
        {"copy_paste_probability": 1.5},
        {"copy_paste_probability": 0.5, "mask_head": "none"},
        {"min_visible_fraction": 1.1},
        {"class_names": ("a", "b", "a")},
        {"anchor_ratios": ()},
        {"anchor_sizes": ((0,), (1,), (2,), (3,), (4,))},
        {"box_delta_weights": (1, 1)},
        {"roi_sampling_ratio": -1},
        {"train_min_sizes": (0,)},
        {"train_min_sizes": (2000,)},
        {"norm_epsilon": -1},
        {"box_smooth_l1_beta": -1},
        {"rpn_negative_iou": 0.9},
        {"max_detections": 2001},
        {"bgr": True, "channels": 1, "pixel_mean": (0,), "pixel_std": (1,)},
        {"architecture": "c5"},
        {"recomputed_stages": 2, "norm": "batch_norm"},
        {"recomputed_stages": 5, "fpn_norm": "sync_batch_norm"},
        {"anchor_sizes": ((32, 64),) * 5, "architecture": "c4"},
        {"box_pool_size": 7, "architecture": "c4", "anchor_sizes": ((32,),)},
        {"architecture": "c4", "anchor_sizes": ((32,),), "box_pool_size": 14, "mask_head": "mlp"},
        {"groups": 32, "depth": 34},
        {"max_size": 1000, "square": True},
        {"cascade_ious": (0.6,), "cascade_delta_weights": ((20, 20, 10, 10),)},
        {"cascade_mask_heads": True},
        {"cascade_mask_heads": True, **CASCADE, "mask_head": "none"},
        {"cascade_mask_heads": True, **CASCADE, "mask_loss": "softmax"},
        {"cascade_mask_heads": True, **CASCADE, "mask_iou_head": True},
        {"cascade_delta_weights": ((20, 20, 10, 10),)},
        {"cascade_delta_weights": ((20, 20),), "cascade_ious": (0.6,), "class_agnostic_boxes": True},
        {"box_fcs": 0},
        {"box_fc_norm": True},
        {"keypoint_names": ("nose", "nose")},
        {"rpn_delta_weights": (1, 1)},
        {"resize": "cubic"},
        {"level_rule": "fpn"},
        {"roi_mode": "crop"},
        {"paste": "integer"},
        {"rpn_min_size": -1},
        {"cascade_ious": (1.5,), "cascade_delta_weights": ((20, 20, 10, 10),), "class_agnostic_boxes": True},
        {"nms_iou": float("nan")},
        {"blur_sigma": float("inf")},
        {"bgr": 1},
        {"min_size": 800.0},
        {"min_size": True},
        {"train_min_sizes": 640},
        {"train_min_sizes": (640.0,)},
        {"class_names": None},
        {"mask_head": None},
    ],
    ids=str,
)
def test_a_bad_value_names_its_field(changes):
    name = "pixel_mean" if changes == {"channels": 1} else next(iter(changes))
    with pytest.raises(ValueError, match=rf"Config\.{name}"):
        dataclasses.replace(CONFIG, **changes)


def test_a_whole_number_given_for_a_float_is_one():
    config = Config(class_names=["cat"], score_threshold=0, nms_iou=1)
    assert type(config.score_threshold) is float and type(config.nms_iou) is float
    assert config.to_json() == Config(class_names=["cat"], score_threshold=0.0, nms_iou=1.0).to_json()


def test_numpy_values_become_plain():
    config = dataclasses.replace(CONFIG, pixel_mean=np.array([1.0, 2, 3]), max_detections=np.int64(7))
    assert (
        config.pixel_mean == (1.0, 2.0, 3.0) and hash(config) and Config.from_json(config.to_json()) == config
    )


def test_unknown_fields_are_named():
    with pytest.raises(ValueError, match="learning_rate"):
        Config.from_dict({"class_names": ["a"], "learning_rate": 1})


def test_fields_are_read_by_their_names_of_version_0_1_0_too():
    old = {
        "class_names": ["a"], "flip_probability": 0.1, "turn_probability": 0.2, "rotation_degrees": 3.0,
        "min_object_share": 0.4,
    }  # fmt: skip
    config = Config.from_dict(old)
    assert (config.horizontal_flip_probability, config.rotate90_probability) == (0.1, 0.2)
    assert (config.max_rotation_degrees, config.min_visible_fraction) == (3.0, 0.4)
