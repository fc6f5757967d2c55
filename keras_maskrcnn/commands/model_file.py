"""Models read from `.keras` files: to be used, or as the start of another model."""

import zipfile
from pathlib import Path

import keras

from keras_maskrcnn.config import Config
from keras_maskrcnn.model import MaskRCNN


def read_model(path: str | Path) -> MaskRCNN:
    """Read a model that `model.save` or `maskrcnn train` wrote, without its optimizer.

    Raises:
        ValueError: the file holds no Mask R-CNN, or is damaged; the message names the file.
    """
    # Keras reports a damaged file as a missing one.
    if not zipfile.is_zipfile(path):
        raise ValueError(f"{path}: the file is damaged, or no .keras file")
    try:
        model = keras.saving.load_model(path, compile=False)
    except (ValueError, TypeError, KeyError, OSError, zipfile.BadZipFile) as error:
        raise ValueError(f"{path}: the model cannot be read: {error}") from error
    if not isinstance(model, MaskRCNN):
        raise ValueError(f"{path}: this is a {type(model).__name__}, not a MaskRCNN")
    return model


def start_from(model: MaskRCNN, source: MaskRCNN, path: str | Path) -> list[str]:
    """Give a model the weights of another; layers that depend on the classes stay new if the classes differ.

    Args:
        model: gets the weights.
        source: has the same architecture, but for the classes.
        path: the file of the source, for the messages.

    Returns:
        The names of the layers that stay new.

    Raises:
        ValueError: the architectures differ; the message names the file and the first weight that does not fit.
    """
    theirs = {variable.path: variable for variable in source.weights}
    same_classes = model.config.class_names == source.config.class_names
    new = () if same_classes else _class_layers(model.config)
    pairs = []
    for variable in model.weights:
        if variable.path.startswith(new):
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
    return list(new)


def _class_layers(config: Config) -> tuple[str, ...]:
    """Names of the layers with outputs for each class."""
    layers = ["box_head/logits"]
    if not config.class_agnostic_boxes:
        layers.append("box_head/deltas")
    if config.mask_head != "none" and config.mask_loss != "class_agnostic":
        layers.append("mask_head/logits")
    return tuple(layers)
