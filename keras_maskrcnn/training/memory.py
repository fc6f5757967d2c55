"""What a callback remembers of a training: its plain attributes, as JSON."""

import inspect
from collections.abc import Mapping
from pathlib import PurePath
from typing import Any

import keras
import numpy as np

OF_KERAS = ("_model", "params", "min_delta")
"""Attributes that `fit` gives to each callback, and one that Keras' own turn round at the first end of an epoch, which
they will do again."""


class CallbackMemory:
    """What a callback remembers: all its attributes but those of its constructor's arguments that have not changed.

    So a training that goes on with another patience has that one.

    Args:
        callback: with attributes that are None, numbers, strings, arrays, and lists, tuples, sets or dicts of such;
            and functions and paths, which remember nothing.

    Raises:
        ValueError: an attribute is something else; the message names it. `read` raises it too.
    """

    def __init__(self, callback: keras.callbacks.Callback):
        self.callback = callback
        made_by = [vars(kind)["__init__"] for kind in type(callback).__mro__ if "__init__" in vars(kind)]
        self._settings = {name for made in made_by for name in inspect.signature(made).parameters}
        self._before = self._plain_attributes()

    def read(self) -> dict[str, Any]:
        """Return what the callback remembers now, ready for JSON."""
        now, before = self._plain_attributes(), self._before
        return {k: v for k, v in now.items() if k not in self._settings or v != before.get(k)}

    def write(self, state: Mapping[str, Any]) -> None:
        """Let the callback remember what `read` returned."""
        vars(self.callback).update({name: _restored(value) for name, value in state.items()})

    def _plain_attributes(self) -> dict[str, Any]:
        found = {}
        for name, value in vars(self.callback).items():
            if name in OF_KERAS or callable(value) or isinstance(value, PurePath):
                continue
            try:
                found[name] = _plain(value)
            except TypeError as error:
                raise ValueError(
                    f"{type(self.callback).__name__}.{name} cannot be remembered: it holds {error}, and a backup keeps "
                    "None, numbers, strings, arrays, and lists, tuples, sets and dicts of these. Leave the callback "
                    "out of `remember`, or let it keep such values"
                ) from None
        return found


def _plain(value: Any) -> Any:
    """Return a value as JSON has it; what JSON lacks is a dict of its kind and its content."""
    if value is None or isinstance(value, (bool, int, float, str)):
        return value
    if isinstance(value, list):
        return [_plain(item) for item in value]
    if isinstance(value, (tuple, set)):
        return {type(value).__name__: [_plain(item) for item in value]}
    if isinstance(value, dict):
        return {"dict": [[_plain(key), _plain(item)] for key, item in value.items()]}
    if isinstance(value, (np.ndarray, np.generic)) and value.dtype.kind in "biuf":
        return {value.dtype.str: value.tolist()}
    raise TypeError(f"a {type(value).__name__}")


def _restored(value: Any) -> Any:
    if isinstance(value, list):
        return [_restored(item) for item in value]
    if not isinstance(value, dict):
        return value
    ((kind, content),) = value.items()
    if kind == "dict":
        return {_restored(key): _restored(item) for key, item in content}
    if kind in ("tuple", "set"):
        return {"tuple": tuple, "set": set}[kind](_restored(content))
    array = np.array(content, kind)
    return array if array.ndim else array[()]
