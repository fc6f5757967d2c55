"""The description of an artefact, which stands beside it as JSON."""

import json
import os
from pathlib import Path
from typing import Any

VERSION = 1
"""Of descriptions; a reader refuses one that it does not know."""
KEY = "keras_maskrcnn_artefact"


def description_path(artefact: str | os.PathLike) -> Path:
    """Return where an artefact's description is: beside a file, within a folder.

    TensorFlow leaves a SavedModel's `assets.extra` alone.
    """
    path = Path(artefact)
    if path.suffix in (".onnx", ".tflite"):
        return path.with_suffix(".json")
    return path / "assets.extra" / "keras_maskrcnn.json"


def is_artefact(path: str | os.PathLike) -> bool:
    """Whether it is an artefact by its name, or a folder with a description."""
    return Path(path).suffix in (".onnx", ".tflite") or description_path(path).exists()


def read_description(artefact: str | os.PathLike) -> dict[str, Any]:
    """Return the description of an artefact.

    Raises:
        FileNotFoundError: the artefact is not there, or its description is not.
        ValueError: it is none, or of a later version.
    """
    if not Path(artefact).exists():
        raise FileNotFoundError(f"{artefact}: there is no such artefact")
    path = description_path(artefact)
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise FileNotFoundError(
            f"{artefact}: its description {path} is missing, which export writes; copy both"
        ) from None
    except ValueError as error:
        raise ValueError(f"{path}: this is no description of an artefact: {error}") from error
    if not isinstance(values, dict) or KEY not in values:
        raise ValueError(f"{path}: this is no description of an artefact")
    if values[KEY] != VERSION:
        raise ValueError(f"{path}: a description of version {values[KEY]}, and this package knows {VERSION}")
    return values
