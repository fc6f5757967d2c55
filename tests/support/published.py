"""Randomly generated "published" weights of tiny models: one of each family, as a file of its framework."""

import dataclasses
import functools
import hashlib

import h5py
import numpy as np
from examples import tiny
from names import random_state

from keras_maskrcnn.models.mask_rcnn import MaskRCNN
from keras_maskrcnn.presets.preset import Preset
from keras_maskrcnn.weights.checkpoint import SOURCES
from keras_maskrcnn.weights.files.write import write_pkl, write_pth
from keras_maskrcnn.weights.sources import torchvision
from keras_maskrcnn.weights.sources.table import save

FROZEN = {"norm": "frozen_batch_norm"}
POINTS = {
    "class_names": ("person",),
    "mask_head": "none",
    "keypoint_names": ("left hand", "right hand", "nose"),
}
MATTERPORT = {
    "depth": 50,
    "head_norm": "frozen_batch_norm",
    "conv_bias": True,
    "rpn_channels": 32,
    "rpn_softmax": True,
    "box_fc_norm": True,
}
CONFIGS = {
    "torchvision": tiny(**FROZEN),
    "detectron2": tiny(**FROZEN, background_outputs=False),
    "mmdet": tiny(**FROZEN, background_outputs=False),
    "keypoints": tiny(**FROZEN, **POINTS, keypoint_head_channels=32, keypoint_convs=2),
    "matterport": tiny(**FROZEN, **MATTERPORT),
}
ENDINGS = {"torchvision": ".pth", "detectron2": ".pkl", "mmdet": ".pth", "matterport": ".h5"}
WRITERS = {".pth": write_pth, ".pkl": write_pkl}
CLASS_LAYERS = ("box_head/logits", "box_head/deltas", "mask_head/logits")


def source_of(family):
    return "torchvision" if family == "keypoints" else family


@functools.cache
def model_of(family):
    """A model with the weights of `published_state`."""
    return MaskRCNN(CONFIGS[family])


@functools.cache
def published_state(family):
    return random_state(SOURCES[source_of(family)].table(model_of(family).network))


def write_h5(path, state):
    with h5py.File(path, "w") as file:
        for name, array in state.items():
            file[name] = array


def write(folder, family, state=None, name="weights"):
    """Write a file of the family, as its framework would; return its path."""
    source = source_of(family)
    path = folder / f"{name}{ENDINGS[source]}"
    writer = WRITERS.get(ENDINGS[source], write_h5)
    writer(path, published_state(family) if state is None else state)
    return path


def preset(family, url="https://nowhere.invalid/weights", data=b"", **changes):
    source = source_of(family)
    row = Preset(f"tiny_{family}", CONFIGS[family], source, url, **changes)
    return dataclasses.replace(row, hash=f"sha256:{hashlib.sha256(data).hexdigest()[:8]}") if data else row


def assert_has(model, state, source=torchvision, without=()):
    """The model has the tensors of `state`, but for those of layers whose names begin so."""
    found = {
        entry.key: save([entry])[entry.key]
        for entry in source.table(model.network)
        if not entry.variable.path.startswith(tuple(without))
    }
    assert len(found) > 50
    for key, array in found.items():
        np.testing.assert_array_equal(array, state[key], err_msg=key)
