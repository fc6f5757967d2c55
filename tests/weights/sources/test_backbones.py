import functools
from types import SimpleNamespace

import keras
import numpy as np
import pytest
from examples import tiny

from keras_maskrcnn.layers.resnet import Res5, ResNet
from keras_maskrcnn.models.mask_rcnn import MaskRCNN
from keras_maskrcnn.weights.sources import detectron2, torchvision
from keras_maskrcnn.weights.sources.backbones import load_backbone

HEADS = ("fpn", "rpn_head", "box_head", "mask_head")
TORCHVISION_HEAD = {"fc.weight": np.zeros((1000, 512)), "fc.bias": np.zeros(1000)}


@pytest.fixture(scope="module")
def whole_model():
    return MaskRCNN(tiny(norm="frozen_batch_norm"))


@functools.cache
def network(depth, norm="frozen_batch_norm", c4=False):
    """A model as far as its ResNet goes."""
    kind = dict(depth=depth, stride_in_1x1=False, norm=norm, epsilon=1e-5)
    layers = [ResNet(**kind, last_stage=4 if c4 else 5)]
    features = layers[0](keras.Input((64, 64, 3)))
    if c4:
        layers.append(Res5(**kind))
        layers[1](features["C4"])
    weights = [weight for layer in layers for weight in layer.weights]
    return SimpleNamespace(backbone=layers[0], res5=layers[1] if c4 else None, layers=layers, weights=weights)


def stages(model):
    return model.backbone.stages + ([model.res5.blocks] if model.res5 is not None else [])


def classifier(names, model):
    """A classifier's tensors by the names of `names`, torchvision's or Detectron2's."""
    rng = np.random.default_rng(0)
    entries = names.resnet(model.backbone.stem, stages(model), "")
    shapes = {entry.key: entry.layout.write(entry.variable.numpy()).shape for entry in entries}
    return {key: rng.normal(size=shape).astype("float32") for key, shape in shapes.items()}


def caffe2(state, *, statistics=True, norm="bn", scale="s", shift="b", mean="rm", variance="riv"):
    """Detectron2's names as Caffe2 has them."""
    endings = {
        "weight": "w",
        "norm.weight": f"{norm}_{scale}",
        "norm.bias": f"{norm}_{shift}",
        "norm.running_mean": f"{norm}_{mean}",
        "norm.running_var": f"{norm}_{variance}",
    }
    branches = {"shortcut": "branch1", "conv1": "branch2a", "conv2": "branch2b", "conv3": "branch2c"}
    renamed = {}
    for key, array in state.items():
        *at, ending = key.replace("norm.", "norm#").split(".")
        ending = endings[ending.replace("#", ".")]
        if "_r" in ending and not statistics:
            continue
        stem = "conv1" if ending == "w" else "res_conv1"
        layer = stem if at[0] == "stem" else f"{at[0]}_{at[1]}_{branches[at[2]]}"
        renamed[f"{layer}_{ending}"] = array
    return renamed


def assert_loaded(model, state, names):
    for entry in names.resnet(model.backbone.stem, stages(model), ""):
        np.testing.assert_array_equal(entry.layout.write(entry.variable.numpy()), state[entry.key])


@pytest.mark.parametrize("depth", [18, 50])
def test_torchvisions_classifier_becomes_the_backbone(depth):
    model = network(depth)
    state = classifier(torchvision, model)
    counters = {"bn1.num_batches_tracked": np.zeros((), np.int64)}
    load_backbone(model, state | TORCHVISION_HEAD | counters, "torchvision")
    assert_loaded(model, state, torchvision)


def test_what_stays_new_is_told(whole_model):
    assert set(
        load_backbone(whole_model.network, classifier(torchvision, whole_model), "torchvision")
    ) == set(HEADS)


@pytest.mark.parametrize(
    "names, source, last",
    [(torchvision, "torchvision", "layer4.1.bn2.bias"), (detectron2, "detectron2", "res5.1.conv2.norm.bias")],
)
def test_res5_of_c4_is_the_classifiers(names, source, last):
    model = network(18, c4=True)
    state = classifier(names, model)
    assert load_backbone(model, state, source) == ()
    assert_loaded(model, state, names)
    np.testing.assert_array_equal(model.res5.blocks[1].conv2.normalization.beta, state[last])


def test_caffe2s_classifier_has_the_first_layer_under_two_names():
    state = caffe2(classifier(detectron2, network(50)))
    assert {"conv1_w", "res_conv1_bn_s", "res2_0_branch1_w", "res4_5_branch2c_bn_b"} < set(state)


@pytest.mark.parametrize(
    "names",
    [{}, {"scale": "gamma", "shift": "beta", "mean": "running_mean", "variance": "running_var"}],
)
def test_caffe2s_classifier_becomes_the_backbone(names):
    model = network(50)
    state = classifier(detectron2, model)
    # R-50.pkl has a bias before the stem's batch norm, which Detectron2 leaves out too
    others = {key: np.ones(1) for key in ("fc1000_w", "fc1000_b", "conv1_b", "conv1_w_momentum", "pred_w")}
    load_backbone(model, caffe2(state, **names) | others, "detectron2")
    assert_loaded(model, state, detectron2)


def test_folded_statistics_are_those_that_change_nothing():
    model = network(50)
    state = classifier(detectron2, model)
    load_backbone(model, caffe2(state, statistics=False), "detectron2")
    for key in state:
        if key.endswith("running_mean"):
            state[key] = np.zeros_like(state[key])
        if key.endswith("running_var"):
            state[key] = np.ones_like(state[key])
    assert_loaded(model, state, detectron2)


def test_group_norm_has_no_statistics():
    model = network(18, "group_norm")
    state = classifier(detectron2, model)
    load_backbone(model, caffe2(state, norm="gn"), "detectron2")
    assert_loaded(model, state, detectron2)


def test_detectron2s_copy_of_torchvisions_classifier_becomes_the_backbone():
    model = network(18)
    state = classifier(detectron2, model)
    load_backbone(model, state | {"stem.fc.weight": np.zeros((1000, 512))}, "detectron2")
    assert_loaded(model, state, detectron2)


@pytest.mark.parametrize(
    "change, reason",
    [
        (lambda s: s.pop("layer2.0.bn1.bias"), "missing from the file: layer2.0.bn1.bias"),
        (lambda s: s.update(extra=np.zeros(1)), "not part of this model: extra"),
        (lambda s: s.update({"conv1.weight": np.zeros((64, 1, 7, 7))}), r"\(64, 1, 7, 7\); the model needs"),
    ],
)
def test_another_networks_weights_are_refused_and_nothing_is_loaded(change, reason):
    model = network(18)
    state = classifier(torchvision, model)
    change(state)
    before = [weight.numpy() for weight in model.weights]
    with pytest.raises(ValueError, match=reason):
        load_backbone(model, state, "torchvision")
    for weight, value in zip(model.weights, before, strict=True):
        np.testing.assert_array_equal(weight, value)


def test_batch_norm_does_not_become_group_norm():
    with pytest.raises(ValueError, match=r"not part of this model: bn1\.running_mean"):
        load_backbone(network(18, "group_norm"), classifier(torchvision, network(18)), "torchvision")


def test_an_unknown_source_is_refused():
    with pytest.raises(ValueError, match='source must be "torchvision" or "detectron2"; got \'timm\''):
        load_backbone(network(18), {}, "timm")
