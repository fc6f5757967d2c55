"""What a pickle of plain containers and numpy's arrays may name, and the proxies that are built for it."""

import dataclasses
import math
from collections.abc import Callable
from typing import Any

import numpy as np

from keras_maskrcnn.weights.files.refusal import RefusedError

MAX_AXES = 32
"""An array's axes; older numpy's limit."""


@dataclasses.dataclass(frozen=True)
class Named:
    """A name that a file may use.

    Attributes:
        name: as the file has it.
        call: what is called in its place when the file calls it, or None if it may only be mentioned.
        item: an element type of arrays, if that is what the name says.
        left_out: whether it is a class whose objects no tensor needs; in their place `LeftOut` is built.
    """

    name: str
    call: Callable[..., object] | None = None
    item: str | None = None
    left_out: bool = False


@dataclasses.dataclass(frozen=True)
class LongString:
    """A long string as it is in the file.

    Attributes:
        data: its UTF-8 bytes.
    """

    data: bytes


class Proxy:
    """What is built for an object of the file that is no plain container."""

    def set_state(self, state: Any) -> None:
        """Take over the state that the file assigns to the object."""
        raise RefusedError(f"assigns a state to {type(self).__name__}, which has none")


class LeftOut(Proxy):
    """Stands for an object that no tensor needs, and keeps nothing of it."""

    def set_state(self, state: Any) -> None:
        """Drop the state."""


class TensorProxy(Proxy):
    """Proxy of an array or a tensor.

    Attributes:
        shape: sizes of its axes.
        item_size: bytes of one element in the file.
    """

    shape: tuple[int, ...]
    item_size: int


def hashable(key: Any) -> Any:
    """Return `key` if it is a number, a string, bytes or None: hashing nested tuples can take for ever.

    Raises:
        RefusedError: it is anything else.
    """
    if key is not None and type(key) not in (str, int, float, bool, bytes):
        raise RefusedError(f"uses {kind_of(key)} as a key")
    return key


def kind_of(value: Any) -> str:
    """Return how a message speaks of `value`."""
    return value.name if isinstance(value, Named) else f"a {type(value).__name__}"


def is_size(value: Any) -> bool:
    """Return whether `value` can be a size or an offset."""
    return type(value) is int and 0 <= value < 2**63


class ArrayType(Proxy):
    """Proxy of a numpy dtype of numbers.

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


class Array(TensorProxy):
    """Proxy of a numpy array, which numpy pickles as an empty one with a state.

    Attributes:
        array: the array, without a copy of its data.
    """

    def __init__(self, array: np.ndarray) -> None:
        self._hold(array)

    def set_state(self, state: Any) -> None:
        """Take over (version, shape, type, whether in Fortran's order, bytes)."""
        if not isinstance(state, tuple) or len(state) != 5:
            raise RefusedError("holds an array whose state is not numpy's")
        _, shape, kind, fortran, data = state
        self._hold(_array(data, kind, shape, "F" if fortran else "C"))

    def _hold(self, array: np.ndarray) -> None:
        self.array, self.shape, self.item_size = array, array.shape, array.itemsize


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
    return Array(np.zeros(0, np.float32))


def _from_buffer(data: Any, kind: Any, shape: Any, order: Any) -> Array:
    return Array(_array(data, kind, shape, order))


def _scalar(kind: Any, data: Any) -> Array:
    return _from_buffer(data, kind, (), "C")


def _encode(string: Any, encoding: Any) -> bytes:
    if encoding not in ("latin1", "latin-1"):
        raise RefusedError("encodes a string otherwise than as the bytes it holds")
    if isinstance(string, LongString):
        string = string.data.decode()
    if not isinstance(string, str):
        raise RefusedError(f"encodes {kind_of(string)}, where a string is expected")
    return string.encode("latin1")


def _no_bytes() -> bytes:
    """Return what the older protocols call `bytes` for, which with an argument would take any memory."""
    return b""


def _pairs(pairs: Any = ()) -> dict:
    items = pairs.items() if isinstance(pairs, dict) else pairs
    return {hashable(key): value for key, value in items}


def _set(items: Any = ()) -> set:
    return {hashable(item) for item in items}


def named(names: dict[str, Callable[..., object] | None]) -> dict[tuple[str, str], Named]:
    """Return the unpickler's table (by module and name) for functions by their full names."""
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


def _attribute(owner: Any, name: Any) -> LeftOut:
    """Return what stands for a method of a class that is left out; nothing else is looked up."""
    if not isinstance(owner, Named) or not owner.left_out or not isinstance(name, str):
        raise RefusedError(f"asks for an attribute of {kind_of(owner)}")
    return LeftOut()


MMENGINE = {
    ("mmengine.logging.history_buffer", "HistoryBuffer"): Named(
        "mmengine.logging.history_buffer.HistoryBuffer", left_out=True
    )
} | named({"builtins.getattr": _attribute, "__builtin__.getattr": _attribute})
"""What MMEngine's checkpoints name besides: the logs of a training, with methods of theirs."""

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
