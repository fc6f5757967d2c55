import functools
from types import SimpleNamespace

import numpy as np
import pytest
from examples import tiny
from names import (
    COCO_KEYPOINTS,
    assert_round_trip,
    assert_same_keys,
    classes,
    older_names,
    random_state,
    shapes_of,
)

from keras_maskrcnn.config.config import Config
from keras_maskrcnn.models.mask_rcnn import MaskRCNN
from keras_maskrcnn.weights.sources import torchvision
from keras_maskrcnn.weights.sources.table import load

V1 = dict(norm="frozen_batch_norm")
V2 = dict(
    norm="batch_norm", fpn_norm="batch_norm", head_norm="batch_norm", rpn_convs=2, box_convs=4, box_fcs=1
)
KEYPOINTS = dict(V1, class_names=("person",), mask_head="none", keypoint_names=COCO_KEYPOINTS)
VARIANTS = {"mask v1": V1, "mask v2": V2, "keypoint v1": dict(KEYPOINTS, keypoint_head_channels=32)}
COUNTERS = "num_batches_tracked"


@functools.cache
def tiny_model(variant):
    return MaskRCNN(tiny(**VARIANTS[variant]))


@pytest.mark.parametrize(
    "name, changes",
    [
        ("maskrcnn_resnet50_fpn_v2", V2),
        pytest.param("maskrcnn_resnet50_fpn", V1, marks=pytest.mark.slow),
        pytest.param("fasterrcnn_resnet50_fpn", dict(V1, mask_head="none"), marks=pytest.mark.slow),
        pytest.param("fasterrcnn_resnet50_fpn_v2", dict(V2, mask_head="none"), marks=pytest.mark.slow),
        pytest.param("keypointrcnn_resnet50_fpn", KEYPOINTS, marks=pytest.mark.slow),
    ],
)
def test_the_table_has_exactly_the_tensors_of_torchvisions_file(name, changes):
    lists = shapes_of(f"torchvision_{name}.tsv", f"torchvision_{name}.spec.json")
    model = MaskRCNN(Config(**dict(class_names=classes(90)) | changes))
    assert_same_keys(torchvision.table(model.network), lists, COUNTERS)


@pytest.mark.parametrize("variant", VARIANTS)
def test_every_architecture_converts_back(variant):
    assert_round_trip(torchvision, tiny_model(variant))


def test_the_second_versions_box_head_counts_its_flattening():
    own = {
        entry.key for entry in torchvision.table(tiny_model("mask v2").network) if ".box_head." in entry.key
    }
    assert {key for key in own if key.endswith(".bias")} == {
        f"roi_heads.box_head.{name}.bias" for name in ("0.1", "1.1", "2.1", "3.1", "5")
    }


def older(state):
    names = {
        "rpn.head.conv.0.0.": "rpn.head.conv.",
        **{
            f"backbone.fpn.{k}_blocks.{i}.0.": f"backbone.fpn.{k}_blocks.{i}."
            for k in ("inner", "layer")
            for i in range(4)
        },
        **{f"roi_heads.mask_head.{i}.0.": f"roi_heads.mask_head.mask_fcn{i + 1}." for i in range(4)},
    }
    return {
        next((key.replace(new, old) for new, old in names.items() if key.startswith(new)), key): array
        for key, array in state.items()
    }


def test_files_with_older_names_load_as_those_with_todays():
    model = tiny_model("mask v1")
    state = random_state(torchvision.table(model.network))
    file = older(state)
    assert len(set(file) - set(state)) == 2 + 16 + 8
    load(torchvision.table(model.network), torchvision.rename(file), model, torchvision.IGNORED)
    np.testing.assert_array_equal(model.mask_head.convs[3].bias, state["roi_heads.mask_head.3.0.bias"])


def test_todays_names_stay():
    state = dict.fromkeys(*shapes_of("torchvision_maskrcnn_resnet50_fpn_v2.tsv"))
    assert list(torchvision.rename(state)) == list(state)


@pytest.mark.parametrize("name", ["maskrcnn", "fasterrcnn", "keypointrcnn"])
def test_every_older_name_is_known(name):
    pairs = older_names(f"torchvision_{name}_resnet50_fpn.tsv")
    assert len(pairs) >= 18
    assert list(torchvision.rename(dict.fromkeys(pairs, np.zeros(1)))) == list(pairs.values())


@pytest.mark.parametrize("first", ["rpn.head.conv.weight", "rpn.head.conv.0.0.weight"])
def test_a_file_with_a_tensor_under_both_names_is_refused(first):
    names = dict.fromkeys([first, "rpn.head.conv.weight", "rpn.head.conv.0.0.weight"], np.zeros(1))
    with pytest.raises(ValueError, match=r"both rpn\.head\.conv\.0\.0\.weight and its older name"):
        torchvision.rename(names)


@pytest.mark.parametrize(
    "changes, part",
    [
        ({"mask_head": "mlp"}, 'mask_head="mlp"'),
        ({"norm": "none"}, 'norm="none"'),
        ({"rpn_channels": 64}, "rpn_channels other than fpn_channels"),
        ({"mask_loss": "class_agnostic"}, 'mask_loss="class_agnostic"'),
        ({"mask_loss": "softmax"}, 'mask_loss="softmax"'),
        ({"keypoint_names": ("nose",), "head_norm": "batch_norm"}, "head_norm in a keypoint head"),
        ({"class_agnostic_boxes": True}, "class_agnostic_boxes"),
        ({"stem_channels": 32}, "stem_channels other than 64"),
        ({"architecture": "dc5", "anchor_sizes": ((32, 64),)}, 'architecture="dc5"'),
        (
            {"rpn_softmax": True, "box_fc_norm": True, "head_norm": "batch_norm"},
            "rpn_softmax, box_fc_norm",
        ),
    ],
)
def test_what_torchvision_does_not_have_is_refused_by_name(changes, part):
    with pytest.raises(ValueError, match=f"torchvision has no names for a model with {part}"):
        torchvision.table(SimpleNamespace(config=tiny(**changes), roi_heads=[], has_custom_backbone=False))
