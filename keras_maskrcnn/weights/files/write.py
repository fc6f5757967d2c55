"""Checkpoints for torchvision and Detectron2, written without them, and this package's own.

The first two are pickles, whose opcodes are put together here: Python's own pickler can name torch's functions only
where torch is installed, and numpy's only as the installed version calls them.
"""

import os
import pickle
import struct
import zipfile
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
from safetensors.numpy import save_file

from keras_maskrcnn.utils.files import written_whole

STORAGES = {"f2": "Half", "f4": "Float", "f8": "Double"}
"""What torch calls a storage of numpy's type."""


def write_pth(path: str | os.PathLike, state: Mapping[str, np.ndarray]) -> None:
    """Write tensors as `torch.save` writes a state dict since torch 1.6; `torch.load(weights_only=True)` reads it.

    Args:
        path: the file, which is there whole or, if an error is raised, not at all.
        state: arrays of floats by name.

    Raises:
        ValueError: an array holds something else.
    """
    arrays = _floats(state)
    with written_whole(path) as part, zipfile.ZipFile(part, "w") as archive:

        def add(name: str, content: Any) -> None:
            # Without a date, so that the same tensors are the same file.
            archive.writestr(zipfile.ZipInfo(f"archive/{name}"), content)

        add("data.pkl", b"".join(_state_dict(arrays)))
        add("byteorder", "little")
        for number, array in enumerate(arrays.values()):
            add(f"data/{number}", np.ascontiguousarray(array).data)
        add("version", "3\n")


def write_pkl(path: str | os.PathLike, state: Mapping[str, np.ndarray]) -> None:
    """Write tensors as Detectron2's model zoo has them; Python's `pickle` and Detectron2's checkpointer read it.

    Args:
        path: the file, which is there whole or, if an error is raised, not at all.
        state: arrays of floats by name.

    Raises:
        ValueError: an array holds something else.
    """
    arrays = _floats(state)
    with written_whole(path) as part, part.open("wb") as file:
        file.write(pickle.PROTO + b"\x03" + pickle.MARK + _string("model") + pickle.MARK)
        for name, array in arrays.items():
            file.writelines([_string(name), *_array(array)])
        file.write(
            pickle.DICT + _string("__author__") + _string("keras_maskrcnn") + pickle.DICT + pickle.STOP
        )


def write_half(path: str | os.PathLike, state: Mapping[str, np.ndarray], config: str) -> None:
    """Write tensors in half precision as safetensors, with the model's Config as metadata.

    Args:
        path: the file, which is there whole or, if an error is raised, not at all.
        state: arrays of floats by name.
        config: JSON text, which `Config.from_json` reads.

    Raises:
        ValueError: a value is beyond half precision, 65504; the message names its tensor.
    """
    with np.errstate(over="ignore"):
        halves = {name: array.astype(np.float16) for name, array in state.items()}
    for name, half in halves.items():
        if not np.isfinite(half).all():
            raise ValueError(f"{name} holds values that half precision cannot: beyond 65504, or NaN")
    with written_whole(path) as part:
        save_file(halves, part, metadata={"config": config})


def _floats(state: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    for name, array in state.items():
        if array.dtype.str[1:] not in STORAGES:
            raise ValueError(f"{name} holds {array.dtype}; only floats are written")
    return {name: array.astype(array.dtype.newbyteorder("<"), copy=False) for name, array in state.items()}


def _state_dict(arrays: Mapping[str, np.ndarray]) -> Iterator[bytes]:
    """Yield the pickle of an OrderedDict of tensors, the n-th of which has the n-th storage to itself."""
    empty = _name("collections", "OrderedDict") + pickle.EMPTY_TUPLE + pickle.REDUCE
    yield pickle.PROTO + b"\x02" + empty + pickle.MARK
    for number, (name, array) in enumerate(arrays.items()):
        kind = _name("torch", f"{STORAGES[array.dtype.str[1:]]}Storage")
        storage = _tuple(_string("storage"), kind, _string(str(number)), _string("cpu"), _value(array.size))
        strides = tuple(step // array.itemsize for step in np.empty(array.shape, array.dtype).strides)
        tensor = _tuple(
            storage + pickle.BINPERSID, _value(0), _value(array.shape), _value(strides), _value(False), empty
        )
        yield _string(name) + _name("torch._utils", "_rebuild_tensor_v2") + tensor + pickle.REDUCE
    yield pickle.SETITEMS + pickle.STOP


def _array(array: np.ndarray) -> Iterator[bytes]:
    """Yield the pickle of an array: an empty one, and the state that it takes over."""
    core = "numpy.core.multiarray"  # as all versions of numpy can find it
    kind = _tuple(_string(array.dtype.str[1:]), _value(False), _value(True))
    order = _tuple(_value(3), _string("<"), *([pickle.NONE] * 3), _value(-1), _value(-1), _value(0))
    dtype = _name("numpy", "dtype") + kind + pickle.REDUCE + order + pickle.BUILD
    yield _name(core, "_reconstruct") + _tuple(_name("numpy", "ndarray"), _value((0,)), _bytes(b"b"))
    yield pickle.REDUCE + pickle.MARK + _value(1) + _value(array.shape) + dtype + _value(False)
    yield _bytes(np.ascontiguousarray(array).tobytes())
    yield pickle.TUPLE + pickle.BUILD


def _name(module: str, name: str) -> bytes:
    return pickle.GLOBAL + f"{module}\n{name}\n".encode()


def _string(string: str) -> bytes:
    data = string.encode()
    return pickle.BINUNICODE + struct.pack("<I", len(data)) + data


def _bytes(data: bytes) -> bytes:
    return pickle.BINBYTES + struct.pack("<I", len(data)) + data


def _tuple(*items: bytes) -> bytes:
    return pickle.MARK + b"".join(items) + pickle.TUPLE


def _value(value: Any) -> bytes:
    if isinstance(value, tuple):
        return _tuple(*map(_value, value))
    if isinstance(value, bool):
        return pickle.NEWTRUE if value else pickle.NEWFALSE
    return pickle.BININT + struct.pack("<i", value)
