"""Folders of JSON files of labelme (https://github.com/wkentaro/labelme), one per image."""

import os
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from keras_maskrcnn.data.checks import collect_errors, error_prefix
from keras_maskrcnn.data.formats.builder import CocoBuilder, Size, note_unused
from keras_maskrcnn.data.formats.format import Format, json_contents
from keras_maskrcnn.data.formats.image_paths import ImageFolder
from keras_maskrcnn.data.formats.labelme_shapes import add_shapes
from keras_maskrcnn.data.formats.labelme_writer import write_labelme
from keras_maskrcnn.data.report import Records
from keras_maskrcnn.masks.segmentation_checks import shown
from keras_maskrcnn.utils.files import json_files
from keras_maskrcnn.utils.text import read_json


def load_labelme(
    folder: str | Path,
    image_folder: str | Path | None = None,
    class_names: Sequence[str] | None = None,
    masks: bool = True,
    check_images: bool = True,
    problems: list[str] | None = None,
) -> tuple[Records, list[str]]:
    """Read a folder of labelme's JSON files, with its subfolders.

    Polygons, rectangles (of two corners or, as X-AnyLabeling writes them, four), rotated rectangles, circles and masks
    are objects; shapes of the same label and group_id are parts of one. Points, lines and strips of lines have no area
    and are errors. Circles and the masks of labelme 7 may reach outside the image. Shapes labelled _background_ are
    holes in all shapes before them, shapes labelled __ignore__ are left out, and those flagged "difficult" or "ignore"
    are crowds; the report counts them. Files without shapes are images without objects. Images without a JSON file are
    left out, and the report says how many.

    Args:
        folder: where the JSON files are; or one such file.
        image_folder: where the images are; left out: where each file's "imagePath" says, or beside it. Of an image that
            is not there, what labelme embedded in the file ("imageData") is used: its record names the JSON file.
        class_names: as in `load_coco`; left out: the labels that the files have, sorted.
        masks, check_images, problems: as in `load_coco`.

    Returns:
        (records, class names), as `load_coco` does; `image_id` counts from 1.

    Raises:
        FileNotFoundError: there is no such folder.
        ValueError: no file is labelme's, or, without `problems`, anything is broken; the message names file, shape and
            reason.

    Example:
        ```python
        import keras_maskrcnn as km
        import json, tempfile
        from pathlib import Path
        import numpy as np
        from PIL import Image

        folder = Path(tempfile.mkdtemp())
        Image.fromarray(np.zeros((40, 60, 3), np.uint8)).save(folder / "a.png")
        shape = {"label": "nut", "shape_type": "polygon", "points": [[10, 5], [30, 5], [30, 35]]}
        (folder / "a.json").write_text(json.dumps({"imagePath": "a.png", "shapes": [shape]}))
        records, class_names = km.load_labelme(folder)
        print(class_names, records[0].boxes)  # ['nut'] [[10. 5. 30. 35.]]
        ```
    """
    builder, top = CocoBuilder(folder), Path(folder)
    files = _files(top)
    places: dict[Path, ImageFolder] = {}
    used: set[Path] = set()
    annotated: set[Path] = set()
    reserved: Counter[str] = Counter()
    for file in files:
        name = file.name if file == top else file.relative_to(top).as_posix()
        with collect_errors(builder.problems), error_prefix(name):
            content = _content(file)
            image = _image_file(content, file, None if image_folder is None else Path(image_folder), places)
            used.add(image.resolve())
            if image != file and image.resolve() in annotated:
                raise ValueError(f"{image}: another file has the objects of this image")
            size = builder.add_image(image, _size(content))
            if size is not None:
                annotated.add(image.resolve())
                reserved += add_shapes(builder, name, content["shapes"], size, _version(content))
    note_unused(builder, {file.parent for file in used if file.suffix != ".json"}, used)
    builder.notes.extend(f"{count} {what}" for what, count in reserved.items())
    return builder.records(class_names, masks, check_images, problems)


def _files(folder: Path) -> list[Path]:
    if folder.is_file():
        return [folder]
    if not folder.is_dir():
        raise FileNotFoundError(f"{folder}: there is no such folder")
    found = json_files(folder)
    if not found:
        raise ValueError(f"{folder}: there are no JSON files of labelme in this folder")
    return found


def _content(file: Path) -> dict[str, Any]:
    content = read_json(file)
    if not _is_labelme(content):
        raise ValueError('this is no file of labelme: it has no "shapes" or no "imagePath"')
    return content


def _image_file(
    content: dict[str, Any], file: Path, folder: Path | None, places: dict[Path, ImageFolder]
) -> Path:
    """The file with the image: its own, found as by `load_coco`, or the JSON file if that embeds it."""
    path = content["imagePath"]
    if not isinstance(path, str) or not path:
        raise ValueError(f'its "imagePath" must name a file; got {shown(path)}')
    place = file.parent if folder is None else folder
    found = places.setdefault(place, ImageFolder(place)).find(path)
    if found is None and not content.get("imageData"):
        raise FileNotFoundError(f"{file}: its image {place / path} is not there, nor in the file itself")
    return file if found is None else Path(os.path.normpath(found))


def _size(content: dict[str, Any]) -> Size | None:
    """The size that the file says, if it does."""
    height, width = content.get("imageHeight"), content.get("imageWidth")
    if height is None and width is None:
        return None
    if not isinstance(height, int) or not isinstance(width, int) or height < 1 or width < 1:
        raise ValueError(
            f"its imageHeight and imageWidth must be whole numbers from 1; got {height!r}, {width!r}"
        )
    return height, width


def _version(content: dict[str, Any]) -> int:
    """The first number of the version of labelme that wrote a file; 0 where it does not say."""
    first = str(content.get("version", "")).partition(".")[0]
    return int(first) if first.isascii() and first.isdecimal() else 0


def _is_labelme(content: Any) -> bool:
    return isinstance(content, dict) and isinstance(content.get("shapes"), list) and "imagePath" in content


def _looks_like(path: Path, content: Any) -> bool:
    contents = (inside for _, inside in json_contents(path)) if path.is_dir() else [content]
    return any(map(_is_labelme, contents))


FORMAT = Format(
    "labelme",
    "a folder of labelme's JSON files",
    object_name="shape",
    looks_like=_looks_like,
    load=load_labelme,
    write=write_labelme,
)
