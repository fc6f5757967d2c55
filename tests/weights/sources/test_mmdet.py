import csv
import dataclasses
import functools

import numpy as np
import pytest
from examples import tiny
from names import assert_round_trip, assert_same_keys
from parity import SHARED

from keras_maskrcnn.models.mask_rcnn import MaskRCNN
from keras_maskrcnn.presets.mmdet import KINDS, PARTS
from keras_maskrcnn.weights.sources import detectron2, mmdet, torchvision
from keras_maskrcnn.weights.sources.table import save

ONE_LEVEL = {"anchor_sizes": ((32, 64, 128),), "depth": 50}
CASCADE = {
    "class_agnostic_boxes": True,
    "cascade_ious": (0.6, 0.7),
    "cascade_delta_weights": ((20, 20, 10, 10), (30, 30, 15, 15)),
}
NORMS = {"rpn_convs": 2, "box_convs": 4, "box_fcs": 1}
BATCH_NORM = {"norm": "batch_norm", "fpn_norm": "batch_norm", "head_norm": "batch_norm"}
GROUP_NORM = {"norm": "group_norm", "fpn_norm": "group_norm", "head_norm": "group_norm"}
VARIANTS = {
    "fpn": {},
    "c4": {**ONE_LEVEL, "architecture": "c4", "box_pool_size": 14, "mask_pool_size": 14},
    "dc5": {**ONE_LEVEL, "architecture": "dc5"},
    "cascade": {**CASCADE, "cascade_mask_heads": True},
    "cascade of boxes": {**CASCADE, "mask_head": "none"},
    "batch norm": {**NORMS, **BATCH_NORM},
    "group norm": {**NORMS, **GROUP_NORM},
    "with background": {"background_outputs": True},
    "class-agnostic": {"class_agnostic_boxes": True, "mask_loss": "class_agnostic"},
}
LISTS = {
    "mask-rcnn_r50_fpn_1x_coco": "mask",
    "mask-rcnn_r50-caffe_fpn_1x_coco": "mask caffe",
    "mask-rcnn_r101-caffe_fpn_1x_coco": "mask r101 caffe",
    "mask-rcnn_r50-caffe-c4_1x_coco": "mask c4 caffe",
    "mask-rcnn_r50_fpn_gn-all_2x_coco": "mask gn_detectron",
    "mask-rcnn_x101-32x8d_fpn_1x_coco": "mask x101_32x8d",
    "mask-rcnn_x101-64x4d_fpn_1x_coco": "mask x101_64x4d",
    "faster-rcnn_r50_fpn_1x_coco": "faster",
    "faster-rcnn_r50-caffe_fpn_1x_coco": "faster caffe",
    "faster-rcnn_x101-32x4d_fpn_1x_coco": "faster x101_32x4d",
    "cascade-rcnn_r50_fpn_1x_coco": "cascade",
    "cascade-mask-rcnn_r50_fpn_1x_coco": "cascade_mask",
    "cascade-mask-rcnn_x101-32x4d_fpn_1x_coco": "cascade_mask x101_32x4d",
}
"""MMDetection's configurations whose tensors were listed, and the parts of ours."""


@functools.cache
def tiny_model(variant):
    fields = {"norm": "frozen_batch_norm", "background_outputs": False} | VARIANTS[variant]
    return MaskRCNN(tiny(**fields))


def shapes_of(name):
    path = SHARED / "reference" / "mmdet" / f"{name}.csv"
    if not path.exists():
        pytest.skip(f"the list {path.name} is not on this machine")
    with open(path, newline="") as file:
        rows = {row["name"]: row["shape"] for row in csv.DictReader(file)}
    return {
        key: () if shape == "scalar" else tuple(map(int, shape.split("x"))) for key, shape in rows.items()
    }


@pytest.mark.slow
@pytest.mark.parametrize("name", LISTS)
def test_the_table_has_exactly_the_tensors_of_mmdetections_model(name):
    kind, *parts = LISTS[name].split()
    changes = {field: value for part in parts for field, value in PARTS[part].items()}
    model = MaskRCNN(dataclasses.replace(KINDS[kind], **changes))
    assert_same_keys(mmdet.table(model.network), [shapes_of(name)], ("num_batches_tracked",))


