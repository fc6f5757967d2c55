"""Folders of JSON files of labelme (https://github.com/wkentaro/labelme), one per image."""

from collections.abc import Sequence
from pathlib import Path, PureWindowsPath
from typing import Any

import numpy as np
import pycocotools.mask as coco_mask
from PIL import Image

from keras_maskrcnn.data.checks import collecting, naming
from keras_maskrcnn.data.coco_annotations import is_number
from keras_maskrcnn.data.draft import Draft, Size
from keras_maskrcnn.data.json_files import read_json
from keras_maskrcnn.data.report import Records
from keras_maskrcnn.data.shapes import ellipse, rectangle, visible_extent
from keras_maskrcnn.embedded import decoded
from keras_maskrcnn.masks import segmentation_to_rle
from keras_maskrcnn.segmentations import checked_polygon, shown

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
    without shapes are images without objects. Pictures without a JSON file are left out, and the report says how many.

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
    """
    draft = Draft(folder)
    files = _files(Path(folder))
    used = set()
    for file in files:
        name = file.name if file == Path(folder) else file.relative_to(folder).as_posix()
        with collecting(draft.problems), naming(name):
            content = read_json(file)
            image = _image_file(content, file, image_folder)
            used.add(image.resolve())
            size = draft.add_image(image, _size(content))
            if size is not None:
                _add_objects(draft, name, content["shapes"], size)
    ...
    return draft.records(class_names, masks, check_images, problems)
