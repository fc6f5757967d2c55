"""Assembly: every Config field that it reads reaches the layer that it is for, under the argument that it is for."""

import ast
import dataclasses
from pathlib import Path

import pytest
from examples import tiny
from places import ROOT

from keras_maskrcnn.config.config import Config
from keras_maskrcnn.network.inference_graph import inference_graph
from keras_maskrcnn.network.network import make_network
from keras_maskrcnn.network.training_graph import training_graph

# No two fields have the same value where they could be taken for each other.
FPN = {
    "class_names": ("circle", "square", "star"),
    "channels": 3,
    "bgr": True,
    "pixel_mean": (1.0, 2.0, 3.0),
    "pixel_std": (4.0, 5.0, 6.0),
    "mask_crop_size": 36,
    "depth": 50,
    "stem_channels": 32,
    "groups": 2,
    "group_width": 16,
    "stride_in_1x1": True,
    "norm": "batch_norm",
    "norm_epsilon": 1e-3,
    "conv_bias": True,
    "pool_padding": "end",
    "frozen_stages": 3,
    "fpn_channels": 64,
    "fpn_norm": "none",
    "head_norm": "group_norm",
    "anchor_ratios": (0.6, 1.0),
    "round_anchors": False,
    "fixed_anchor_strides": True,
    "rpn_convs": 2,
    "rpn_channels": 48,
    "rpn_softmax": True,
    "rpn_delta_weights": (1.5, 2.5, 3.5, 4.5),
    "rpn_positive_iou": 0.71,
    "rpn_negative_iou": 0.31,
    "rpn_batch_size": 33,
    "rpn_positive_fraction": 0.51,
    "rpn_loss_anchors": 77,
    "rpn_smooth_l1_beta": 0.11,
    "rpn_nms_iou": 0.72,
    "rpn_min_size": 0.5,
    "pre_nms_top_k": 51,
    "pre_nms_top_k_train": 52,
    "post_nms_top_k": 21,
    "post_nms_top_k_train": 22,
    "joint_proposals": True,
    "clamp_deltas": False,
    "clamp_shrinking": True,
    "crowd_overlap": 0.73,
    "level_rule": "detectron2",
    "roi_mode": "max",
    "roi_sampling_ratio": 3,
    "roi_aligned": True,
    "box_pool_size": 6,
    "box_convs": 1,
    "box_fcs": 3,
    "box_fc_norm": True,
    "box_head_channels": 96,
    "box_positive_iou": 0.52,
    "box_batch_size": 17,
    "box_positive_fraction": 0.26,
    "box_delta_weights": (11.0, 12.0, 6.0, 7.0),
    "box_smooth_l1_beta": 0.12,
    "class_weights": (1.5, 0.5, 2.0),
    "class_agnostic_boxes": True,
    "cascade_ious": (0.61,),
    "cascade_delta_weights": ((21.0, 22.0, 13.0, 14.0),),
    "background_outputs": False,
    "mask_loss": "sigmoid",
    "binary_mask_targets": True,
    "mask_convs": 2,
    "mask_pool_size": 8,
    "mask_head_channels": 128,
    "mask_iou_head": True,
    "keypoint_names": ("nose", "tail"),
    "keypoint_convs": 3,
    "keypoint_pool_size": 10,
    "keypoint_head_channels": 160,
    "keypoint_probabilities": True,
    "score_threshold": 0.06,
    "nms_iou": 0.53,
    "soft_nms_sigma": 0.4,
    "class_agnostic_nms": True,
    "one_class_per_box": True,
    "max_detections": 6,
    "min_detection_size": 0.02,
}
WIRING = [
    # (field, layer, its argument); "train." and "infer." where both graphs have a layer of the name
    ("pixel_mean", "normalize", "mean"),
    ("pixel_std", "normalize", "std"),
    ("bgr", "normalize", "bgr"),
    ("depth", "backbone", "depth"),
    ("stem_channels", "backbone", "stem_channels"),
    ("groups", "backbone", "groups"),
    ("group_width", "backbone", "group_width"),
    ("stride_in_1x1", "backbone", "stride_in_1x1"),
    ("norm", "backbone", "norm"),
    ("norm_epsilon", "backbone", "epsilon"),
    ("conv_bias", "backbone", "bias"),
    ("pool_padding", "backbone", "pool_padding"),
    ("frozen_stages", "backbone", "frozen_stages"),
    ("recomputed_stages", "backbone", "recomputed_stages"),
    ("fpn_channels", "fpn", "channels"),
    ("recomputed_stages", "fpn", "recomputed"),
    ("fpn_norm", "fpn", "norm"),
    ("norm_epsilon", "fpn", "epsilon"),
    ("rpn_channels", "rpn_head", "channels"),
    ("rpn_convs", "rpn_head", "num_convs"),
    ("rpn_softmax", "rpn_head", "softmax"),
    ("anchor_sizes", "anchors", "sizes"),
    ("anchor_ratios", "anchors", "ratios"),
    ("round_anchors", "anchors", "rounded"),
    ("square", "anchors", "last_pixel"),
    ("pre_nms_top_k", "infer.proposals", "pre_nms_top_k"),
    ("pre_nms_top_k_train", "train.proposals", "pre_nms_top_k"),
    ("post_nms_top_k", "infer.proposals", "post_nms_top_k"),
    ("post_nms_top_k_train", "train.proposals", "post_nms_top_k"),
    ("rpn_nms_iou", "train.proposals", "nms_iou"),
    ("rpn_nms_iou", "infer.proposals", "nms_iou"),
    ("rpn_min_size", "infer.proposals", "min_size"),
    ("rpn_delta_weights", "infer.proposals", "delta_weights"),
    ("clamp_deltas", "infer.proposals", "clamp"),
    ("clamp_shrinking", "infer.proposals", "clamp_shrinking"),
    ("joint_proposals", "infer.proposals", "joint"),
    ("rpn_softmax", "infer.proposals", "rank_probabilities"),
    ("rpn_positive_iou", "anchor_targets", "positive_iou"),
    ("rpn_negative_iou", "anchor_targets", "negative_iou"),
    ("rpn_batch_size", "anchor_targets", "batch_size"),
    ("rpn_positive_fraction", "anchor_targets", "positive_fraction"),
    ("crowd_overlap", "anchor_targets", "crowd_overlap"),
    ("rpn_delta_weights", "anchor_targets", "delta_weights"),
    ("rpn_loss_anchors", "rpn_class_loss", "anchors_per_image"),
    ("rpn_loss_anchors", "rpn_box_loss", "anchors_per_image"),
    ("rpn_smooth_l1_beta", "rpn_box_loss", "beta"),
    ("box_positive_iou", "proposal_targets", "positive_iou"),
    ("box_batch_size", "proposal_targets", "batch_size"),
    ("box_positive_fraction", "proposal_targets", "positive_fraction"),
    ("crowd_overlap", "proposal_targets", "crowd_overlap"),
    ("box_delta_weights", "proposal_targets", "delta_weights"),
    ("box_delta_weights", "train.refine_boxes", "delta_weights"),
    ("box_delta_weights", "infer.refine_boxes", "delta_weights"),
    ("clamp_deltas", "infer.refine_boxes", "clamp"),
    ("clamp_shrinking", "infer.refine_boxes", "clamp_shrinking"),
    ("crowd_overlap", "stage_targets_2", "crowd_overlap"),
    ("class_weights", "class_loss", "class_weights"),
    ("class_weights", "class_loss_2", "class_weights"),
    ("box_smooth_l1_beta", "box_loss", "beta"),
    ("box_smooth_l1_beta", "box_loss_2", "beta"),
    ("background_outputs", "box_loss", "background"),
    ("box_pool_size", "box_roi_align", "size"),
    ("box_pool_size", "box_roi_align_2", "size"),
    ("mask_pool_size", "mask_roi_align", "size"),
    ("keypoint_pool_size", "keypoint_roi_align", "size"),
    *(
        (field, f"{graph}.{layer}", argument)
        for graph in ("train", "infer")
        for layer in ("box_roi_align", "box_roi_align_2", "mask_roi_align", "keypoint_roi_align")
        for field, argument in (
            ("roi_sampling_ratio", "sampling_ratio"),
            ("roi_aligned", "aligned"),
            ("roi_mode", "mode"),
            ("level_rule", "level_rule"),
        )
    ),
    ("class_agnostic_boxes", "box_head", "class_agnostic"),
    ("background_outputs", "box_head", "background"),
    ("box_convs", "box_head", "convs"),
    ("fpn_channels", "box_head", "conv_channels"),
    ("box_fcs", "box_head", "fcs"),
    ("box_head_channels", "box_head_2", "channels"),
    ("head_norm", "box_head", "norm"),
    ("norm_epsilon", "box_head", "epsilon"),
    ("box_fc_norm", "box_head", "fc_norm"),
    ("mask_head_channels", "mask_head", "channels"),
    ("mask_convs", "mask_head", "convs"),
    ("head_norm", "mask_head", "norm"),
    ("norm_epsilon", "mask_head", "epsilon"),
    ("conv_bias", "mask_head", "bias"),
    ("mask_loss", "mask_loss", "kind"),
    ("background_outputs", "mask_loss", "background"),
    ("mask_loss", "masks", "kind"),
    ("background_outputs", "masks", "background"),
    ("binary_mask_targets", "mask_targets", "binary"),
    ("mask_head_channels", "mask_iou_head", "conv_channels"),
    ("box_head_channels", "mask_iou_head", "fc_channels"),
    ("head_norm", "mask_iou_head", "norm"),
    ("norm_epsilon", "mask_iou_head", "epsilon"),
    ("keypoint_convs", "keypoint_head", "convs"),
    ("keypoint_head_channels", "keypoint_head", "channels"),
    ("head_norm", "keypoint_head", "norm"),
    ("norm_epsilon", "keypoint_head", "epsilon"),
    ("keypoint_probabilities", "keypoints", "probabilities"),
    ("score_threshold", "select_detections", "score_threshold"),
    ("nms_iou", "select_detections", "nms_iou"),
    ("class_agnostic_nms", "select_detections", "class_agnostic_nms"),
    ("max_detections", "select_detections", "max_detections"),
    ("min_detection_size", "select_detections", "min_size"),
    ("background_outputs", "select_detections", "background"),
    ("clamp_deltas", "select_detections", "clamp"),
    ("clamp_shrinking", "select_detections", "clamp_shrinking"),
    ("one_class_per_box", "select_detections", "one_class"),
    ("soft_nms_sigma", "select_detections", "soft_nms_sigma"),
]
DERIVED = {
    # (layer, its argument): what it must be, for fields that do not go over as they are
    ("box_head", "num_classes"): 3,
    ("mask_head", "num_masks"): 3,
    ("mask_iou_head", "num_classes"): 3,
    ("keypoint_head", "num_keypoints"): 2,
    ("rpn_head", "num_anchors"): 2,
    ("anchors", "strides"): (4, 8, 16, 32, 64),
    ("train.scale_gradient", "factor"): 0.5,
    ("train.scale_gradient_2", "factor"): 0.5,
    ("box_roi_align", "strides"): (4, 8, 16, 32),
    ("stage_targets_2", "positive_iou"): 0.61,
    ("stage_targets_2", "delta_weights"): (21.0, 22.0, 13.0, 14.0),
    ("select_detections", "delta_weights"): (21.0, 22.0, 13.0, 14.0),
    ("mask_targets", "size"): 16,
    ("keypoint_targets", "size"): 40,
}
READ_FOR_OTHER_THINGS = {
    "architecture": "decides which layers there are (test_an_architecture_has_its_layers)",
    "mask_head": "decides which layers there are",
    "max_size": "the side of the square (test_the_square_has_the_side_of_max_size)",
    "channels": "the graphs' inputs (test_inputs_follow_the_config)",
    "mask_crop_size": "the graphs' inputs",
    "fixed_anchor_strides": "decides whether anchors have fixed strides (DERIVED)",
    "class_names": "their number (DERIVED)",
    "keypoint_names": "their number (DERIVED)",
    "cascade_ious": "one for each further stage (DERIVED)",
    "cascade_delta_weights": "likewise",
    "mask_iou_head": "decides whether there is such a head",
    "cascade_mask_heads": "decides how many mask heads there are (tests/network/heads/test_mask.py)",
    "cascade_scores": "which outputs of the stages are averaged (tests/network/test_inference_graph.py)",
    "mask_pool_size": "also doubled (DERIVED)",
}


