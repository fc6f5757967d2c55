import functools
from types import SimpleNamespace

import numpy as np
import pytest
from examples import tiny
from names import assert_round_trip, assert_same_keys, classes, random_state, shapes_of

from keras_maskrcnn.config.config import Config
from keras_maskrcnn.models.mask_rcnn import MaskRCNN
from keras_maskrcnn.weights.sources import matterport
from keras_maskrcnn.weights.sources.table import load

MATTERPORT = dict(
    norm="frozen_batch_norm",
    head_norm="frozen_batch_norm",
    conv_bias=True,
    rpn_channels=512,
    rpn_softmax=True,
    box_fc_norm=True,
)
LOGITS = "mrcnn_class_logits/mrcnn_class_logits"


@functools.cache
def tiny_model():
    return MaskRCNN(tiny(**dict(MATTERPORT, depth=50, rpn_channels=32)))


@pytest.mark.parametrize(
    "depth, names",
    [
        (50, ["matterport_resnet50_coco81.tsv"]),
        pytest.param(
            *(101, ["matterport_resnet101_coco81.tsv", "matterport_mask_rcnn_coco.spec.json"]),
            marks=pytest.mark.slow,
        ),
    ],
)
def test_the_table_has_exactly_the_tensors_of_matterports_file(depth, names):
    lists = shapes_of(*names)
    model = MaskRCNN(Config(**dict(MATTERPORT, class_names=classes(80), depth=depth)))
    assert_same_keys(matterport.table(model.network), lists)


def test_it_converts_back():
    assert_round_trip(matterport, tiny_model())


def test_a_delta_is_y_first_in_the_file():
    # two anchors or classes of dy, dx, dh, dw
    file = np.array([[1, 2, 3, 4, 5, 6, 7, 8]])
    assert matterport.DELTAS.read(file).tolist() == [[2, 1, 4, 3, 6, 5, 8, 7]]
    assert matterport.DELTAS.write(matterport.DELTAS.read(file)).tolist() == file.tolist()


def test_the_deltas_of_both_stages_are_turned():
    turned = {
        entry.key for entry in matterport.table(tiny_model().network) if entry.layout is matterport.DELTAS
    }
    layers = ("rpn_model/rpn_bbox_pred", "mrcnn_bbox_fc/mrcnn_bbox_fc")
    assert turned == {f"{layer}/{name}:0" for layer in layers for name in ("kernel", "bias")}


def test_a_convolution_over_the_whole_roi_is_a_dense_layer():
    rng = np.random.default_rng(0)
    pooled, kernel = rng.normal(size=(3, 3, 5)), rng.normal(size=(3, 3, 5, 2))
    layout = matterport.dense_from_conv(3)
    convolved = np.einsum("yxc,yxco->o", pooled, kernel)
    np.testing.assert_allclose(pooled.reshape(-1) @ layout.read(kernel), convolved)
    np.testing.assert_array_equal(layout.write(layout.read(kernel)), kernel)


def test_what_else_training_saves_is_knowingly_ignored():
    state = random_state(matterport.table(tiny_model().network)) | {"anchors/Variable:0": np.zeros((1, 9, 4))}
    load(matterport.table(tiny_model().network), state, tiny_model(), matterport.IGNORED)
    assert list(state) == ["anchors/Variable:0"]  # all others are taken out as they are set


def test_numbers_of_a_model_built_twice_are_dropped():
    state = {
        "conv1/conv1_1/kernel:0": 1,
        "bn_conv1/bn_conv1_2/gamma:0": 2,
        "res2a_branch1/res2a_branch1/bias:0": 3,
        "rpn_model/rpn_conv_shared_1/kernel:0": 4,
    }
    assert matterport.rename(state) == {
        "conv1/conv1/kernel:0": 1,
        "bn_conv1/bn_conv1/gamma:0": 2,
        "res2a_branch1/res2a_branch1/bias:0": 3,
        "rpn_model/rpn_conv_shared/kernel:0": 4,
    }


def test_every_listed_name_stays():
    (names,) = shapes_of("matterport_resnet101_coco81.tsv")
    assert matterport.rename(names) == names


def test_a_tensor_under_two_numbers_is_refused():
    with pytest.raises(ValueError, match="conv1/conv1/bias:0 more than once"):
        matterport.rename({"conv1/conv1/bias:0": 1, "conv1/conv1_1/bias:0": 2})


def state_with(blocks, rows):
    letters = "abcdefghijklmnopqrstuvwxyz"[:blocks]
    kernels = {f"res4{k}_branch2a/res4{k}_branch2a/kernel:0": np.zeros((1, 1, 1, 1)) for k in letters}
    return kernels | {f"{LOGITS}/bias:0": np.zeros(rows)}


def test_depth_and_classes_are_found():
    assert matterport.describe(random_state(matterport.table(tiny_model().network))) == (50, 2)
    assert matterport.describe(state_with(23, 81)) == (101, 80)


def test_a_file_of_another_model_is_refused():
    with pytest.raises(
        ValueError, match="not Matterport's Mask R-CNN: they hold no biases mrcnn_class_logits"
    ):
        matterport.describe({"conv1/conv1/kernel:0": np.zeros((7, 7, 3, 64))})
    with pytest.raises(ValueError, match=r"hold 5 blocks .*; ResNet-50 has 6 and ResNet-101 has 23"):
        matterport.describe(state_with(5, 81))


@pytest.mark.parametrize(
    "changes, part",
    [
        ({"conv_bias": False}, "conv_bias=False"),
        ({"rpn_softmax": False, "box_fc_norm": False}, "rpn_softmax=False, box_fc_norm=False"),
        ({"depth": 18}, "depth=18"),
    ],
)
def test_what_matterport_does_not_have_is_refused_by_name(changes, part):
    with pytest.raises(ValueError, match=f"Matterport has no names for a model with {part}"):
        matterport.table(
            SimpleNamespace(
                config=tiny(**dict(MATTERPORT, depth=50) | changes), roi_heads=[], has_custom_backbone=False
            )
        )
