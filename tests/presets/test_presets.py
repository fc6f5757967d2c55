"""The table of published weights, against what is published and against the parity kits' models."""

import csv
import dataclasses
import re
import subprocess
import sys

import pytest
from names import assert_same_keys, shapes_of
from parity import NAMES, SHARED
from places import ROOT

from keras_maskrcnn.config.config import Config
from keras_maskrcnn.config.fields import network_fields
from keras_maskrcnn.models.mask_rcnn import MaskRCNN
from keras_maskrcnn.presets import PRESETS, find_preset, list_pretrained
from keras_maskrcnn.presets.class_names import COCO, coco_by_id, lvis_v0_5
from keras_maskrcnn.weights.pretrained import SOURCES

ZOO = "https://dl.fbaipublicfiles.com/detectron2/"
DETECTRON2 = {
    name: row for name, row in PRESETS.items() if row.source == "detectron2" and not row.is_backbone
}
MMDET = {name: row for name, row in PRESETS.items() if row.source == "mmdet"}
PUBLISHED = {name: row for name, row in PRESETS.items() if row.url}
LEFT_OUT_OF_MMDET = (
    *("dconv", "dpool", "mdconv", "gn-ws", "gn_ws", "regnet", "convnext", "groie", "retinanet", "lvis-v1"),
)
LEFT_OUT = ("dconv", "regnet", "panoptic", "retinanet", "rpn_R", "fast_rcnn_R", "X_152", "PascalVOC")


def field(name, key):
    return getattr(PRESETS[name].config, key)


def test_every_row_has_a_source_a_licence_and_says_where_its_metrics_are_published():
    for name, row in PUBLISHED.items():
        assert row.name == name
        assert row.url.startswith("https://") and row.published.startswith("https://")
        assert row.licence in ("unknown", "CC BY-SA 3.0", "MIT")
        assert row.is_backbone or row.box_ap or row.mask_ap


def test_hashes_are_those_in_the_files_names():
    for row in PUBLISHED.values():
        if row.hash:
            algorithm, digest = row.hash.split(":")
            assert re.search(rf"[-_]{digest}\.(pth|pkl)$", row.url)
            assert len(digest) == {"sha256": 8, "md5": 6}[algorithm]
    assert {name for name, row in PUBLISHED.items() if not row.hash} == {
        "matterport_mask_rcnn_coco",
        *(f"ImageNetPretrained/{path}" for path in ("MSRA/R-50", "MSRA/R-101", "FAIR/X-101-32x8d")),
    }


def zoo():
    """The rows of Detectron2's model zoo by the name of their configuration file, but for those left out."""
    path = SHARED / "reference" / "detectron2_model_zoo.csv"
    if not path.exists():
        pytest.skip("the table of Detectron2's model zoo is not on this machine")
    with open(path, newline="") as file:
        rows = [row for row in csv.DictReader(file) if row["url"].startswith(ZOO)]
    rows = {row["url"].removeprefix(ZOO).rsplit("/", 2)[0]: row for row in rows}
    return {name: row for name, row in rows.items() if not any(part in name for part in LEFT_OUT)}


def test_detectron2s_whole_zoo_is_there_with_its_files_and_metrics():
    rows = zoo()
    assert set(DETECTRON2) == set(rows)
    for name, row in rows.items():
        ours = DETECTRON2[name]
        assert ours.url == row["url"], name
        metrics = [ours.box_ap, ours.mask_ap, ours.keypoint_ap]
        assert metrics == [float(row[k]) if row[k] else None for k in ("box_AP", "mask_AP", "kp_AP")], name


def mmdet_zoo():
    """The rows of MMDetection's model zoo by our names, but for those left out."""
    path = SHARED / "reference" / "mmdet" / "mmdet_zoo.csv"
    if not path.exists():
        pytest.skip("the table of MMDetection's model zoo is not on this machine")
    with open(path, newline="") as file:
        rows = [row for row in csv.DictReader(file)]
    kept = [row for row in rows if not any(part in row["name"] for part in LEFT_OUT_OF_MMDET)]
    return {"mmdet_" + row["name"].replace("-", "_"): row for row in kept}


def test_mmdetections_whole_zoo_is_there_with_its_files_and_metrics():
    rows = mmdet_zoo()
    assert set(MMDET) == set(rows) and len(rows) == 93
    for name, row in rows.items():
        ours = MMDET[name]
        path = row["weights_path_below_mmdetection"]
        assert ours.url == f"https://download.openmmlab.com/mmdetection/{path}", name
        metrics = [ours.box_ap, ours.mask_ap]
        assert metrics == [float(row[k]) if row[k] else None for k in ("box_AP", "mask_AP")], name
        assert (ours.config.mask_head == "none") == ("mask_rcnn" not in name)