class Assembled:
    """A config's network and graphs, and their layers by name."""

    def __init__(self, config):
        self.config, self.network = config, make_network(config)
        self.graphs = {
            "train": training_graph(self.network),
            "infer": inference_graph(self.network, config),
        }

    def argument(self, layer, name):
        graph, _, layer = layer.rpartition(".")
        graphs = [self.graphs[graph]] if graph else self.graphs.values()
        found = [each.get_layer(layer) for each in graphs if layer in {known.name for known in each.layers}]
        assert found, f"no layer is called {layer}"
        values = {plain(each.get_config()[name]) for each in found}
        assert len(values) == 1, f"{layer} differs between the graphs: {values}"
        return values.pop()


def plain(value):
    return tuple(plain(item) for item in value) if isinstance(value, (list, tuple)) else value


@pytest.fixture(scope="module")
def assembled():
    return Assembled(tiny(**FPN))


@pytest.mark.parametrize("field, layer, argument", WIRING)
def test_a_field_reaches_its_layer(assembled, field, layer, argument):
    assert assembled.argument(layer, argument) == getattr(assembled.config, field)


@pytest.mark.parametrize("layer, argument", DERIVED)
def test_what_follows_from_a_field_reaches_its_layer(assembled, layer, argument):
    assert assembled.argument(layer, argument) == DERIVED[layer, argument]


