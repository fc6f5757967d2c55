import json

import pytest
from examples import tiny
from variants import MATTERPORT

from keras_maskrcnn.artefacts.about import describe
from keras_maskrcnn.artefacts.request import Request
from keras_maskrcnn.config.config import Config


def test_the_config_comes_back_from_it():
    config = tiny(**MATTERPORT, keypoint_names=("nose",))
    values = json.loads(json.dumps(describe(config, Request("onnx"))))
    assert Config.from_dict(values["config"]) == config
    assert values["class_names"] == ["circle", "square"] and values["keypoint_names"] == ["nose"]
    assert values["versions"]["keras"].startswith("3.")


@pytest.mark.parametrize(
    ("changes", "request_", "key", "words"),
    [
        ({}, Request("onnx"), "size", "int(side * scale)"),
        ({"size_rounding": "round"}, Request("onnx"), "size", "int(side + 0.5)"),
        ({"image_scale": 2.0}, Request("onnx"), "size", "side * 2.0"),
        (
            {"intensity_percentiles": (1, 99)},
            Request("onnx"),
            "stretching",
            "percentiles 1 and 99 become 0 and 255",
        ),
        ({"resize": "pillow"}, Request("onnx"), "resizing", "antialiased and rounded"),
        ({"resize": "opencv"}, Request("onnx"), "resizing", "OpenCV's INTER_LINEAR"),
        ({"size_rounding": "round_once"}, Request("onnx"), "size", "int(side * scale + 0.5)"),
        ({"paste": "torchvision"}, Request("onnx"), "pasting", "torchvision's ring of one mask pixel"),
        ({}, Request("onnx", "uint8"), "image", "[H, W, 3] uint8, RGB, of any size"),
        ({}, Request("onnx", "uint8", "pasted"), "masks", "bool, of the pixels of the image"),
        ({}, Request("litert"), "images", "[1, H, W, 3] float32"),
        ({"channels": 1, "pixel_mean": (0,), "pixel_std": (1,)}, Request("onnx"), "images", "1 channels"),
        ({"keypoint_names": ("nose",)}, Request("onnx"), "keypoints", "a logit"),
    ],
)
def test_the_rules_are_said_in_words(changes, request_, key, words):
    assert words in describe(tiny(**changes), request_)["rules"][key]


def test_masks_are_not_described_where_there_are_none():
    for config, masks in ((tiny(mask_head="none"), "crops"), (tiny(), None)):
        values = describe(config, Request("onnx", masks=masks))
        assert values["masks"] is None and "masks" not in values["rules"]
