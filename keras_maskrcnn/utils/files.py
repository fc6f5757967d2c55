"""Files that are whole or not there, and which of them are images."""

import contextlib
import hashlib
import os
import re
import shutil
import socket
import stat
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

IMAGE_SUFFIXES = (".jpg", ".jpeg", ".png", ".bmp", ".gif", ".tif", ".tiff", ".webp", ".npy")
"""Files with these endings are taken from a folder; a file that is named is read whatever its ending."""

UNFINISHED = re.compile(r"\.(?P<process>\d+)@(?P<host>.+)\.\w{8}\.unfinished")
"""Names of the folders in which files are written before they take their place."""
UNFINISHED_BEFORE = re.compile(r"\.(?P<process>\d+)\..+\.weights\.h5")
"""And of the backups that version 0.1.0 had not finished."""
FOR_SURE = 24 * 60 * 60
"""Seconds after which nobody writes any more, be it on another machine."""


def image_files(folder: str | os.PathLike) -> list[Path]:
    """Return the image files in a folder, sorted, but for hidden ones, which systems and notebooks leave behind."""
    return sorted(
        file
        for file in Path(folder).iterdir()
        if file.suffix.lower() in IMAGE_SUFFIXES and not file.name.startswith(".")
    )


def json_files(folder: str | os.PathLike) -> list[Path]:
    """Return the JSON files in a folder and those below it, sorted, but for hidden ones."""
    return [file for file in sorted(Path(folder).rglob("*.json")) if not is_hidden(file, folder)]


def is_hidden(path: Path, folder: str | os.PathLike) -> bool:
    """Return whether what lies below a folder is hidden, or in a folder there that is."""
    return any(part.startswith(".") for part in path.relative_to(folder).parts)


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

    If the block raises an error, nothing is left of it, and what was at `path` before is still there. So it is when the
    process is killed or the machine stops; what lies half written in the folder then is removed by the next call for a
    file there. A link is followed, and what is no file, such as /dev/stdout, is written where it is.

    Raises:
        OSError: it cannot be written, and `path` is named; the disk may be full.
    """
    path = Path(path)
    if path.exists() and not path.is_file():
        yield path
        return
    target = path.resolve()
    remove_unfinished(target.parent)
    try:
        with _unfinished_folder(target.parent) as folder:
            part = folder / target.name
            yield part
            _to_disk(part)
            if target.exists():
                shutil.copymode(target, part)
            os.replace(part, target)
        with contextlib.suppress(OSError):  # some file systems keep folders another way
            _to_disk(target.parent)
    except OSError as error:
        if error.errno is None or _is_of_another_file(error):
            raise
        raise OSError(error.errno, error.strerror, str(path)) from error


def write_text(path: str | os.PathLike, text: str) -> None:
    """Write a text as UTF-8, whole or not at all, as `written_whole` does."""
    with written_whole(path) as part:
        part.write_text(text, encoding="utf-8")


def remove_unfinished(folder: str | os.PathLike) -> None:
    """Remove what killed processes left half written in a folder.

    A folder that cannot be read or written stays as it is: whoever writes there will be told.
    """
    with contextlib.suppress(OSError):
        with os.scandir(Path(folder)) as entries:
            left = [Path(entry.path) for entry in entries if _is_abandoned(entry)]
        for path in left:
            if path.is_dir():
                shutil.rmtree(path, ignore_errors=True)
            else:
                path.unlink(missing_ok=True)


@contextlib.contextmanager
def _unfinished_folder(parent: Path) -> Iterator[Path]:
    """Yield a new folder that is removed with all that is in it; its name tells who writes there."""
    begin = f".{os.getpid()}@{socket.gethostname()}."
    folder = tempfile.mkdtemp(prefix=begin, suffix=".unfinished", dir=parent)
    try:
        yield Path(folder)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _is_abandoned(entry: os.DirEntry[str]) -> bool:
    named = UNFINISHED.fullmatch(entry.name) or UNFINISHED_BEFORE.fullmatch(entry.name)
    if named is None:
        return False
    is_here = named.groupdict().get("host", socket.gethostname()) == socket.gethostname()
    if is_here and not _is_running(int(named["process"])):
        return True
    return time.time() - entry.stat(follow_symlinks=False).st_mtime > FOR_SURE


def _is_running(process: int) -> bool:
    if os.name == "nt":  # where signal 0 is Ctrl-C
        return True
    try:
        os.kill(process, 0)
    except (ProcessLookupError, OverflowError):
        return False
    except PermissionError:  # it is somebody else's
        return True
    return True


def _to_disk(path: Path) -> None:
    """Wait until a file's content, or a folder's names, would survive a power failure."""
    handle = os.open(path, os.O_RDONLY if path.is_dir() else os.O_RDWR)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _is_of_another_file(error: OSError) -> bool:
    """Whether an error names a file, and none that is being written."""
    parts = () if error.filename is None else Path(str(error.filename)).parts
    return bool(parts) and not any(UNFINISHED.fullmatch(part) for part in parts)


def file_hash(path: str | os.PathLike, algorithm: str) -> str:
    """Return the hexadecimal hash of a file's content, by an algorithm that hashlib knows."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, algorithm).hexdigest()
