"""Weights are made without running the network, as they would be if it ran."""

import keras
import numpy as np
import pytest
from examples import tiny
from small_model import small_backbone

from keras_maskrcnn.network.build import build_network
from keras_maskrcnn.network.network import make_network
from keras_maskrcnn.network.training_graph import training_graph

C4 = {
    "architecture": "c4",
    "anchor_sizes": ((16, 32),),
    "box_pool_size": 14,
    "mask_pool_size": 14,
    "rpn_channels": 32,
}
NETWORKS = {
    "fpn": {},
    "bottlenecks": {"depth": 50, "stem_channels": 32, "conv_bias": True},
    "c4": C4,
    "dc5": {"architecture": "dc5", "anchor_sizes": ((16, 32),)},
    "cascade": {
        "class_agnostic_boxes": True,
        "cascade_ious": (0.6,),
        "cascade_delta_weights": ((20.0, 20.0, 10.0, 10.0),),
    },
    "cascade of masks": {
        "class_agnostic_boxes": True,
        "cascade_ious": (0.6,),
        "cascade_delta_weights": ((20.0, 20.0, 10.0, 10.0),),
        "cascade_mask_heads": True,
    },
    "convolutions": {"box_convs": 2, "box_fcs": 1, "head_norm": "group_norm", "box_fc_norm": True},
    "all heads": {"mask_iou_head": True, "keypoint_names": ("a", "b"), "keypoint_head_channels": 32},
    "mlp": {"mask_head": "mlp"},
}


def weights(network):
    found = [variable for layer in network.layers for variable in layer.variables]
    return {variable.path: variable.numpy() for variable in found}


@pytest.mark.parametrize("name", NETWORKS)
def test_what_is_built_is_what_running_the_layers_makes(name):
    config = tiny(**NETWORKS[name])
    keras.utils.set_random_seed(5)
    run = make_network(config)
    training_graph(run)  # each layer is built by its first call
    keras.utils.set_random_seed(5)
    built = make_network(config)
    returned = build_network(built)
    theirs, ours = weights(run), weights(built)
    assert list(ours) == list(theirs) and [one.path for one in returned] == list(ours)
    for path, value in theirs.items():
        np.testing.assert_array_equal(ours[path], value, err_msg=path)


@pytest.mark.parametrize("name", NETWORKS)
def test_nothing_is_left_to_be_made(name):
    network = make_network(tiny(**NETWORKS[name]))
    build_network(network)
    before = {path: id(value) for path, value in _by_path(network).items()}
    training_graph(network)
    assert {path: id(value) for path, value in _by_path(network).items()} == before


def test_a_given_backbone_stays_as_it_is():
    backbone = small_backbone()
    before = [value.numpy() for value in backbone.variables]
    network = make_network(tiny(), backbone)
    returned = build_network(network)
    for value, kept in zip(backbone.variables, before, strict=True):
        np.testing.assert_array_equal(value, kept)
    assert not {id(value) for value in returned} & {id(value) for value in backbone.variables}
    assert network.fpn.laterals[0].kernel.shape == (1, 1, 8, 32)


def _by_path(network):
    return {variable.path: variable for layer in network.layers for variable in layer.variables}
