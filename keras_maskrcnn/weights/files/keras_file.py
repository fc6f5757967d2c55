"""What a `.keras` file, or a folder of its parts, says of itself, checked before that model is made."""

import json
import os
import sys
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import keras

from keras_maskrcnn.config.config import Config
from keras_maskrcnn.network.least_weights import least_weights

LONGEST = 2**26
"""Bytes of a description: 64 MiB, of which a network takes some hundred kB."""
WEIGHTS_PER_BYTE = 2
"""Weights that a byte of a file holds at most: those of a model that is quantized to four bits."""
WIDTHS = ("units", "filters", "input_dim", "output_dim")
"""What Keras' layers call the number of their outputs: each has at least a weight of its own."""


def check_keras_file(path: str | os.PathLike, model_class: type) -> None:
    """Refuse a file that holds another kind of model, or weights of another size than its model has.

    A file of some kB can describe a model of many GB, which Keras would make before it looks at the weights.

    Args:
        path: of the file.
        model_class: what it must hold.

    Raises:
        ValueError: the file is damaged, or is refused; the message names it.
    """
    described, stored = contents(path)
    found = _class(described)
    if not (isinstance(found, type) and issubclass(found, model_class)):
        named = str(described.get("class_name", "file without a model"))
        raise ValueError(f"{path}: this is a {named:.80}, not a {model_class.__name__}")
    values = described.get("config")
    values = values if isinstance(values, dict) else {}
    try:
        config = Config.from_dict(values["config"])
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
        raise ValueError(f"{path}: its Config cannot be read: {error}") from error
    needed = max([least_weights(config), *_widths(values.get("backbone"))])
    if needed > WEIGHTS_PER_BYTE * stored:
        raise ValueError(
            f"{path}: the model that it describes has at least {needed:,} weights, for which its {stored:,} bytes of "
            "weights are too few; the file is damaged"
        )


def contents(path: str | os.PathLike) -> tuple[dict[str, Any], int]:
    """Return the description of its model, and the bytes of its weights, of a file or of a folder with its parts.

    Raises:
        ValueError: the file is damaged; the message names it.
    """
    try:
        text, stored = _parts_of_folder(Path(path)) if os.path.isdir(path) else _parts_of_file(path)
        if len(text) > LONGEST:
            raise ValueError(f"its config.json has more than {LONGEST:,} bytes")
        described = json.loads(text)
    except KeyError:
        raise ValueError(f"{path}: the file is damaged, or no .keras file: it has no config.json") from None
    except (ValueError, RecursionError, OSError, EOFError, RuntimeError, zipfile.BadZipFile) as error:
        raise ValueError(f"{path}: the file is damaged, or no .keras file: {error}") from error
    return described if isinstance(described, dict) else {}, stored


def _parts_of_file(path: str | os.PathLike) -> tuple[bytes, int]:
    with zipfile.ZipFile(path) as archive:
        with archive.open("config.json") as file:
            text = file.read(LONGEST + 1)
        weights = [one for one in archive.infolist() if one.filename.startswith("model.weights.")]
        return text, sum(one.file_size for one in weights)


def _parts_of_folder(path: Path) -> tuple[bytes, int]:
    with open(path / "config.json", "rb") as file:
        text = file.read(LONGEST + 1)
    return text, sum(part.stat().st_size for part in path.glob("model.weights.*"))


def _class(described: dict[str, Any]) -> Any:
    """Return the class of the model that Keras would make."""
    registered, name = described.get("registered_name"), described.get("class_name")
    found = keras.saving.get_registered_object(registered) if isinstance(registered, str) else None
    return found or getattr(sys.modules.get(str(described.get("module"))), str(name), None)


def _widths(described: Any) -> Iterator[int]:
    """Yield the numbers of outputs of all layers that a description names."""
    left = [described]
    while left:
        one = left.pop()
        if isinstance(one, dict):
            yield from (one[key] for key in WIDTHS if isinstance(one.get(key), int))
            left += one.values()
        elif isinstance(one, list):
            left += one