def test_mmdetections_models_are_what_their_names_say():
    for name, row in MMDET.items():
        config = row.config
        assert config.depth == (101 if "101" in name else 50), name
        width = (config.groups, config.group_width)
        assert width == next(
            (tuple(map(int, part.split("x"))) for part in ("32x4", "64x4", "32x8") if f"{part}d" in name),
            (1, 64),
        ), name
        assert config.stride_in_1x1 == ("caffe" in name), name
        raw = "caffe" in name or ("gn_all" in name and "contrib" not in name)
        assert config.bgr == (raw or "32x8d" in name) and (config.pixel_std == (1, 1, 1)) == raw, name
        assert bool(config.cascade_ious) == ("cascade" in name), name
        assert config.cascade_mask_heads == ("cascade_mask" in name), name
        levels = "c4" if "_c4_" in name else "dc5" if "_dc5_" in name else "fpn"
        assert config.architecture == levels, name
        assert (config.norm == "group_norm") == ("_gn_" in name), name
        assert bool(config.train_min_sizes) == any(part in name for part in ("_ms_", "_mstrain_")), name


def test_names_of_classes_are_complete():
    assert len(COCO) == 80 and len(set(COCO)) == 80
    by_id = coco_by_id()
    assert len(by_id) == 90 and [name for name in by_id if not name.startswith("N/A")] == list(COCO)
    assert (by_id[0], by_id[11], by_id[12], by_id[89]) == ("person", "N/A 12", "stop sign", "toothbrush")
    assert len(lvis_v0_5()) == 1230
    assert (lvis_v0_5()[0], lvis_v0_5()[-1]) == ("acorn", "zucchini")


def test_only_the_first_files_of_torchvision_have_no_epsilon():
    v1, v2 = ("maskrcnn_resnet50_fpn_coco", "maskrcnn_resnet50_fpn_v2_coco")
    keypoints = "keypointrcnn_resnet50_fpn_coco"
    assert [field(name, "norm_epsilon") for name in (v1, "fasterrcnn_resnet50_fpn_coco", keypoints)] == [
        0
    ] * 3
    assert [field(name, "norm_epsilon") for name in (v2, f"{keypoints}_legacy")] == [1e-5] * 2


def test_detectron2_sees_blue_first_and_divides_by_the_std_only_where_no_first_convolution_has():
    assert all(row.config.bgr for row in DETECTRON2.values())
    divided = {name for name, row in DETECTRON2.items() if row.config.pixel_std != (1, 1, 1)}
    assert divided == {name for name in DETECTRON2 if "X_101" in name or "_9x_" in name}


def test_the_stride_is_in_the_3x3_convolution_of_resnext_and_of_what_was_not_trained_by_msra():
    in_3x3 = {name for name, row in DETECTRON2.items() if not row.config.stride_in_1x1}
    assert in_3x3 == {
        name for name in DETECTRON2 if "X_101" in name or name.endswith("_gn") or "9x_syncbn" in name
    }


def test_models_from_scratch_have_no_frozen_stage():
    free = {name for name, row in DETECTRON2.items() if row.config.frozen_stages == 0}
    assert free == {name for name in DETECTRON2 if "scratch" in name or "LSJ" in name}


def test_one_level_has_its_own_numbers_of_proposals_and_no_padding():
    for name in ("mask_rcnn_R_50_C4_3x", "mask_rcnn_R_101_DC5_3x"):
        config = PRESETS[f"COCO-InstanceSegmentation/{name}"].config
        assert (config.pre_nms_top_k, config.pre_nms_top_k_train) == (6000, 12000)
        assert (config.post_nms_top_k, config.post_nms_top_k_train) == (1000, 2000)
        assert config.size_divisor == 1


def test_lvis_detects_more_and_cityscapes_sees_larger_images():
    lvis = PRESETS["LVISv0.5-InstanceSegmentation/mask_rcnn_X_101_32x8d_FPN_1x"].config
    assert (lvis.num_classes, lvis.score_threshold, lvis.max_detections) == (1230, 1e-4, 300)
    assert (lvis.groups, lvis.group_width, lvis.depth) == (32, 8, 101)
    streets = PRESETS["Cityscapes/mask_rcnn_R_50_FPN"].config
    assert (streets.num_classes, streets.min_size, streets.max_size) == (8, 1024, 2048)


