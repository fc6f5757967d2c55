"""The safetensors format: 8 bytes of length, a JSON header of that length, the tensors' bytes one after the other."""

import json
import math
import os
import struct
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from keras_maskrcnn.weights.files.dtypes import BFLOAT16, widen
from keras_maskrcnn.weights.files.pickled import MAX_AXES, is_size
from keras_maskrcnn.weights.files.refusal import RefusedError, naming, one_line
from keras_maskrcnn.weights.files.state import State

SAFETENSORS = {
    "F64": "f8",
    "F32": "f4",
    "F16": "f2",
    "BF16": BFLOAT16,
    "I64": "i8",
    "I32": "i4",
    "I16": "i2",
    "I8": "i1",
    "U64": "u8",
    "U32": "u4",
    "U16": "u2",
    "U8": "u1",
    "BOOL": "?",
}
MAX_HEADER = 100_000_000
"""Bytes of a safetensors header, as its own reader has it."""


def read_safetensors(path: str | os.PathLike) -> State:
    """Read the tensors of a safetensors file.

    Returns:
        The tensors by name, as numpy arrays of their own type; bfloat16 becomes the equal float32.

    Raises:
        ValueError: the file is broken or cut off, or has an element type that numpy does not have.
    """
    path = Path(path)
    with naming(path), path.open("rb") as file:
        size = path.stat().st_size
        entries, start = _safetensors_header(file, size)
        state = {}
        for name, (item, shape, begin, end) in sorted(entries.items(), key=lambda entry: entry[1][2]):
            if end > size - start:
                raise RefusedError(f"is cut off within {name[:100]!r}")
            file.seek(start + begin)
            data = np.fromfile(
                file, "<u2" if item == BFLOAT16 else np.dtype(item).newbyteorder("<"), math.prod(shape)
            )
            state[name] = widen(data.reshape(shape), item)
        return state


def _safetensors_header(file: BinaryIO, size: int) -> tuple[dict[str, tuple[str, list[int], int, int]], int]:
    head = file.read(8)
    length = struct.unpack("<Q", head)[0] if len(head) == 8 else MAX_HEADER + 1
    if length > min(MAX_HEADER, size - 8):
        raise RefusedError("is cut off within its header, or is not a safetensors file")
    try:
        header = json.loads(file.read(length), object_pairs_hook=_once)
    except (ValueError, RecursionError) as error:
        if isinstance(error, RefusedError):
            raise
        raise RefusedError(f"has a safetensors header that is not JSON ({one_line(error)})") from error
    if not isinstance(header, dict):
        raise RefusedError("has a safetensors header that is not a table")
    header.pop("__metadata__", None)
    if not header:
        raise RefusedError("is a safetensors file without tensors")
    entries = {name: _safetensors_entry(name, entry) for name, entry in header.items()}
    _check_order(entries)
    return entries, 8 + length


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    table = dict(pairs)
    if len(table) != len(pairs):
        raise RefusedError("names a tensor twice in its header")
    return table


def _safetensors_entry(name: str, entry: Any) -> tuple[str, list[int], int, int]:
    if not isinstance(entry, dict) or set(entry) != {"dtype", "shape", "data_offsets"}:
        raise RefusedError(f"describes {name[:100]!r} otherwise than safetensors does")
    kind, shape, offsets = entry["dtype"], entry["shape"], entry["data_offsets"]
    if not isinstance(kind, str):
        raise RefusedError(f"describes {name[:100]!r} otherwise than safetensors does")
    if kind not in SAFETENSORS:
        raise RefusedError(f"holds {name[:100]!r} in the element type {kind[:50]!r}, which is not read")
    for numbers in (shape, offsets):
        if not isinstance(numbers, list) or not all(map(is_size, numbers)):
            raise RefusedError(f"describes {name[:100]!r} with impossible sizes")
    item = SAFETENSORS[kind]
    needed = math.prod(shape) * (2 if item == BFLOAT16 else np.dtype(item).itemsize)
    if len(shape) > MAX_AXES or len(offsets) != 2 or offsets[1] - offsets[0] != needed:
        raise RefusedError(f"describes {name[:100]!r} with a shape that does not agree with its bytes")
    return item, shape, offsets[0], offsets[1]


def _check_order(entries: dict[str, tuple[str, list[int], int, int]]) -> None:
    """The tensors' bytes follow one another without gaps, so that none is used twice."""
    position = 0
    for name, (_, _, begin, end) in sorted(entries.items(), key=lambda entry: entry[1][2:]):
        if begin != position:
            raise RefusedError(f"has a gap or an overlap before {name[:100]!r}")
        position = end
