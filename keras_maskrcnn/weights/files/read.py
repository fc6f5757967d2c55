"""Checkpoints of every source as arrays by name, without the framework that wrote them and without running anything."""

import os
import re
import struct
from pathlib import Path
from typing import Any

import ml_dtypes  # noqa: F401  # numpy then knows bfloat16, in which safetensors makes arrays
import numpy as np
from safetensors import SafetensorError, safe_open

from keras_maskrcnn.weights.files.proxies import ARRAYS
from keras_maskrcnn.weights.files.refusal import Budget, RefusedError, error_prefix, one_line
from keras_maskrcnn.weights.files.state import BFLOAT16, State, state_of, widen
from keras_maskrcnn.weights.files.torch import is_pth, read_pth
from keras_maskrcnn.weights.files.unpickler import load

HDF5 = b"\x89HDF\r\n\x1a\n"
SAFETENSORS = ("F64", "F32", "F16", "BF16", "I64", "I32", "I16", "I8", "U64", "U32", "U16", "U8", "BOOL")
"""The element types of safetensors that are read."""
MAX_HEADER = 100_000_000
"""Bytes of a safetensors header at most, as its library has it."""
OLD_PICKLE = re.compile(rb"[(\]}]+(?:[lditq]|S['\"]|c[\w.]+\r?\n)|c[\w.]+\r?\n[\w.]+\r?\n")
"""How a pickle of protocols 0 and 1 begins: with a container, or with a name."""


def read_checkpoint(path: str | os.PathLike) -> State:
    """Read a checkpoint of any known format, which its content tells and not its name.

    Known are torch's two formats, pickles of numpy arrays (Detectron2, Caffe2), Keras 2's HDF5 and safetensors.

    Returns:
        The tensors by name, as the file has them; see the reader of each format.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: the file is of another format, is broken, or asks for anything but arrays and plain containers;
            one sentence says which.
    """
    path = Path(path)
    with error_prefix(path):
        with path.open("rb") as file:
            head = file.read(512)
        if not head:
            raise RefusedError("is empty")
        if head.startswith(HDF5):
            return read_h5(path)
        if is_pth(head):
            return read_pth(path)
        if len(head) > 8 and head[8:9] == b"{" and struct.unpack("<Q", head[:8])[0] <= MAX_HEADER:
            return read_safetensors(path)
        if (head[0] == 0x80 and head[1:2] <= b"\5") or OLD_PICKLE.match(head):
            return read_pkl(path)
        raise RefusedError(_what_it_is(head))


def _what_it_is(head: bytes) -> str:
    start = head.lstrip(b"\xef\xbb\xbf \t\r\n").lower()
    if start.startswith((b"<!doctype", b"<html", b"<?xml", b"<")):
        return "is a web page, not a checkpoint: was the download redirected?"
    if all(byte >= 32 or byte in b"\t\r\n" for byte in head):
        return f"is a text file, not a checkpoint: it begins with {head[:40].decode(errors='replace')!r}"
    return f"is not a checkpoint of a known format: it begins with the bytes {head[:8].hex(' ')}"


def read_pkl(path: str | os.PathLike) -> State:
    """Read a pickle of numpy arrays, as Detectron2's model zoo and Caffe2 have them, written by Python 2 or 3.

    Returns:
        The arrays by name: those under "model" or "blobs" if there is such an entry.

    Raises:
        ValueError: the file is broken or asks for anything but arrays and plain containers.
    """
    path = Path(path)
    with error_prefix(path), path.open("rb") as file:
        return state_of(load(file, ARRAYS), path.stat().st_size)


def read_h5(path: str | os.PathLike) -> State:
    """Read the weights of a Keras 2 HDF5 file, of the whole model or of weights only.

    Returns:
        The arrays by their path from the group of the weights, such as "conv1/conv1/kernel:0" or
        "rpn_model/rpn_conv_shared/kernel:0".

    Raises:
        ValueError: the file is broken, holds no weights, or is larger unpacked than it can be.
    """
    import h5py

    path = Path(path)
    with error_prefix(path):
        try:
            with h5py.File(path, "r") as file:
                root = _weights_group(file)
                return _h5_arrays(root, path.stat().st_size)
        except RefusedError:
            raise
        except (OSError, KeyError, RuntimeError, TypeError, ValueError) as error:
            raise RefusedError(f"is a broken or cut off HDF5 file ({one_line(error)})") from error


def _weights_group(file: Any) -> Any:
    import h5py

    if "model_weights" not in file:
        return file
    link = file.get("model_weights", getlink=True)
    if not isinstance(link, h5py.HardLink) or not isinstance(file["model_weights"], h5py.Group):
        raise RefusedError("has no group of weights under 'model_weights' but something else")
    return file["model_weights"]


def _h5_arrays(root: Any, file_size: int) -> State:
    import h5py

    budget = Budget(file_size)
    state: State = {}

    def visit(name: str, item: Any) -> None:
        if not isinstance(item, h5py.Dataset):
            return
        if item.dtype.kind not in "biuf" or item.shape is None:
            raise RefusedError(f"holds {name[:100]!r}, which is not an array of numbers")
        if item.is_virtual or item.external:
            raise RefusedError(f"holds {name[:100]!r}, whose data are in another file")
        budget.spend(name, item.shape, item.dtype.itemsize)
        state[name] = widen(np.asarray(item[()]), "")

    root.visititems(visit)
    if not state:
        raise RefusedError("is an HDF5 file without weights")
    return state


def read_safetensors(path: str | os.PathLike) -> State:
    """Read the tensors of a safetensors file.

    Returns:
        The tensors by name, as numpy arrays of their own type; bfloat16 becomes the equal float32.

    Raises:
        ValueError: the file is broken or cut off, holds no tensors, or has an element type that numpy does not have.
    """
    path = Path(path)
    with error_prefix(path):
        try:
            with safe_open(path, framework="numpy") as file:
                state = {name: _safetensor(file, name) for name in file.keys()}  # noqa: SIM118 (it is no dict)
        except (SafetensorError, ValueError) as error:
            if isinstance(error, RefusedError):
                raise
            raise RefusedError(f"is a broken or cut off safetensors file ({one_line(error)})") from error
        if not state:
            raise RefusedError("is a safetensors file without tensors")
        return state


def read_config(path: str | os.PathLike) -> str:
    """Return the Config that `maskrcnn convert` wrote into a safetensors file, as JSON.

    Raises:
        ValueError: the file is broken or cut off, or there is no Config in it.
    """
    path = Path(path)
    with error_prefix(path):
        try:
            with safe_open(path, framework="numpy") as file:
                metadata = file.metadata() or {}
        except SafetensorError as error:
            raise RefusedError(f"is a broken or cut off safetensors file ({one_line(error)})") from error
        if "config" not in metadata:
            raise RefusedError("has no Config in its metadata, as this package's files have")
        return metadata["config"]


def _safetensor(file: Any, name: str) -> np.ndarray:
    kind = file.get_slice(name).get_dtype()
    if kind not in SAFETENSORS:
        raise RefusedError(f"holds {name[:100]!r} in the element type {kind!r}, which is not read")
    array = file.get_tensor(name)
    return widen(array.view(np.uint16), BFLOAT16) if kind == "BF16" else array