def test_comparisons_with_detectron1_have_its_roi_align_and_losses():
    for name in ("mask_rcnn_R_50_FPN_noaug_1x", "keypoint_rcnn_R_50_FPN_1x"):
        config = PRESETS[f"Detectron1-Comparisons/{name}"].config
        assert (config.roi_sampling_ratio, config.roi_aligned, config.box_smooth_l1_beta) == (2, False, 1)
    assert field("Detectron1-Comparisons/mask_rcnn_R_50_FPN_noaug_1x", "train_min_sizes") == (800,)


def test_matterports_metrics_were_measured_without_its_usual_threshold():
    row = PRESETS["matterport_mask_rcnn_coco"]
    assert (row.config.score_threshold, row.evaluated_above) == (0.7, 0)


def test_a_name_is_found_and_an_unknown_one_lists_the_nearest():
    assert find_preset("maskrcnn_resnet50_fpn_coco") is PRESETS["maskrcnn_resnet50_fpn_coco"]
    for wrong, near in {
        "maskrcnn_resnet50_fpn": "maskrcnn_resnet50_fpn_coco, maskrcnn_resnet50_fpn_v2_coco",
        "mask_rcnn_R_50_FPN_3x": "COCO-InstanceSegmentation/mask_rcnn_R_50_FPN_3x",
        "matterport": "matterport_mask_rcnn_coco",
        "coco-keypoints/keypoint_rcnn_r_50_fpn_3x": "COCO-Keypoints/keypoint_rcnn_R_50_FPN_3x",
    }.items():
        with pytest.raises(ValueError, match=f"called '{wrong}'; nearest: {near}"):
            find_preset(wrong)
    with pytest.raises(ValueError, match="called 'zzz'; `maskrcnn models` lists them"):
        find_preset("zzz")


def test_the_list_is_a_copy():
    list_pretrained().clear()
    assert list_pretrained() == PRESETS


def test_a_row_can_be_changed_into_a_custom_one():
    custom = dataclasses.replace(
        PRESETS["resnet50"], name="mine", url="https://example.org/mine.pth", hash=""
    )
    assert custom.file_name == "mine.pth" and custom.is_backbone


