"""What a pickle of plain containers and numpy's arrays may name, built by our own stand-ins."""

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from keras_maskrcnn.weights.files.opcodes import LongText
from keras_maskrcnn.weights.files.refusal import RefusedError
from keras_maskrcnn.weights.files.stand_in import Named, StandIn, hashable

MAX_AXES = 32
"""An array's axes; older numpy's limit."""


def is_size(value: Any) -> bool:
    """Return whether `value` can be a size or an offset."""
    return type(value) is int and 0 <= value < 2**63


class ArrayType(StandIn):
    """Stands in for a numpy dtype of numbers.

    Args:
        code: as numpy pickles it, "f4" or "<f4".

    Raises:
        RefusedError: it is a type of anything but numbers.
    """

    def __init__(self, code: Any, align: Any = False, copy: Any = True) -> None:
        text = code if isinstance(code, str) else ""
        if len(text) > 3 or text.lstrip("<>|=")[:1] not in ("b", "i", "u", "f"):
            raise RefusedError(f"holds an array of the type {text[:50]!r}, which is not of numbers")
        self.dtype = np.dtype(text)

    def set_state(self, state: Any) -> None:
        """Take over the byte order, from (version, order, subarray, names, fields, ...)."""
        if not isinstance(state, tuple) or len(state) < 5 or state[1] not in ("<", ">", "|", "="):
            raise RefusedError("holds an array's type whose state is not numpy's")
        if any(part is not None for part in state[2:5]):
            raise RefusedError("holds an array of records, which no checkpoint does")
        self.dtype = self.dtype.newbyteorder(state[1])


class Array(StandIn):
    """Stands in for a numpy array, which numpy pickles as an empty one with a state."""

    def __init__(self) -> None:
        self.array = np.zeros(0, np.float32)

    @property
    def shape(self) -> tuple[int, ...]:
        """The array's shape."""
        return self.array.shape

    @property
    def item_size(self) -> int:
        """Bytes of one element."""
        return self.array.itemsize

    def set_state(self, state: Any) -> None:
        """Take over (version, shape, type, whether in Fortran's order, bytes), without a copy."""
        if not isinstance(state, tuple) or len(state) != 5:
            raise RefusedError("holds an array whose state is not numpy's")
        _, shape, kind, fortran, data = state
        self.array = _array(data, kind, shape, "F" if fortran else "C")


def _array(data: Any, kind: Any, shape: Any, order: Any) -> np.ndarray:
    if isinstance(data, str):
        data = data.encode("latin1")
    if not isinstance(kind, ArrayType) or not isinstance(data, bytes) or order not in ("C", "F"):
        raise RefusedError("holds an array whose state is not numpy's")
    if not isinstance(shape, tuple) or not all(map(is_size, shape)) or len(shape) > MAX_AXES:
        raise RefusedError("holds an array whose shape is not one of sizes")
    needed = math.prod(shape) * kind.dtype.itemsize
    if needed != len(data):
        raise RefusedError(f"holds an array that needs {needed} bytes and has {len(data)}")
    return np.frombuffer(data, kind.dtype).reshape(shape, order=order)


def _reconstruct(kind: Any, shape: Any, code: Any) -> Array:
    if not isinstance(kind, Named) or kind.name != "numpy.ndarray":
        raise RefusedError("holds an array of a class other than numpy's own")
    return Array()


def _from_buffer(data: Any, kind: Any, shape: Any, order: Any) -> Array:
    result = Array()
    result.array = _array(data, kind, shape, order)
    return result


def _scalar(kind: Any, data: Any) -> Array:
    return _from_buffer(data, kind, (), "C")


def _encode(text: Any, encoding: Any) -> bytes:
    if encoding not in ("latin1", "latin-1"):
        raise RefusedError("encodes a text otherwise than as the bytes it stands for")
    if isinstance(text, LongText):
        text = text.data.decode()
    if not isinstance(text, str):
        raise RefusedError("encodes a text that is none")
    return text.encode("latin1")


def _no_bytes() -> bytes:
    """Return what the older protocols call `bytes` for, which with an argument would take any memory."""
    return b""


def _pairs(pairs: Any = ()) -> dict:
    items = pairs.items() if isinstance(pairs, dict) else pairs
    return {hashable(key): value for key, value in items}


def _set(items: Any = ()) -> set:
    return {hashable(item) for item in items}


def named(names: dict[str, Callable[..., object] | None]) -> dict[tuple[str, str], Named]:
    """Return the machine's table for stand-ins by the full name of what they stand for."""
    table = {}
    for name, call in names.items():
        module, _, last = name.rpartition(".")
        table[module, last] = Named(name, call)
    return table


CONTAINERS = named(
    {
        "collections.OrderedDict": _pairs,
        "collections.Counter": _pairs,
        "builtins.set": _set,
        "__builtin__.set": _set,
        "builtins.bytes": _no_bytes,
        "__builtin__.bytes": _no_bytes,
        "_codecs.encode": _encode,
    }
)

CORE: dict[str, Callable[..., object]] = {
    "multiarray._reconstruct": _reconstruct,
    "multiarray.scalar": _scalar,
    "numeric._frombuffer": _from_buffer,
}

ARRAYS = CONTAINERS | named(
    {
        "numpy.ndarray": None,
        "numpy.dtype": ArrayType,
        **{f"numpy.{core}.{name}": call for core in ("core", "_core") for name, call in CORE.items()},
    }
)
"""What a pickle of plain containers and numpy arrays names."""
