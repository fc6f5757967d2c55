"""Our model of a kit: the preset's Config with what the kit was recorded with, and the kit's weights."""

import dataclasses
import tempfile
from pathlib import Path

import h5py
import numpy as np
from parity import NAMES, Kit

from keras_maskrcnn.config.config import Config
from keras_maskrcnn.models.load import load_pretrained
from keras_maskrcnn.models.mask_rcnn import MaskRCNN
from keras_maskrcnn.presets import PRESETS
from keras_maskrcnn.weights.checkpoint import SOURCES
from keras_maskrcnn.weights.files.write import write_pkl, write_pth
from keras_maskrcnn.weights.sources.table import Entry
from keras_maskrcnn.weights.transfer import load_state

RECORDED_SETTINGS = {
    "short": "min_size",
    "max_size": "max_size",
    "pre_nms_topk": "pre_nms_top_k",
    "pre_nms_topk_train": "pre_nms_top_k_train",
    "post_nms_topk_test": "post_nms_top_k",
    "post_nms_topk_train": "post_nms_top_k_train",
}
"""The Config's fields by what kits call them."""


def config_of(kit: Kit) -> Config:
    """The preset's config, but for what the kit was recorded with."""
    changes: dict = {field: int(kit[key]) for key, field in RECORDED_SETTINGS.items() if key in kit.arrays}
    if kit.source == "torchvision":  # an ordinary batch norm in inference mode, and every stage trains
        changes |= {"norm": "batch_norm", "norm_epsilon": 1e-5, "frozen_stages": 0}
    if kit.source == "matterport":
        changes["score_threshold"] = 0.0
    return dataclasses.replace(PRESETS[NAMES[kit.name]].config, **changes)


def without_chance(config: Config) -> Config:
    """The config with every anchor and proposal in the losses, so that training draws nothing."""
    return dataclasses.replace(config, rpn_batch_size=10**7, box_batch_size=10**7, box_positive_fraction=0.5)


def loaded(kit: Kit, config: Config, as_file: bool = True) -> tuple[MaskRCNN, list[Entry]]:
    """A model with the kit's weights and its name table.

    Args:
        kit: whose weights.
        config: the model's.
        as_file: whether the weights go through a file as their source writes it, or straight through the name table.
    """
    state = kit.state()
    state = {key: state[key] for key in state if state[key].dtype == np.float32}  # without counters
    if not as_file:
        model = MaskRCNN(config)
        load_state(model, state, SOURCES[kit.source])
        return model, SOURCES[kit.source].table(model.network)
    published = PRESETS[NAMES[kit.name]].config.to_dict()
    changes = {field: value for field, value in config.to_dict().items() if value != published[field]}
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "checkpoint"
        WRITERS[kit.source](path, state)
        model = load_pretrained(NAMES[kit.name], weights=path, **changes)
    assert model.config == config
    return model, SOURCES[kit.source].table(model.network)


def write_h5(path: Path, state: dict[str, np.ndarray]) -> None:
    with h5py.File(path, "w") as file:
        for key, value in state.items():
            file[key] = value


WRITERS = {"torchvision": write_pth, "detectron2": write_pkl, "mmdet": write_pth, "matterport": write_h5}
