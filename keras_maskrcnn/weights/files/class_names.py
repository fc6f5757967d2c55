"""The class names that a checkpoint of MMDetection states beside its tensors."""

import os
from pathlib import Path
from typing import Any

from keras_maskrcnn.weights.files.torch import is_pth, read_beside


def read_class_names(path: str | os.PathLike) -> tuple[str, ...]:
    """Return the classes that a file of MMDetection 2 or 3 says its training data have; () where it states none.

    They may be others than those of the model: MMDetection does not compare them. Files of other formats than torch's
    state none.

    Raises:
        ValueError: the file is broken, or asks for anything but tensors and plain containers.
    """
    with Path(path).open("rb") as file:
        if not is_pth(file.read(512)):
            return ()
    meta = read_beside(path, "meta")
    names = _of_version_3(meta) or _entry(meta, "CLASSES")
    if isinstance(names, str):  # ("nut") instead of ("nut",)
        return (names,)
    if not isinstance(names, list | tuple) or not all(isinstance(name, str) for name in names):
        return ()
    return tuple(names)


def _of_version_3(meta: Any) -> Any:
    dataset = _entry(meta, "dataset_meta")
    return _entry(dataset, "classes") or _entry(dataset, "CLASSES")


def _entry(values: Any, key: str) -> Any:
    return values.get(key) if isinstance(values, dict) else None
