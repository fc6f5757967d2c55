"""Where the labels and the images of a YOLO dataset are: under labels/ and images/, in the same places."""

from pathlib import Path

import yaml

from keras_maskrcnn.data.checks import error_prefix
from keras_maskrcnn.data.formats.yolo_names import YAML_SUFFIXES, read_settings

_SPLITS = ("train", "val", "test")


def label_place(given: str | Path) -> Path:
    """Return the folder of the labels that is meant: of images/train it is labels/train, of a folder that has images
    and labels it is labels in it.

    Raises:
        ValueError: it is a YAML file, which is about several splits; the message names the folders of their labels.
    """
    path = Path(given)
    if path.suffix in YAML_SUFFIXES and path.is_file():
        with error_prefix(str(path)):
            known = [f"{split}: {place}" for split, place in _splits(path).items()]
            what = ", ".join(known) or "labels/train, for instance"
            raise ValueError(
                f"annotations are the folder of the labels of one split, and not this file ({what})"
            )
    if has_both(path):
        return path / "labels"
    if path.is_dir() and "images" in path.resolve().parts and not any(path.rglob("*.txt")):
        labels = swapped(path, "images", "labels")
        return labels if labels.is_dir() else path
    return path


def has_both(folder: Path) -> bool:
    """Tell whether a folder has images and, in text files, their labels, as a whole dataset of one split has."""
    labels = folder / "labels"
    return (folder / "images").is_dir() and labels.is_dir() and any(labels.glob("*.txt"))


def swapped(folder: Path, name: str, other: str) -> Path:
    """Return the folder of the same place under `other` instead of `name`.

    Raises:
        ValueError: there is no folder `name` in its path.
    """
    parts = folder.resolve().parts
    if name not in parts:
        raise ValueError(
            f"{folder}: there is no folder {name} in this path, so the folder of the {other} must be given"
        )
    last = len(parts) - 1 - parts[::-1].index(name)
    return Path(*parts[:last], other, *parts[last + 1 :])


def _splits(file: Path) -> dict[str, Path]:
    """The folders of the labels of the splits that a YAML file names, as far as they are there."""
    settings = read_settings(file)
    base = file.parent / _scalar(settings.get("path"))
    found = {}
    for split in _SPLITS:
        place = base / _scalar(settings.get(split))
        if settings.get(split) is not None and "images" in place.resolve().parts:
            labels = swapped(place, "images", "labels")
            if labels.is_dir():
                found[split] = labels
    return found


def _scalar(node: yaml.Node | None) -> str:
    return node.value if isinstance(node, yaml.ScalarNode) else ""
