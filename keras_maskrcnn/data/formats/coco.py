"""COCO JSON: instances and person keypoints, as published or as annotation tools export them."""

import functools
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from keras_maskrcnn.data.checks import error_prefix
from keras_maskrcnn.data.formats.coco_content import read_content
from keras_maskrcnn.data.formats.coco_packing import AnnotationPacker
from keras_maskrcnn.data.formats.coco_writer import write_coco
from keras_maskrcnn.data.formats.format import Format
from keras_maskrcnn.data.report import Records
from keras_maskrcnn.utils.collector import collector_paused
from keras_maskrcnn.utils.text import read_json

ROBOFLOW = "_annotations.coco.json"
"""What Roboflow calls the file in the folder of each split."""


def load_coco(
    annotation_file: str | Path,
    image_folder: str | Path | None = None,
    class_names: Sequence[str] | None = None,
    masks: bool = True,
    check_images: bool = True,
    problems: list[str] | None = None,
) -> tuple[Records, list[str]]:
    """Read a COCO annotation file, check all of it, and report what cannot be used.

    What is broken is an error. Objects that are well-formed but of no use (without area inside the image,
    with an empty mask, or without a mask where others have one) are left out, counted in one log line and
    listed in `records.report`. Boxes that reach outside the image by at most 2 pixels are clipped; those that are
    missing are around the segmentation. Objects marked "ignore" or "difficult", also among "attributes", are read as
    crowds. An id may be a number in one list and text in another. Areas of 0 or beyond their box are measured instead.

    No classes, unless class_names has them, are categories without objects that are supercategories of others, and
    those called background, ignore, void or unlabeled that have no objects or stand between underscores, as in
    _background_. Categories of one name are one class.

    Args:
        annotation_file: JSON with "images", "annotations" and "categories"; or a folder with _annotations.coco.json, as
            Roboflow exports each split.
        image_folder: where the images' "file_name" are; left out: the folder of the file. A path of another system, a
            server or a URL leads to what most of its end leads to from there: C:\\s1\\a.png to s1/a.png or else a.png;
            %20 may stand for a blank, accents may be composed or not, and the case of the file's ending does not
            matter. Sizes that the file does not say are those of the images.
        class_names: names and order of the classes, as another split's load returned them; the categories are
            matched by name. Left out: the file's categories in the order of their ids, which may have gaps.
        masks: whether masks are wanted; without them the segmentations are not looked at.
        check_images: whether every image's header is read, to find missing files and wrong sizes.
        problems: a list to which what is broken is added, a message each, instead of an error at the first; broken
            objects, and images that are missing, unreadable or of another size, are then left out.

    Returns:
        (records, class names): a `Record` per image in the file's order, also of images without objects, with boxes
        [N, 4] float32, class ids [N] int32 of 1..K, and keypoints [N, J, 3] float32 where the file has any (zeros for
        objects without). `records` is a list that has a `report`, and each record knows its `class_names` and
        `keypoint_names`.

    Raises:
        FileNotFoundError: the annotation file is missing.
        ValueError: the file is no COCO annotation file; or, without `problems`, anything is broken: the message
            names file, image, annotation and reason of the first problem, and how many more there are.

    Example:
        ```python
        import keras_maskrcnn as km
        import json, tempfile
        from pathlib import Path
        import numpy as np
        from PIL import Image

        folder = Path(tempfile.mkdtemp())
        Image.fromarray(np.zeros((40, 60, 3), np.uint8)).save(folder / "a.png")
        annotation = {"id": 1, "image_id": 1, "category_id": 5, "bbox": [10, 5, 20, 30]}
        annotation["segmentation"] = [[10, 5, 30, 5, 30, 35]]
        content = {
            "images": [{"id": 1, "file_name": "a.png", "height": 40, "width": 60}],
            "annotations": [annotation],
            "categories": [{"id": 5, "name": "bolt"}],
        }
        (folder / "train.json").write_text(json.dumps(content))
        records, class_names = km.load_coco(folder / "train.json", folder)
        print(class_names, records[0].boxes)  # ['bolt'] [[10. 5. 30. 35.]]
        ```
    """
    path = _file(Path(annotation_file))
    source = str(path)
    image_folder = path.parent if image_folder is None else image_folder
    with collector_paused():
        with error_prefix(source):
            content = read_annotations(path)
        return read_content(content, source, image_folder, class_names, masks, check_images, problems)


def read_annotations(path: str | Path) -> dict[str, Any]:
    """Return the content of a COCO annotation file, of which only the outermost form is checked.

    Annotations with well-formed polygons are packed: `as_in_file` tells what they were.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: images, annotations or categories are no lists of objects.
    """
    packer = AnnotationPacker()
    content = read_json(path, packer)
    packer.finish()
    if isinstance(content, list):
        raise ValueError(
            "this is a list, as COCO results are; annotations have images, annotations, categories"
        )
    for key in ("images", "annotations", "categories"):
        rows = content.get(key) if isinstance(content, dict) else None
        if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
            raise ValueError(f'"{key}" must be a list of objects')
    if not content["images"]:
        raise ValueError('"images" is empty')
    return content


def _file(path: Path) -> Path:
    """The file that a path means: of a split of Roboflow's it is in the folder."""
    return path / ROBOFLOW if _has_images(path) and path.is_dir() else path


def _has_images(path: Path) -> bool:
    """Whether it is a split of Roboflow's, the folder or its file, beside which the images are."""
    return (path / ROBOFLOW).is_file() or path.name == ROBOFLOW


def _looks_like(path: Path, content: Any) -> bool:
    if path.is_dir():
        return _has_images(path)
    return isinstance(content, dict) and {"images", "annotations", "categories"} <= content.keys()


FORMAT = Format(
    "coco",
    "a JSON file of COCO",
    object_name="annotation",
    looks_like=_looks_like,
    load=load_coco,
    needs_images=True,
    has_images=_has_images,
    write=functools.partial(write_coco, save_images=True, polygons=True),  # which people can correct
    file_name="annotations.json",
)
