"""How the formats of annotations are told apart; the command line asks before anything heavy is loaded."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from keras_maskrcnn.utils.files import image_files, json_files
from keras_maskrcnn.utils.text import read_json

FORMATS = ("coco", "via", "labelme", "masks", "voc", "yolo", "coco-results")
"""Names of the formats that `load_dataset` reads."""
_NEED_IMAGES = ("coco", "via", "masks", "coco-results")
_TAKE_CLASS_KEY = ("via", "masks")


def checked_format(
    annotations: str | Path,
    images: str | Path | None = None,
    format: str | None = None,
    class_key: str | None = None,
    score_threshold: float | None = None,
) -> str:
    """Return the format's name, found if it is None, for `load_dataset`'s arguments.

    Raises:
        ValueError: there is no such format, or it needs one of the others or has no use for it.
    """
    if format is None:
        format = find_format(annotations)
    if format not in FORMATS:
        raise ValueError(f"format must be one of {', '.join(FORMATS)}; got {format!r}")
    if format in _NEED_IMAGES and images is None:
        raise ValueError(f"{annotations}: {format} annotations need the folder of their images (--images)")
    if format == "voc" and images is not None:
        raise ValueError(
            f"{annotations}: voc annotations have their images in JPEGImages; got {images} (--images)"
        )
    if class_key is not None and format not in _TAKE_CLASS_KEY:
        raise ValueError(
            f"{annotations}: {format} annotations have one kind of classes; got class_key (--class-key)"
        )
    if score_threshold is not None and format != "coco-results":
        raise ValueError(f"{annotations}: {format} annotations have no scores; got score_threshold")
    return format


def find_format(annotations: str | Path) -> str:
    """Return the name of the format of an annotation file or folder, by what is in it.

    Raises:
        FileNotFoundError: there is no such file or folder.
        ValueError: it is of no known format, or may be of several.
    """
    path = Path(annotations)
    if path.is_dir():
        kinds = _kinds_of_folder(path)
    elif path.suffix == ".txt" and (voc_folder(path) / "SegmentationObject").is_dir():
        kinds = ["voc"]
    elif path.suffix == ".json" or not path.exists():
        try:
            kinds = _kinds_of_json(read_json(path))
        except ValueError as error:
            raise ValueError(f"{path}: {error}") from None
    else:
        kinds = []
    if len(kinds) != 1:
        found = f"may be {' or '.join(kinds)}" if kinds else "has no known format"
        raise ValueError(f"{path} {found}; format (--format) must say which of {', '.join(FORMATS)} it is")
    return kinds[0]


def voc_folder(split_file: Path) -> Path:
    """The folder of VOC that a file ImageSets/Segmentation/train.txt belongs to."""
    return split_file.absolute().parents[2] if len(split_file.absolute().parents) > 2 else split_file.parent


def is_coco(content: Any) -> bool:
    """Tell whether the content of a JSON file looks like COCO annotations."""
    return isinstance(content, dict) and {"images", "annotations", "categories"} <= content.keys()


def is_results(content: Any) -> bool:
    """Tell whether the content of a JSON file looks like COCO results."""
    return isinstance(content, list) and all(isinstance(row, dict) and "image_id" in row for row in content)


def is_via(content: Any) -> bool:
    """Tell whether the content of a JSON file looks like VIA's, version 1 or 2."""
    if not isinstance(content, dict) or not content:
        return False
    entries = content.values()
    return "_via_img_metadata" in content or any(
        isinstance(row, dict) and "regions" in row for row in entries
    )


def is_labelme(content: Any) -> bool:
    """Tell whether the content of a JSON file looks like labelme's."""
    return isinstance(content, dict) and isinstance(content.get("shapes"), list) and "imagePath" in content


def is_yolo_line(line: str) -> bool:
    """Tell whether a line of text looks like YOLO's: a whole number, and at least four more numbers."""
    words = line.split()
    try:
        values = [float(word) for word in words]
    except ValueError:
        return False
    return len(values) >= 5 and words[0].isdecimal()


def _kinds_of_json(content: Any) -> list[str]:
    known = {"coco": is_coco, "via": is_via, "labelme": is_labelme, "coco-results": is_results}
    return [name for name, is_it in known.items() if is_it(content)]


def _kinds_of_folder(folder: Path) -> list[str]:
    if (folder / "SegmentationObject").is_dir():
        return ["voc"]
    inside = {kind: file for file, kinds in _json_files(folder) for kind in kinds}
    whole = {kind: file for kind, file in inside.items() if kind != "labelme"}
    if whole and "labelme" not in inside:
        kind, file = next(iter(whole.items()))
        raise ValueError(f"{folder}: this is a folder; its file {file} is {kind}, and may be given itself")
    kinds = ["labelme"] if "labelme" in inside else []
    if any(is_yolo_line(line) for file in folder.glob("*.txt") if file.is_file() for line in _lines(file)):
        kinds.append("yolo")
    return kinds or (["masks"] if _has_images(folder) else [])


def _json_files(folder: Path) -> Iterator[tuple[Path, list[str]]]:
    """JSON files with their formats, up to the first of labelme: broken ones are for the reader to tell."""
    for file in json_files(folder):
        try:
            kinds = _kinds_of_json(json.loads(file.read_bytes()))
        except (ValueError, RecursionError, OSError):
            continue
        yield file, kinds
        if kinds == ["labelme"]:
            return


def _lines(file: Path) -> list[str]:
    return file.read_text(encoding="utf-8", errors="replace").splitlines()


def _has_images(folder: Path) -> bool:
    """Whether there are images in a folder, or in one or two folders below."""
    places = [folder, *(path for pattern in ("*", "*/*") for path in folder.glob(pattern) if path.is_dir())]
    return any(image_files(place) for place in places)
