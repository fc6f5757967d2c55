"""torch's two file formats, read without torch: where their pickle lies, and the elements of its tensors.

Since torch 1.6 a checkpoint is a zip: `<any>/data.pkl` is the pickle, `<any>/data/<key>` the uncompressed elements of a
storage, `<any>/byteorder` their byte order. Before, it was four pickles (a magic number, a version, the machine's
sizes, the object), then one with the list of the storages' keys, then per key the number of elements as 8 bytes and
the elements, always little-endian, whatever the third pickle says of the machine.
"""

import io
import os
import struct
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any, BinaryIO, Literal, TypeVar

import numpy as np

from keras_maskrcnn.weights.files.refusal import RefusedError, error_prefix, one_line
from keras_maskrcnn.weights.files.state import State, state_of
from keras_maskrcnn.weights.files.torch_tensors import TENSORS, Storage, Tensor, storage, storage_type
from keras_maskrcnn.weights.files.unpickler import load

LEGACY_MAGIC = 0x1950A86A20F9469CFC6C
LEGACY_VERSION = 1001
ZIP = b"PK\3\4"
LEGACY = b"\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19."
"""How the magic number is pickled."""

ByteOrder = Literal["<", ">"]
Result = TypeVar("Result")
Use = Callable[[Any, Callable[[Tensor], np.ndarray]], Result]
"""Makes something of the object in a file and of the function that reads its tensors."""


def is_pth(head: bytes) -> bool:
    """Return whether a file that begins so is in one of torch's formats."""
    return head.startswith(ZIP) or LEGACY in head[:32]


def read_pth(path: str | os.PathLike) -> State:
    """Read a state dict that torch saved, in either of its formats.

    Returns:
        The tensors by name, as numpy arrays of their own type; bfloat16 becomes the equal float32. Those that share
        a storage in the file share memory.

    Raises:
        ValueError: the file is broken, is no torch checkpoint or asks for anything but tensors and plain containers.
    """
    path = Path(path)
    size = path.stat().st_size
    return _with_content(path, lambda root, read: state_of(root, size, read))


def read_beside(path: str | os.PathLike, key: str) -> Any:
    """Return what a torch checkpoint holds under `key` beside its tensors, in plain containers; None without it.

    Raises:
        ValueError: as `read_pth`.
    """
    return _with_content(Path(path), lambda root, read: root.get(key) if isinstance(root, dict) else None)


def _with_content(path: Path, use: Use[Result]) -> Result:
    """Return what `use` makes of the file."""
    size = path.stat().st_size
    with error_prefix(path), path.open("rb") as file:
        if file.read(4) == ZIP:
            return _with_zip(file, size, use)
        file.seek(0)
        return _with_legacy(file, size, use)


def _with_zip(file: BinaryIO, size: int, use: Use[Result]) -> Result:
    try:
        with zipfile.ZipFile(file) as archive:
            entries = _entries(archive, size)
            prefix = _prefix(entries)
            data = io.BytesIO(archive.read(entries[f"{prefix}data.pkl"]))
            root = load(data, TENSORS, storage)
            order = _byte_order(archive, entries.get(f"{prefix}byteorder"))
            storages = _Storages(
                lambda part: _zip_storage(archive, entries, f"{prefix}data/{part.key}", part), order
            )
            return use(root, storages.read)
    except (zipfile.BadZipFile, EOFError, NotImplementedError, UnicodeError, struct.error, OSError) as error:
        raise RefusedError(f"is a broken or cut off zip ({one_line(error)})") from error


def _entries(archive: zipfile.ZipFile, size: int) -> dict[str, zipfile.ZipInfo]:
    """Return the zip's entries by name, all of which lie in the file as they are: no zip bomb."""
    entries: dict[str, zipfile.ZipInfo] = {}
    if any(name.endswith("/constants.pkl") for name in archive.namelist()):
        raise RefusedError("is a TorchScript program, where a state dict is expected")
    for entry in archive.infolist():
        if entry.filename in entries:
            raise RefusedError(f"holds {entry.filename[:100]!r} twice")
        if entry.compress_type != zipfile.ZIP_STORED or entry.file_size != entry.compress_size:
            raise RefusedError(f"holds {entry.filename[:100]!r} compressed, which torch never does")
        if entry.flag_bits & 1:
            raise RefusedError(f"holds {entry.filename[:100]!r} encrypted")
        entries[entry.filename] = entry
    total = sum(entry.file_size for entry in entries.values())
    if total > size:
        raise RefusedError(f"declares {total} bytes in its zip's entries, and has {size}")
    return entries