def test_the_table_needs_no_tensorflow():
    code = (
        "import sys, types; package = types.ModuleType('keras_maskrcnn'); package.__path__ = ['keras_maskrcnn']\n"
        "sys.modules['keras_maskrcnn'] = package; import keras_maskrcnn.presets\n"
        "print([name for name in ('tensorflow', 'keras', 'numpy') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"


LISTS = {
    "torchvision_maskrcnn_resnet50_fpn.tsv": ["maskrcnn_resnet50_fpn_coco"],
    "torchvision_maskrcnn_resnet50_fpn_v2.tsv": ["maskrcnn_resnet50_fpn_v2_coco"],
    "torchvision_fasterrcnn_resnet50_fpn.tsv": ["fasterrcnn_resnet50_fpn_coco"],
    "torchvision_fasterrcnn_resnet50_fpn_v2.tsv": ["fasterrcnn_resnet50_fpn_v2_coco"],
    "torchvision_keypointrcnn_resnet50_fpn.tsv": [
        "keypointrcnn_resnet50_fpn_coco",
        "keypointrcnn_resnet50_fpn_coco_legacy",
    ],
    "detectron2_mask_rcnn_R_50_FPN.tsv": [
        *(f"COCO-InstanceSegmentation/mask_rcnn_R_50_FPN_{schedule}" for schedule in ("1x", "3x")),
        "Detectron1-Comparisons/mask_rcnn_R_50_FPN_noaug_1x",
        "LVISv0.5-InstanceSegmentation/mask_rcnn_R_50_FPN_1x",
        "Cityscapes/mask_rcnn_R_50_FPN",
    ],
    "detectron2_mask_rcnn_R_101_FPN.tsv": [
        "COCO-InstanceSegmentation/mask_rcnn_R_101_FPN_3x",
        "LVISv0.5-InstanceSegmentation/mask_rcnn_R_101_FPN_1x",
    ],
    "detectron2_mask_rcnn_X_101_32x8d_FPN.tsv": [
        "COCO-InstanceSegmentation/mask_rcnn_X_101_32x8d_FPN_3x",
        "LVISv0.5-InstanceSegmentation/mask_rcnn_X_101_32x8d_FPN_1x",
    ],
    "detectron2_mask_rcnn_R_50_C4.tsv": [
        f"COCO-InstanceSegmentation/mask_rcnn_R_50_C4_{schedule}" for schedule in ("1x", "3x")
    ],
    "detectron2_mask_rcnn_R_101_C4.tsv": ["COCO-InstanceSegmentation/mask_rcnn_R_101_C4_3x"],
    "detectron2_faster_rcnn_R_50_FPN.tsv": [
        *(f"COCO-Detection/faster_rcnn_R_50_FPN_{schedule}" for schedule in ("1x", "3x")),
        "Detectron1-Comparisons/faster_rcnn_R_50_FPN_noaug_1x",
    ],
    "detectron2_keypoint_rcnn_R_50_FPN.tsv": [
        *(f"COCO-Keypoints/keypoint_rcnn_R_50_FPN_{schedule}" for schedule in ("1x", "3x")),
        "Detectron1-Comparisons/keypoint_rcnn_R_50_FPN_1x",
    ],
    "detectron2_cascade_mask_rcnn_R_50_FPN.spec.json": [
        f"Misc/cascade_mask_rcnn_R_50_FPN_{schedule}" for schedule in ("1x", "3x")
    ],
    "matterport_resnet101_coco81.tsv": ["matterport_mask_rcnn_coco"],
}
"""Lists of tensors that the original code makes, and the models that have them, but for the number of classes."""


MMDET_LISTS = {
    "mask-rcnn_r50_fpn_1x_coco": "mmdet_mask_rcnn_r50_fpn_1x_coco",
    "mask-rcnn_r50-caffe_fpn_1x_coco": "mmdet_mask_rcnn_r50_caffe_fpn_1x_coco",
    "mask-rcnn_r101-caffe_fpn_1x_coco": "mmdet_mask_rcnn_r101_caffe_fpn_1x_coco",
    "mask-rcnn_r50_fpn_gn-all_2x_coco": "mmdet_mask_rcnn_r50_fpn_gn_all_2x_coco",
    "mask-rcnn_x101-32x8d_fpn_1x_coco": "mmdet_mask_rcnn_x101_32x8d_fpn_1x_coco",
    "mask-rcnn_x101-64x4d_fpn_1x_coco": "mmdet_mask_rcnn_x101_64x4d_fpn_1x_coco",
    "faster-rcnn_r50_fpn_1x_coco": "mmdet_faster_rcnn_r50_fpn_1x_coco",
    "faster-rcnn_r50-caffe_fpn_1x_coco": "mmdet_faster_rcnn_r50_caffe_fpn_1x_coco",
    "faster-rcnn_x101-32x4d_fpn_1x_coco": "mmdet_faster_rcnn_x101_32x4d_fpn_1x_coco",
    "cascade-rcnn_r50_fpn_1x_coco": "mmdet_cascade_rcnn_r50_fpn_1x_coco",
    "cascade-mask-rcnn_r50_fpn_1x_coco": "mmdet_cascade_mask_rcnn_r50_fpn_1x_coco",
    "cascade-mask-rcnn_x101-32x4d_fpn_1x_coco": "mmdet_cascade_mask_rcnn_x101_32x4d_fpn_1x_coco",
}
"""Of MMDetection, which tests/weights/sources/test_mmdet.py compares; by one of the models that have the tensors."""


def trained_otherwise(name):
    """The models of MMDetection's zoo that differ from one in their training alone."""
    config = PRESETS[name].config
    return {
        other
        for other, row in MMDET.items()
        if dataclasses.replace(row.config, train_min_sizes=config.train_min_sizes) == config
    }


def test_what_is_called_shown_is_what_the_tests_compare():
    shown = {name for names in LISTS.values() for name in names}
    shown |= {other for name in MMDET_LISTS.values() for other in trained_otherwise(name)}
    assert shown == {name for name, row in PRESETS.items() if row.parity != "none"}
    for kit, name in NAMES.items():
        assert PRESETS[name].parity == "kit", kit


def test_models_with_one_list_of_tensors_are_one_network():
    fields = (*network_fields(Config), "cascade_ious", "keypoint_names")
    for names in LISTS.values():
        assert len({tuple(field(name, key) for key in fields) for name in names}) == 1


@pytest.mark.slow
@pytest.mark.parametrize("tensors", LISTS)
def test_a_model_has_exactly_the_tensors_of_the_original(tensors):
    row = PRESETS[LISTS[tensors][0]]
    (shapes,) = shapes_of(tensors)
    without = ("num_batches_tracked", "pixel_mean", "pixel_std", *(k for k in shapes if "cell_anchors" in k))
    assert_same_keys(SOURCES[row.source].table(MaskRCNN(row.config).network), [shapes], without)
