"""The configuration that builds a model in Detectron2: that of its zoo which is nearest, and what differs."""

import dataclasses

from keras_maskrcnn.config.config import Config
from keras_maskrcnn.presets import PRESETS
from keras_maskrcnn.weights.builders.detectron2 import code

MASK = PRESETS["COCO-InstanceSegmentation/mask_rcnn_R_50_FPN_3x"].config


def settings(config):
    """What the code sets, by key, and the name of the configuration that it begins with."""
    first, second, base, *lines, last = code(config).splitlines()
    assert (first, second) == (
        "from detectron2 import model_zoo",
        "from detectron2.modeling import build_model",
    )
    assert last == "model = build_model(cfg)"
    return base.split('"')[1], dict(line.removeprefix("cfg.").split(" = ") for line in lines)


def test_a_model_of_the_zoo_is_its_configuration():
    name, own = settings(MASK)
    assert name == "COCO-InstanceSegmentation/mask_rcnn_R_50_FPN_3x.yaml"
    assert own == {"MODEL.ROI_HEADS.NUM_CLASSES": "80"}
    for name in ("COCO-InstanceSegmentation/mask_rcnn_R_50_C4_3x", "Misc/cascade_mask_rcnn_R_50_FPN_3x"):
        assert settings(PRESETS[name].config) == (f"{name}.yaml", own)


def test_a_default_config_says_how_it_differs():
    name, own = settings(Config(class_names=("cat", "dog")))
    assert name == "COCO-InstanceSegmentation/mask_rcnn_R_50_FPN_3x.yaml"
    assert own["MODEL.ROI_HEADS.NUM_CLASSES"] == "2" and own["INPUT.FORMAT"] == "'RGB'"
    assert own["MODEL.RESNETS.STRIDE_IN_1X1"] == "False"
    assert own["MODEL.PIXEL_MEAN"] == "[123.675, 116.28, 103.53]"
    assert own["MODEL.ROI_MASK_HEAD.POOLER_TYPE"] == "'ROIAlign'"


def test_a_bottleneck_network_of_another_width_has_its_keys():
    _, own = settings(dataclasses.replace(MASK, stem_channels=32, group_width=32))
    assert own == {
        "MODEL.ROI_HEADS.NUM_CLASSES": "80",
        "MODEL.RESNETS.WIDTH_PER_GROUP": "32",
        "MODEL.RESNETS.STEM_OUT_CHANNELS": "32",
        "MODEL.RESNETS.RES2_OUT_CHANNELS": "128",
    }


def test_norms_widths_and_depths_have_their_keys():
    _, own = settings(
        dataclasses.replace(
            MASK, depth=18, norm="group_norm", head_norm="batch_norm", box_convs=2, box_fcs=1, fpn_channels=64,
            rpn_convs=2, mask_loss="class_agnostic", keypoint_names=("nose",), keypoint_head_channels=32,
            keypoint_convs=3, pixel_mean=(1.0, 2.0, 3.0), anchor_ratios=(1.0,),
        )
    )  # fmt: skip
    assert own == {
        "MODEL.ROI_HEADS.NUM_CLASSES": "80",
        "MODEL.RESNETS.DEPTH": "18",
        "MODEL.RESNETS.NORM": "'GN'",
        "MODEL.FPN.OUT_CHANNELS": "64",
        "MODEL.ROI_BOX_HEAD.NORM": "'BN'",
        "MODEL.ROI_MASK_HEAD.NORM": "'BN'",
        "MODEL.ROI_BOX_HEAD.NUM_CONV": "2",
        "MODEL.ROI_BOX_HEAD.NUM_FC": "1",
        "MODEL.RESNETS.RES2_OUT_CHANNELS": "64",
        "MODEL.ROI_MASK_HEAD.CLS_AGNOSTIC_MASK": "True",
        "MODEL.KEYPOINT_ON": "True",
        "MODEL.ROI_KEYPOINT_HEAD.NUM_KEYPOINTS": "1",
        "MODEL.ROI_KEYPOINT_HEAD.CONV_DIMS": "[32, 32, 32]",
        "MODEL.ROI_BOX_HEAD.CONV_DIM": "64",
        "MODEL.RPN.CONV_DIMS": "[-1, -1]",
        "MODEL.ANCHOR_GENERATOR.ASPECT_RATIOS": "[[1.0]]",
        "INPUT.FORMAT": "'BGR'",
        "MODEL.PIXEL_MEAN": "[3.0, 2.0, 1.0]",
        "MODEL.PIXEL_STD": "[1.0, 1.0, 1.0]",
    }