def _prefix(entries: dict[str, zipfile.ZipInfo]) -> str:
    pickles = [name for name in entries if name == "data.pkl" or name.endswith("/data.pkl")]
    if len(pickles) != 1:
        raise RefusedError(f"is a zip with {len(pickles)} data.pkl, where a torch checkpoint has one")
    return pickles[0].removesuffix("data.pkl")


def _byte_order(archive: zipfile.ZipFile, entry: zipfile.ZipInfo | None) -> ByteOrder:
    if entry is None:
        return "<"
    orders: dict[bytes, ByteOrder] = {b"little": "<", b"big": ">"}
    text = archive.read(entry) if entry.file_size < 16 else b""
    if text not in orders:
        raise RefusedError("has a byte order that is neither 'little' nor 'big'")
    return orders[text]


def _zip_storage(
    archive: zipfile.ZipFile, entries: dict[str, zipfile.ZipInfo], name: str, part: Storage
) -> np.ndarray:
    entry = entries.get(name)
    if entry is None:
        raise RefusedError(f"lacks the data of the storage {part.key[:100]!r}")
    needed = part.total * storage_type(part.item).itemsize
    if entry.file_size != needed:
        raise RefusedError(
            f"has {entry.file_size} bytes for the storage {part.key[:100]!r}, which needs {needed}"
        )
    with archive.open(entry) as stream:
        return _fill(stream, needed)


def _with_legacy(file: BinaryIO, size: int, use: Use[Result]) -> Result:
    if load(file, {}) != LEGACY_MAGIC or load(file, {}) != LEGACY_VERSION:
        raise RefusedError("is a pickle, but not one of torch's checkpoints")
    load(file, {})
    parts: dict[str, Storage] = {}

    def remember(reference: Any) -> Storage:
        part = storage(reference)
        known = parts.setdefault(part.key, part)
        if (known.item, known.total) != (part.item, part.total):
            raise RefusedError(f"has two types or sizes for the storage {part.key[:100]!r}")
        return part

    root = load(file, TENSORS, remember)
    positions = _positions(file, size, load(file, {}), parts)

    def read(part: Storage) -> np.ndarray:
        if part.key not in positions:
            raise RefusedError(f"lacks the data of the storage {part.key[:100]!r}")
        file.seek(positions[part.key])
        return _fill(file, part.total * storage_type(part.item).itemsize)

    return use(root, _Storages(read, "<").read)


def _positions(file: BinaryIO, size: int, keys: Any, parts: dict[str, Storage]) -> dict[str, int]:
    """Return where the elements of each storage begin."""
    positions: dict[str, int] = {}
    for key in keys if isinstance(keys, list) else [None]:
        part = parts.get(key) if isinstance(key, str) else None
        if part is None or part.key in positions:
            raise RefusedError("has a list of storages that does not agree with its tensors")
        header = file.read(8)
        if len(header) < 8:
            raise RefusedError(f"is cut off before the storage {part.key[:100]!r}")
        (total,) = struct.unpack("<q", header)
        if total != part.total:
            raise RefusedError(
                f"has {total} elements in the storage {part.key[:100]!r}, which needs {part.total}"
            )
        positions[part.key] = file.tell()
        end = positions[part.key] + total * storage_type(part.item).itemsize
        if end > size:
            raise RefusedError(f"is cut off within the storage {part.key[:100]!r}")
        file.seek(end)
    return positions


def _fill(stream: Any, count: int) -> np.ndarray:
    """Return the next `count` bytes [N] of a stream that has them, read to where they stay."""
    data = np.empty(count, np.uint8)
    view, done = data.data, 0
    while done < count:
        read = stream.readinto(view[done : done + 2**20])
        if not read:
            raise RefusedError("is cut off within a storage")
        done += read
    return data


class _Storages:
    """Reads tensors, and each storage once."""

    def __init__(self, fetch: Callable[[Storage], np.ndarray], order: ByteOrder) -> None:
        self.fetch, self.order = fetch, order
        self.known: dict[str, np.ndarray] = {}

    def read(self, tensor: Tensor) -> np.ndarray:
        """Return the tensor as an array of its shape."""
        part = tensor.storage
        if part.key not in self.known:
            self.known[part.key] = self.fetch(part)
        kind = storage_type(part.item).newbyteorder(self.order)
        data = self.known[part.key]
        if part.total * kind.itemsize != data.nbytes:
            raise RefusedError(f"has two sizes for the storage {part.key[:100]!r}")
        return tensor.read(data.view(kind))