def test_inputs_follow_the_config():
    graph = Assembled(
        tiny(channels=2, pixel_mean=(1, 2), pixel_std=(3, 4), keypoint_names=("a", "b", "c"))
    ).graphs
    assert {name: x.shape for name, x in graph["train"].input.items()} == {
        "images": (None, None, None, 2),
        "sizes": (None, 2),
        "gt_boxes": (None, None, 4),
        "gt_classes": (None, None),
        "gt_crowd": (None, None),
        "seeds": (None, 2),
        "gt_masks": (None, None, 28, 28),
        "gt_keypoints": (None, None, 3, 3),
    }
    assert set(graph["infer"].input) == {"images", "sizes", "score_threshold"}


def test_the_square_has_the_side_of_max_size():
    square = Assembled(tiny(square=True, max_size=128))
    assert [
        square.argument(name, "side") for name in ("center_in_square", "square_windows", "square_limits")
    ] == [128] * 3
    assert square.argument("anchors", "last_pixel") is True


C4 = {
    "architecture": "c4",
    "anchor_sizes": ((16, 32),),
    "box_pool_size": 14,
    "mask_pool_size": 14,
    "rpn_channels": 8,
}
DC5 = {"architecture": "dc5", "anchor_sizes": ((16, 32),)}


@pytest.mark.parametrize(
    "fields, last_stage, dilated, box_fcs, strides",
    [(C4, 4, False, 0, (16,)), (DC5, 5, True, 2, (16,)), ({}, 5, False, 2, (4, 8, 16, 32))],
)
def test_an_architecture_has_its_layers(fields, last_stage, dilated, box_fcs, strides):
    found = Assembled(tiny(**fields))
    assert found.argument("backbone", "last_stage") == last_stage
    assert found.argument("backbone", "dilated") is dilated
    assert found.argument("box_head", "fcs") == box_fcs
    assert found.argument("box_roi_align", "strides") == strides
    assert (found.network.res5 is not None) is (last_stage == 4)
    assert (found.network.fpn is not None) is (len(strides) == 4)


