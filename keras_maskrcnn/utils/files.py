"""Files that are whole or not there, and which of them are images."""

import contextlib
import hashlib
import os
import stat
import tempfile
from collections.abc import Iterator
from pathlib import Path

IMAGE_SUFFIXES = (".jpg", ".jpeg", ".png", ".bmp", ".gif", ".tif", ".tiff", ".webp", ".npy")
"""Files with these endings are taken from a folder; a file that is named is read whatever its ending."""


def image_files(folder: str | os.PathLike) -> list[Path]:
    """Return the image files in a folder, sorted, but for hidden ones, which systems and notebooks leave behind."""
    return sorted(
        file
        for file in Path(folder).iterdir()
        if file.suffix.lower() in IMAGE_SUFFIXES and not file.name.startswith(".")
    )


def json_files(folder: str | os.PathLike) -> list[Path]:
    """Return the JSON files in a folder and those below it, sorted, but for hidden ones."""
    found = sorted(Path(folder).rglob("*.json"))
    return [
        file for file in found if not any(part.startswith(".") for part in file.relative_to(folder).parts)
    ]


def check_regular(path: str | os.PathLike) -> None:
    """Refuse what is there but no regular file: reading from a pipe or a device may never end.

    Raises:
        FileNotFoundError: nothing is there.
        ValueError: it is a folder, a pipe, a socket or a device.
    """
    mode = os.stat(path).st_mode
    kinds = {"a folder": stat.S_ISDIR, "a named pipe": stat.S_ISFIFO, "a socket": stat.S_ISSOCK}
    if not stat.S_ISREG(mode):
        found = next((kind for kind, is_kind in kinds.items() if is_kind(mode)), "a device")
        raise ValueError(f"this is {found}, not a file")


@contextlib.contextmanager
def written_whole(path: str | os.PathLike) -> Iterator[Path]:
    """Yield the path of a new file to write, which takes the place of `path` when the block is done.

    If the block raises an error, nothing is left of it, and what was at `path` before is still there.
    """
    path = Path(path)
    with tempfile.TemporaryDirectory(prefix=f".{path.name}.", dir=path.parent) as folder:
        part = Path(folder) / path.name
        yield part
        os.replace(part, path)


def file_hash(path: str | os.PathLike, algorithm: str) -> str:
    """Return the hexadecimal hash of a file's content, by an algorithm that hashlib knows."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, algorithm).hexdigest()
