"""The code that builds a model in torchvision: the shortest that makes the same tensors."""

import pytest

from keras_maskrcnn.config.config import Config
from keras_maskrcnn.presets import PRESETS
from keras_maskrcnn.weights.builders.torchvision import code


def built(**fields):
    return code(Config(class_names=("cat", "dog"), **fields)).splitlines()


def test_the_default_config_is_a_mask_rcnn_with_frozen_batch_norm():
    assert built() == [
        "from torchvision.models.detection import MaskRCNN",
        "from torchvision.models.detection.backbone_utils import resnet_fpn_backbone",
        "backbone = resnet_fpn_backbone(backbone_name='resnet50', weights=None)",
        "model = MaskRCNN(backbone, num_classes=3)",
    ]


@pytest.mark.parametrize("has_background", [True, False])
def test_batch_norm_throughout_is_the_second_version(has_background):
    fields = PRESETS["maskrcnn_resnet50_fpn_v2_coco"].config.to_dict()
    del fields["class_names"]
    assert built(**fields | {"background_outputs": has_background}) == [
        "from torchvision.models.detection import maskrcnn_resnet50_fpn_v2",
        "model = maskrcnn_resnet50_fpn_v2(weights=None, weights_backbone=None, num_classes=3)",
    ]


def test_group_norm_is_given_to_the_backbone_and_the_heads():
    lines = built(depth=18, norm="group_norm", fpn_norm="group_norm", head_norm="group_norm", fpn_channels=64)
    norm = "norm_layer=partial(nn.GroupNorm, 32)"
    assert lines[0] == "from functools import partial" and lines[1] == "from torch import nn"
    assert f"BackboneWithFPN(resnet.resnet18({norm}), " in lines[-2]
    assert lines[-2].endswith(f"[64, 128, 256, 512], 64, {norm})")
    heads = f"mask_head=MaskRCNNHeads(64, [256, 256, 256, 256], 1, {norm})"
    assert lines[-1] == f"model = MaskRCNN(backbone, num_classes=3, {heads})"


def test_predictors_of_other_widths_are_given_all_of_them():
    assert built(mask_head_channels=64)[-1] == (
        "model = MaskRCNN(backbone, box_predictor=FastRCNNPredictor(1024, 3), "
        "mask_predictor=MaskRCNNPredictor(64, 64, 3), mask_head=MaskRCNNHeads(256, [64, 64, 64, 64], 1))"
    )


def test_what_the_constructors_take_is_given_to_them():
    lines = built(
        min_size=640, score_threshold=0.5, pixel_mean=(0.0, 0.0, 0.0), rpn_convs=2, norm_epsilon=0.0, mask_head="none",
        anchor_sizes=((8,), (16,), (32,), (64,), (128,)), box_pool_size=5, groups=32, group_width=4,
    )  # fmt: skip
    assert lines[-2] == (
        "backbone = BackboneWithFPN(resnet.resnet50(norm_layer=partial(FrozenBatchNorm2d, eps=0.0), groups=32, "
        "width_per_group=4), {'layer1': '0', 'layer2': '1', 'layer3': '2', 'layer4': '3'}, [256, 512, 1024, 2048], 256)"
    )
    assert lines[-1] == (
        "model = FasterRCNN(backbone, num_classes=3, min_size=640, box_score_thresh=0.5, image_mean=[0.0, 0.0, 0.0], "
        "box_roi_pool=MultiScaleRoIAlign(['0', '1', '2', '3'], 5, 2), "
        "rpn_anchor_generator=AnchorGenerator(((8,), (16,), (32,), (64,), (128,)), "
        "((0.5, 1.0, 2.0), (0.5, 1.0, 2.0), (0.5, 1.0, 2.0), (0.5, 1.0, 2.0), (0.5, 1.0, 2.0))), "
        "rpn_head=RPNHead(256, 3, conv_depth=2), box_head=TwoMLPHead(6400, 1024))"
    )


def test_keypoints_are_parts_that_are_set_afterwards():
    lines = built(keypoint_names=("nose",), keypoint_convs=2, keypoint_head_channels=64, channels=4,
                  pixel_mean=(1.0,) * 4, pixel_std=(1.0,) * 4)  # fmt: skip
    assert lines[-5] == "backbone.body.conv1 = nn.Conv2d(4, 64, 7, 2, 3, bias=False)"
    assert lines[-3:] == [
        "model.roi_heads.keypoint_roi_pool = MultiScaleRoIAlign(['0', '1', '2', '3'], 14, 2)",
        "model.roi_heads.keypoint_head = KeypointRCNNHeads(256, (64, 64))",
        "model.roi_heads.keypoint_predictor = KeypointRCNNPredictor(64, 1)",
    ]