@pytest.mark.parametrize(
    "fields, masks",
    [({}, 3), ({"background_outputs": False}, 2), ({"mask_loss": "class_agnostic"}, 1)]
    + [({"mask_loss": "softmax", "background_outputs": False}, 3)],
)
def test_the_number_of_masks_follows_the_loss_and_the_background(fields, masks):
    assert Assembled(tiny(**fields)).argument("mask_head", "num_masks") == masks


def test_every_field_that_assembly_reads_is_in_a_table():
    read = set()

    class Recorded(Config):
        def __getattribute__(self, name):
            read.add(name)
            return super().__getattribute__(name)

    names = {field.name for field in dataclasses.fields(Config)}
    for fields in (FPN, C4, {"square": True, "max_size": 128}):
        config = Recorded(**tiny(**fields).to_dict())
        read.clear()  # of what checking the config reads
        seen = set()
        network = make_network(config)
        training_graph(network), inference_graph(network, config)
        seen |= read & names
        assert seen <= {row[0] for row in WIRING} | set(READ_FOR_OTHER_THINGS), seen


def test_assembly_passes_keyword_arguments_only():
    positional = []
    for path in sorted(Path(ROOT / "keras_maskrcnn" / "network").rglob("*.py")):
        tree = ast.parse(path.read_text())
        layers = {
            name.asname or name.name
            for node in ast.walk(tree)
            if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("keras_maskrcnn.layers")
            for name in node.names
        }
        for node in ast.walk(tree):
            if not isinstance(node, ast.Call):
                continue
            called = node.func.id if isinstance(node.func, ast.Name) else getattr(node.func, "attr", "")
            owner = getattr(getattr(node.func, "value", None), "id", "")
            is_layer = (called in layers or owner in layers) and called[:1].isupper()
            if is_layer and node.args:
                positional.append(f"{path.name}:{node.lineno} {called}")
    assert not positional
