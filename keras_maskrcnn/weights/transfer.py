"""Weights given to a model from elsewhere; layers that depend on other classes or keypoints stay as they are."""

import contextlib
import math
import os
import tempfile
import zipfile
import zlib
from collections.abc import MutableMapping
from pathlib import Path
from types import ModuleType
from typing import Any, Protocol

import keras
import numpy as np

from keras_maskrcnn.config.config import Config
from keras_maskrcnn.network.network import ROI_HEADS, Network
from keras_maskrcnn.network.stage_name import stage_name
from keras_maskrcnn.utils.finite import check_finite
from keras_maskrcnn.utils.initial_weights import weights_from_file
from keras_maskrcnn.weights.files.hub import fetch, is_on_hub
from keras_maskrcnn.weights.files.keras_file import check_keras_file
from keras_maskrcnn.weights.sources.table import load_weights

LARGE = 2**20
"""Bytes from which a tensor is worth moving to the disk."""


class Model(Protocol):
    """What a model that is given weights has: a `keras_maskrcnn.MaskRCNN`, whose package lies above this one."""

    config: Config
    network: Network
    weights: list[keras.Variable]
    variable_dtype: str


ModelClass = type[Any]
"""MaskRCNN: takes a Config, and makes a `Model`."""


def read_model(path: str | os.PathLike, model_class: type, compile: bool = False) -> Any:
    """Read a `.keras` file, by default without its optimizer.

    Args:
        path: of the file, of a folder with its parts, or hf://NAME/MODEL.
        model_class: what it must hold.
        compile: whether the model is compiled as it was saved.

    Raises:
        ValueError: the file is missing or damaged, or holds another kind of model, or weights that are NaN or Inf; the
            message names the file.
        ConnectionError, ModuleNotFoundError: as `hub.fetch`.
    """
    if is_on_hub(path):
        path = fetch(str(path))
    if not os.path.exists(path):
        raise ValueError(f"{path}: there is no such file")
    check_keras_file(path, model_class)
    try:
        with weights_from_file():
            model: Any = keras.saving.load_model(path, compile=compile)
    except (
        *(ValueError, TypeError, KeyError, AttributeError, IndexError, RecursionError),
        *(OSError, zipfile.BadZipFile, zlib.error),
    ) as error:
        raise ValueError(f"{path}: the model cannot be read: {error}") from error
    check_finite(model.weights, path)
    return model


def new_layers(config: Config, source: Config) -> tuple[str, ...]:
    """Return the names of a model's layers that cannot have the weights of a source with other classes or keypoints."""
    names = []
    if config.class_names != source.class_names:
        for stage in range(1 + len(config.cascade_ious)):
            head = stage_name("box_head", stage)
            names += [f"{head}/logits"] + ([] if config.class_agnostic_boxes else [f"{head}/deltas"])
    for kind in ROI_HEADS:
        if kind.is_in(config) and kind.needs_new_predictor(config, source):
            names += [f"{kind.name}_head/{predictor}" for predictor in kind.predictors(config)]
    return tuple(names)


def load_state(
    model: Model,
    state: MutableMapping[str, np.ndarray],
    source: ModuleType,
    new: tuple[str, ...] = (),
) -> None:
    """Set the weights of a model from a source's tensors, or none of them.

    Args:
        model: of the source's architecture.
        state: the tensors by today's names; each is taken out once it is set.
        source: the module with the source's name table.
        new: names of the layers to leave as they are, whose tensors need not fit.

    Raises:
        ValueError: the tensors are not those of this model, each exactly once; the message lists why.
    """
    prefixes = tuple(f"{name}/" for name in new)
    table = source.table(model.network)
    left = [entry.key for entry in table if entry.variable.path.startswith(prefixes)]
    entries = [entry for entry in table if not entry.variable.path.startswith(prefixes)]
    weights = [weight for weight in model.weights if not weight.path.startswith(prefixes)]
    # The largest last: it takes memory for a copy in another order, when the others' has been given back.
    entries.sort(key=lambda entry: math.prod(entry.variable.shape))
    load_weights(entries, state, weights, (*source.IGNORED, *left))


def keep_on_disk(state: MutableMapping[str, np.ndarray]) -> None:
    """Move the large tensors of a state to a file without a name, from where each is read when it is used.

    A model takes, while it is made, as much memory besides its weights as they do. Without room on the disk the tensors
    stay where they are.
    """
    large = [name for name, array in state.items() if array.nbytes >= LARGE]
    with contextlib.suppress(OSError), tempfile.TemporaryFile() as file:
        for name in large:
            file.write(np.ascontiguousarray(state[name]).data)
        file.flush()
        offset = 0
        for name in large:
            kind, shape, size = state[name].dtype, state[name].shape, state[name].nbytes
            state[name] = np.memmap(file, kind, "r", offset, shape)
            offset += size


def start_from(model: Model, source: Model, path: str | Path) -> tuple[str, ...]:
    """Give a model the weights of another; layers that depend on other classes or keypoints stay new.

    Args:
        model: gets the weights.
        source: has the same architecture, but for the classes and keypoints.
        path: where the source is from, for the messages.

    Returns:
        The names of the layers that stay new.

    Raises:
        ValueError: the architectures differ; the message names the file and the first weight that does not fit.
    """
    theirs = {variable.path: variable for variable in source.weights}
    new = new_layers(model.config, source.config)
    prefixes = tuple(f"{name}/" for name in new)
    pairs = []
    for variable in model.weights:
        if variable.path.startswith(prefixes):
            continue
        given = theirs.get(variable.path)
        if given is None or given.shape != variable.shape:
            found = "is not there" if given is None else f"has shape {tuple(given.shape)}"
            raise ValueError(
                f"{path}: {variable.path} {found}, and the model to train needs {tuple(variable.shape)}; do not "
                "change what the file's network is made of by --config or --set"
            )
        pairs.append((variable, given))
    for variable, given in pairs:
        variable.assign(given)
    return new
