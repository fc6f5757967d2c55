"""What a `.keras` file says of its model's classes, before its weights are given to another model."""

import os
import warnings
from typing import Any

from keras_maskrcnn.config.config import Config
from keras_maskrcnn.data.checks import check_order, error_prefix
from keras_maskrcnn.weights.files.keras_file import contents


def check_saved_names(path: str | os.PathLike, config: Config) -> None:
    """Compare the classes and keypoints of a `.keras` file with those of the model that is to have its weights.

    Other names are warned of: the weights fit wherever there are as many, and the model would call the file's classes
    by its own names.

    Raises:
        ValueError: the file has the same names in another order.
    """
    saved = _saved_config(path)
    for what, names in (("class", config.class_names), ("keypoint", config.keypoint_names)):
        theirs = saved.get(f"{what}_names")
        if not isinstance(theirs, list) or tuple(theirs) == names:
            continue
        with error_prefix(str(path)):
            check_order(what, theirs, names)
        warnings.warn(
            f"{path} has other {what} names, {_listed(theirs)}, than the model, {_listed(names)}; "
            "load_pretrained(..., weights=..., class_names=...) makes new layers for other classes",
            stacklevel=3,
        )


def _saved_config(path: str | os.PathLike) -> dict[str, Any]:
    """The Config in a `.keras` file; nothing if it is another kind of file, which Keras judges."""
    try:
        values = contents(path)[0]["config"]["config"]
    except (KeyError, TypeError, ValueError):
        return {}
    return values if isinstance(values, dict) else {}


def _listed(names: Any) -> str:
    shown = [str(name) for name in names]
    return ", ".join(shown[:5]) + (", ..." if len(shown) > 5 else "")