@pytest.mark.parametrize("variant", VARIANTS)
def test_every_architecture_converts_back(variant):
    assert_round_trip(mmdet, tiny_model(variant))


@pytest.mark.parametrize(
    ("variant", "there"),
    [
        ("fpn", ["backbone.bn1.running_mean", "neck.lateral_convs.0.conv.bias", "rpn_head.rpn_conv.bias"]),
        ("fpn", ["roi_head.bbox_head.shared_fcs.1.weight", "roi_head.mask_head.convs.3.conv.bias"]),
        ("c4", ["roi_head.shared_head.layer4.0.downsample.1.weight", "backbone.layer3.5.bn3.bias"]),
        ("cascade", ["roi_head.bbox_head.2.fc_reg.bias", "roi_head.mask_head.2.conv_logits.weight"]),
        ("group norm", ["backbone.gn1.weight", "backbone.layer2.0.gn2.bias", "neck.fpn_convs.3.gn.bias"]),
        ("group norm", ["rpn_head.rpn_conv.1.conv.weight", "roi_head.bbox_head.shared_convs.3.gn.weight"]),
        ("batch norm", ["neck.lateral_convs.1.bn.running_var", "roi_head.mask_head.convs.0.bn.weight"]),
    ],
)
def test_names_are_mmdetections(variant, there):
    assert set(there) <= {entry.key for entry in mmdet.table(tiny_model(variant).network)}


def test_the_last_class_of_the_file_is_our_background():
    entries = {entry.key: entry for entry in mmdet.table(tiny_model("fpn").network)}
    bias = entries["roi_head.bbox_head.fc_cls.bias"].layout
    assert bias.read(np.array([1, 2, 9])).tolist() == [9, 1, 2]
    kernel = entries["roi_head.bbox_head.fc_cls.weight"].layout
    assert kernel.read(np.array([[1, 10], [2, 20], [9, 90]])).tolist() == [[9, 1, 2], [90, 10, 20]]


def test_anchors_of_several_sizes_run_by_ratio_in_the_file_and_by_size_here():
    entries = {entry.key: entry for entry in mmdet.table(tiny_model("c4").network)}
    logits, deltas = entries["rpn_head.rpn_cls.bias"].layout, entries["rpn_head.rpn_reg.bias"].layout
    # three sizes and three ratios: a number's first digit is its ratio, the second its size
    there = np.array([11, 12, 13, 21, 22, 23, 31, 32, 33])
    here = [11, 21, 31, 12, 22, 32, 13, 23, 33]
    assert logits.read(there).tolist() == here and logits.write(np.array(here)).tolist() == there.tolist()
    four = np.repeat(there, 4) * 10 + np.tile([1, 2, 3, 4], 9)
    assert deltas.read(four).tolist() == [10 * one + delta for one in here for delta in (1, 2, 3, 4)]


def test_background_outputs_are_not_in_the_file():
    state = save(mmdet.table(tiny_model("with background").network))
    assert state["roi_head.bbox_head.fc_reg.bias"].shape == (8,)
    assert state["roi_head.mask_head.conv_logits.bias"].shape == (2,)


@pytest.mark.parametrize(
    ("fields", "part"),
    [
        ({"keypoint_names": ("nose",), "mask_head": "none"}, "a keypoint head"),
        ({"mask_head": "mlp"}, 'mask_head="mlp"'),
        (CASCADE, "one mask head for all stages of a cascade"),
        ({"rpn_softmax": True}, "rpn_softmax"),
        ({**ONE_LEVEL, "depth": 18, "architecture": "dc5"}, 'architecture="dc5" of depth 18'),
    ],
)
def test_what_mmdetection_cannot_name_is_refused(fields, part):
    model = MaskRCNN(tiny(**{"norm": "frozen_batch_norm", "keypoint_head_channels": 32} | fields))
    with pytest.raises(ValueError, match=f"MMDetection has no names for a model with {part}"):
        mmdet.table(model.network)


@pytest.mark.parametrize("source", [torchvision, detectron2])
def test_the_other_sources_refuse_a_mask_head_for_each_stage(source):
    with pytest.raises(ValueError, match="cascade"):
        source.table(tiny_model("cascade").network)
