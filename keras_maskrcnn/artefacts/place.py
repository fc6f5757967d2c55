"""Where an artefact and its description are, and how they get there: whole or not at all."""

import os
import shutil
import tempfile
from pathlib import Path

from keras_maskrcnn.artefacts.request import Request
from keras_maskrcnn.runtime.description import description_path
from keras_maskrcnn.utils.files import written_whole

SUFFIXES = {"onnx": ".onnx", "litert": ".tflite"}
"""Of the formats that are one file; the others are folders."""


def check_place(path: Path, request: Request) -> None:
    """Refuse a path where no artefact of a format can be, or where something else is.

    Raises:
        ValueError: the file's ending is another, or something else would be replaced.
        FileNotFoundError: there is no folder to write into.
    """
    suffix = SUFFIXES.get(request.format)
    if suffix is not None and path.suffix != suffix:
        raise ValueError(f"{path}: a file of the format {request.format} ends with {suffix}")
    if suffix is None and path.suffix in (".onnx", ".tflite", ".xml", ".pb", ".keras"):
        raise ValueError(f"{path}: {request.format} is a folder; leave out {path.suffix}")
    if not path.resolve().parent.is_dir():
        raise FileNotFoundError(f"{path}: there is no folder {path.parent} to write into")
    if path.is_dir() and any(path.iterdir()) and not description_path(path).exists():
        raise ValueError(f"{path}: there is a folder that is no artefact; choose another name, or remove it")
    if (suffix is not None and path.is_dir()) or (suffix is None and path.is_file()):
        raise ValueError(f"{path}: what is there is of another kind; choose another name, or remove it")


def put(part: Path, path: Path) -> None:
    """Move a finished artefact with its description to its place; until it is whole, what was there stays."""
    if not part.is_dir():
        with written_whole(description_path(path)) as description:
            shutil.copyfile(description_path(part), description)
        with written_whole(path) as file:
            shutil.copyfile(part, file)
        return
    with tempfile.TemporaryDirectory(prefix=".", suffix=".unfinished", dir=path.resolve().parent) as folder:
        beside = Path(folder) / "new"
        shutil.copytree(part, beside)
        if path.exists():
            os.replace(path, Path(folder) / "old")
        os.replace(beside, path)
