"""Folders of JSON files of labelme (https://github.com/wkentaro/labelme), one per image."""

import math
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pycocotools.mask as coco_mask
from PIL import Image

from keras_maskrcnn.data.checks import collect_errors, error_prefix, mask_extent
from keras_maskrcnn.data.formats.builder import CocoBuilder, Size, note_unused
from keras_maskrcnn.data.formats.coco_annotations import is_number
from keras_maskrcnn.data.formats.format import Format, json_contents
from keras_maskrcnn.data.formats.image_paths import ImageFolder
from keras_maskrcnn.data.formats.shapes import ellipse, rectangle, visible_extent
from keras_maskrcnn.data.report import Records
from keras_maskrcnn.images.embedded import decoded
from keras_maskrcnn.masks.rle import region_to_rle, segmentation_to_rle
from keras_maskrcnn.masks.segmentation_checks import checked_polygon, shown
from keras_maskrcnn.utils.files import json_files
from keras_maskrcnn.utils.text import read_json

POLYGONS = ("polygon", "oriented_rectangle")


def load_labelme(
    folder: str | Path,
    image_folder: str | Path | None = None,
    class_names: Sequence[str] | None = None,
    masks: bool = True,
    check_images: bool = True,
    problems: list[str] | None = None,
) -> tuple[Records, list[str]]:
    """Read a folder of labelme's JSON files, with its subfolders.

    Polygons, rectangles, circles and masks are objects; shapes of the same label and group_id are parts of one.
    Points, lines and strips of lines have no area and are errors. Circles may reach outside the image. Files
    without shapes are images without objects. Images without a JSON file are left out, and the report says how many.

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
                _add_objects(builder, name, content["shapes"], size)
    note_unused(builder, {file.parent for file in used if file.suffix != ".json"}, used)
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


def _add_objects(builder: CocoBuilder, file: str, shapes: list[Any], size: Size) -> None:
    for numbers in _grouped(shapes):
        listed = " and ".join(map(str, numbers))
        name = f"{file}: shape {listed}"
        with collect_errors(builder.problems), error_prefix(name):
            parts = [_part(shapes[number], *size) for number in numbers]
            boxes = np.array([box for _, box in parts])
            box = [*boxes[:, :2].min(axis=0), *boxes[:, 2:].max(axis=0)]
            builder.add_object(
                name, shapes[numbers[0]]["label"], _merged([part for part, _ in parts], size), box
            )


def _grouped(shapes: list[Any]) -> list[list[int]]:
    """The numbers of the shapes that are one object together."""
    groups: dict[Any, list[int]] = {}
    for number, shape in enumerate(shapes):
        group = shape.get("group_id") if isinstance(shape, dict) else None
        key = (number,) if group is None else (str(shape.get("label")), str(group))
        groups.setdefault(key, []).append(number)
    return list(groups.values())


def _part(shape: Any, height: int, width: int) -> tuple[Any, list[float]]:
    """Return the segmentation and the box of a shape."""
    if not isinstance(shape, dict) or not isinstance(shape.get("label"), str) or not shape["label"]:
        raise ValueError(f'it has no "label"; got {shown(shape)}')
    kind, points = shape.get("shape_type", "polygon"), _points(shape.get("points"))
    if kind in POLYGONS:
        polygon = checked_polygon(points.ravel().tolist())
        return [polygon], [*points.min(axis=0), *points.max(axis=0)]
    if kind not in ("rectangle", "circle", "mask"):
        raise ValueError(
            f"its shape_type is {kind!r}; what can be an object is a polygon, rectangle, circle or mask"
        )
    if len(points) != 2:
        raise ValueError(f"a {kind} has 2 points; got {len(points)}")
    if kind == "circle":  # its centre, and a point on it
        (cx, cy), (x, y) = points.tolist()
        radius = math.hypot(x - cx, y - cy)
        polygon = ellipse(cx, cy, radius, radius)
        return [polygon], visible_extent(polygon, height, width)
    box = [*points.min(axis=0).tolist(), *points.max(axis=0).tolist()]
    if kind == "rectangle":
        return [rectangle(*box)], box
    rle = _mask(shape, points, height, width)
    return rle, mask_extent(segmentation_to_rle(rle, height, width))


def _points(points: Any) -> np.ndarray:
    rows = points if isinstance(points, list) else [None]
    if not all(isinstance(row, list) and len(row) == 2 and all(map(is_number, row)) for row in rows):
        raise ValueError(f'its "points" must be pairs of numbers; got {shown(points)}')
    return np.array(rows, float).reshape(-1, 2)


def _mask(shape: dict[str, Any], points: np.ndarray, height: int, width: int) -> dict[str, Any]:
    """The RLE of a shape that is a PNG of the pixels from its first point to its second."""
    if not isinstance(shape.get("mask"), str):
        raise ValueError('it has no "mask"')
    try:
        with Image.open(decoded(shape["mask"])) as image:
            part = np.asarray(image.convert("L")) > 0
    except Exception as error:  # whatever Pillow's decoders raise
        raise ValueError(f'its "mask" cannot be read: {error}') from None
    (left, top), (right, bottom) = points.astype(int).tolist()
    if part.shape != (bottom - top + 1, right - left + 1):
        raise ValueError(
            f"its mask has {part.shape[1]} x {part.shape[0]} pixels (width x height), between its points there are "
            f"{right - left + 1} x {bottom - top + 1}"
        )
    if left < 0 or top < 0 or right >= width or bottom >= height:
        raise ValueError(f"its mask reaches outside the image, {width} pixels wide and {height} high")
    return region_to_rle((part, left, top), height, width)


def _merged(parts: list[Any], size: Size) -> Any:
    """The segmentation of an object: its polygons, or an RLE if one of its parts is a mask."""
    if len(parts) == 1 and isinstance(parts[0], dict):
        return parts[0]
    if all(isinstance(part, list) for part in parts):
        return [polygon for part in parts for polygon in part]
    return coco_mask.merge([segmentation_to_rle(part, *size) for part in parts])


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
)
