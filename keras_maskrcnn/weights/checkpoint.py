"""The sources of checkpoints, told by the names of their tensors; and a model of any Config from one of them."""

import os
from pathlib import Path
from types import ModuleType
from typing import Any

from keras_maskrcnn.config.config import Config
from keras_maskrcnn.utils.finite import WeightsError
from keras_maskrcnn.weights.files.read import read_checkpoint
from keras_maskrcnn.weights.files.state import State
from keras_maskrcnn.weights.sources import detectron2, matterport, mmdet, own, torchvision
from keras_maskrcnn.weights.transfer import ModelClass, keep_on_disk, load_state

SOURCES: dict[str, ModuleType] = {
    "keras_maskrcnn": own,
    "torchvision": torchvision,
    "detectron2": detectron2,
    "mmdet": mmdet,
    "matterport": matterport,
}
BEGINNINGS = {
    "keras_maskrcnn": ("backbone/",),
    "torchvision": ("backbone.body.",),
    "detectron2": ("backbone.bottom_up.", "backbone.stem."),
    "mmdet": ("roi_head.",),
    "matterport": ("",),
}
"""How names begin in every file of a source; Matterport's are checked by `matterport.describe`."""


def current_names(source: str, path: Path, state: State) -> State:
    """Return a checkpoint's tensors by today's names.

    Raises:
        ValueError: they are not of this source; the message names the file.
    """
    try:
        if source == "torchvision":
            return torchvision.rename(state)
        if source == "matterport":
            state = matterport.rename(state)
            matterport.describe(state)
    except ValueError as error:
        raise ValueError(f"{path}: {error}.") from error
    return state


def read_checkpoint_of(model_class: ModelClass, config: Config, path: str | os.PathLike) -> Any:
    """Return the model of a Config with a checkpoint's weights, be it a published one or what was written of it.

    Args:
        model_class: MaskRCNN, whose package lies above this one.
        config: of the model, with the file's classes.
        path: of a file of torchvision's, Detectron2's, MMDetection's, Matterport's or this package's, by the names of
            its tensors; or of one of Keras, ending in ".weights.h5".

    Raises:
        ValueError: the file is broken or of another model; the message names it.
    """
    path = Path(path)
    if path.name.endswith(".weights.h5"):
        model = model_class(config)
        try:
            model.load_weights(path)
        except WeightsError:
            raise
        except (ValueError, KeyError, OSError) as error:
            raise ValueError(f"{path} is not of the model that the Config describes: {error}") from error
        return model
    state = read_checkpoint(path)
    found = (name for name, begin in BEGINNINGS.items() if any(key.startswith(begin) for key in state))
    source = next(found, "matterport")
    state = current_names(source, path, state)
    keep_on_disk(state)
    model = model_class(config)
    try:
        load_state(model, state, SOURCES[source])
    except ValueError as error:
        raise ValueError(f"{path} is not of the model that the Config describes. {error}") from error
    return model
