import functools
from types import SimpleNamespace

import numpy as np
import pytest
from examples import tiny
from names import COCO_KEYPOINTS, assert_round_trip, assert_same_keys, classes, shapes_of

from keras_maskrcnn.config.config import Config
from keras_maskrcnn.models.mask_rcnn import MaskRCNN
from keras_maskrcnn.weights.sources import detectron2
from keras_maskrcnn.weights.sources.table import save

FPN = dict(background_outputs=False)
C4 = dict(
    FPN,
    depth=50,
    architecture="c4",
    anchor_sizes=((32, 64, 128, 256, 512),),
    box_pool_size=14,
    mask_pool_size=14,
)
DC5 = dict(FPN, depth=50, architecture="dc5", anchor_sizes=((32, 64, 128, 256, 512),))
X101 = dict(FPN, depth=101, groups=32, group_width=8)
KEYPOINTS = dict(FPN, class_names=("person",), mask_head="none", keypoint_names=COCO_KEYPOINTS)
CASCADE = dict(
    FPN,
    class_agnostic_boxes=True,
    cascade_ious=(0.6, 0.7),
    cascade_delta_weights=((20, 20, 10, 10), (30, 30, 15, 15)),
)
NORMS = dict(
    FPN, norm="group_norm", fpn_norm="group_norm", head_norm="group_norm", rpn_convs=2, box_convs=4, box_fcs=1
)
VARIANTS = {"fpn": FPN, "c4": C4, "dc5": DC5, "keypoints": KEYPOINTS, "cascade": CASCADE, "norms": NORMS}


@functools.cache
def tiny_model(variant):
    return MaskRCNN(tiny(**dict(norm="frozen_batch_norm", keypoint_head_channels=32) | VARIANTS[variant]))


def keys(variant):
    return {entry.key for entry in detectron2.table(tiny_model(variant).network)}


@pytest.mark.parametrize(
    "name, changes",
    [
        ("mask_rcnn_R_50_C4", C4),
        pytest.param("mask_rcnn_R_50_FPN", FPN, marks=pytest.mark.slow),
        pytest.param("faster_rcnn_R_50_FPN", dict(FPN, mask_head="none"), marks=pytest.mark.slow),
        pytest.param("keypoint_rcnn_R_50_FPN", KEYPOINTS, marks=pytest.mark.slow),
        pytest.param("cascade_mask_rcnn_R_50_FPN", CASCADE, marks=pytest.mark.slow),
        pytest.param("mask_rcnn_R_101_FPN", dict(FPN, depth=101), marks=pytest.mark.slow),
        pytest.param("mask_rcnn_R_101_C4", dict(C4, depth=101), marks=pytest.mark.slow),
        pytest.param("mask_rcnn_X_101_32x8d_FPN", X101, marks=pytest.mark.slow),
    ],
)
def test_the_table_has_exactly_the_tensors_of_detectron2s_model(name, changes):
    lists = shapes_of(f"detectron2_{name}.tsv", f"detectron2_{name}.spec.json")
    model = MaskRCNN(Config(**dict(class_names=classes(80)) | changes))
    assert_same_keys(detectron2.table(model.network), lists)


@pytest.mark.parametrize("variant", VARIANTS)
def test_every_architecture_converts_back(variant):
    assert_round_trip(detectron2, tiny_model(variant))


def test_the_last_class_of_the_file_is_our_background():
    # two classes: the file has the rows circle, square, background
    entries = {entry.key: entry for entry in detectron2.table(tiny_model("fpn").network)}
    bias = entries["roi_heads.box_predictor.cls_score.bias"].layout
    assert bias.read(np.array([1, 2, 9])).tolist() == [9, 1, 2]
    assert bias.write(np.array([9, 1, 2])).tolist() == [1, 2, 9]
    kernel = entries["roi_heads.box_predictor.cls_score.weight"].layout
    rows = np.array([[1, 10], [2, 20], [9, 90]])
    assert kernel.read(rows).tolist() == [[9, 1, 2], [90, 10, 20]]
    np.testing.assert_array_equal(kernel.write(kernel.read(rows)), rows)


def test_boxes_and_masks_have_no_row_for_the_background():
    state = save(detectron2.table(tiny_model("fpn").network))
    assert state["roi_heads.box_predictor.cls_score.bias"].shape == (3,)
    assert state["roi_heads.box_predictor.bbox_pred.bias"].shape == (8,)
    assert state["roi_heads.mask_head.predictor.bias"].shape == (2,)


def test_without_a_pyramid_the_backbone_is_not_called_bottom_up():
    table = keys("dc5")
    assert {
        "backbone.stem.conv1.weight",
        "backbone.res5.0.conv1.weight",
        "roi_heads.box_head.fc2.bias",
    } < table
    assert not any("bottom_up" in key or "fpn" in key for key in table)


def test_a_dilated_res5_feeds_the_box_head():
    state = save(detectron2.table(tiny_model("dc5").network))
    assert state["roi_heads.box_head.fc1.weight"].shape == (32, 2048 * 7 * 7)


def test_res5_of_c4_belongs_to_the_heads():
    table = keys("c4")
    assert {"backbone.res4.1.conv2.weight", "roi_heads.res5.1.conv2.norm.running_var"} < table
    assert not any(
        key.startswith(("backbone.res5", "roi_heads.box_head", "roi_heads.mask_head.mask_fcn"))
        for key in table
    )


def test_each_stage_of_a_cascade_has_a_number():
    table = keys("cascade")
    for stage in range(3):
        assert f"roi_heads.box_head.{stage}.fc1.weight" in table
        assert f"roi_heads.box_predictor.{stage}.bbox_pred.bias" in table
    assert "roi_heads.box_predictor.cls_score.bias" not in table


def test_a_norm_takes_the_place_of_a_bias_but_in_the_rpn():
    table = keys("norms")
    for conv in (
        *("backbone.bottom_up.stem.conv1", "backbone.fpn_lateral2", "backbone.fpn_output5"),
        *("roi_heads.box_head.conv4", "roi_heads.mask_head.mask_fcn4"),
    ):
        assert {key for key in table if key.startswith(f"{conv}.")} == {
            f"{conv}.{name}" for name in ("weight", "norm.weight", "norm.bias")
        }
    assert "proposal_generator.rpn_head.conv.conv0.bias" in table


def test_several_convolutions_of_the_rpn_have_numbers():
    key = "proposal_generator.rpn_head.conv"
    own = {name for name in keys("norms") if name.startswith(f"{key}.")}
    assert own == {f"{key}.conv{i}.{name}" for i in (0, 1) for name in ("weight", "bias")}


@pytest.mark.parametrize(
    "changes, part",
    [
        (dict(FPN, mask_head="mlp"), 'mask_head="mlp"'),
        (dict(FPN, norm="none"), 'norm="none"'),
        (dict(FPN, mask_loss="softmax"), 'mask_loss="softmax"'),
        (dict(FPN, keypoint_names=("nose",), head_norm="batch_norm"), "head_norm in a keypoint head"),
        (
            dict(FPN, architecture="c4", anchor_sizes=((32,),), box_pool_size=14),
            'architecture="c4" of depth 18',
        ),
        (dict(FPN, rpn_softmax=True), "rpn_softmax"),
        (dict(FPN, stem_channels=32), "stem_channels other than 64 of depth 18"),
    ],
)
def test_what_detectron2_does_not_have_is_refused_by_name(changes, part):
    with pytest.raises(ValueError, match=f"Detectron2 has no names for a model with {part}"):
        detectron2.table(SimpleNamespace(config=tiny(**changes), roi_heads=[], has_custom_backbone=False))
