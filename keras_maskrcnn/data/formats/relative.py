"""How a file names another one: by the path from a folder."""

import os
from pathlib import Path


def relative_path(path: str | Path, folder: Path) -> str:
    """Return the path of a file from a folder, with forward slashes; the whole path if it is on another drive."""
    try:
        name = os.path.relpath(path, folder)
        if os.path.exists(path) and not _is_same(folder / name, path):  # the folder is reached by a link
            name = os.path.relpath(os.path.realpath(path), os.path.realpath(folder))
        return Path(name).as_posix()
    except ValueError:  # on another drive of Windows
        return os.path.abspath(path)


def _is_same(path: Path, other: str | Path) -> bool:
    return path.exists() and os.path.samefile(path, other)
