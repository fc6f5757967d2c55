"""COCO JSON: instances and person keypoints, as published or as annotation tools export them."""

import itertools
import json
import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from keras_maskrcnn.data.checks import naming
from keras_maskrcnn.data.coco_annotations import Annotations, ImageRow, is_number
from keras_maskrcnn.data.image_files import file_problems
from keras_maskrcnn.data.report import LoadReport, Records

_log = logging.getLogger(__name__)


def load_coco(
    annotation_file: str | Path,
    image_folder: str | Path,
    class_names: Sequence[str] | None = None,
    masks: bool = True,
    check_images: bool = True,
) -> tuple[Records, list[str]]:
    """Read a COCO annotation file, check all of it, and report what cannot be used.

    What is broken is an error. Objects that are well-formed but of no use (without area inside the image,
    with an empty mask, or without a mask where others have one) are left out, counted in one log line and
    listed in `records.report`. Boxes that reach outside the image by at most 2 pixels are clipped.

    Args:
        annotation_file: JSON with "images", "annotations" and "categories".
        image_folder: where the images' "file_name" are.
        class_names: names and order of the classes, as another split's load returned them; the categories are
            matched by name. Left out: the file's categories in the order of their ids, which may have gaps.
        masks: whether masks are wanted; without them the segmentations are not looked at.
        check_images: whether every image's header is read, to find missing files and wrong sizes.

    Returns:
        (records, class names): one record per image in the file's order, also of images without objects, with
        the class ids 1..K, and keypoints [N, J, 3] where the file has any (zeros for objects without), whose names
        are `records.report.keypoint_names`.

    Raises:
        FileNotFoundError: the annotation file is missing.
        ValueError: anything is broken; the message names file, image, annotation and reason of the first
            problem, and how many more there are.
    """
    with naming(str(annotation_file)):
        content = _read_json(annotation_file)
        classes, names = _match_categories(content["categories"], class_names)
        images = _images_by_id(content["images"], Path(image_folder))
        files = [(image.path, image.height, image.width) for image in images.values()]
        problems = file_problems(files) if check_images else []
        count = _keypoint_count(content)
        keypoint_names = _keypoint_names(content["categories"], count)
        reader = Annotations(images, classes, _has_masks(content) and masks, count)
        reader.read(content["annotations"])
        _raise_first([*problems, *reader.problems])
        _check_crowds(content["annotations"])
        report = LoadReport(
            unusable=reader.unusable,
            category_ids=_category_ids(classes, len(names)),
            keypoint_names=keypoint_names,
            notes=_notes(content, masks, classes, names),
        )
        records = Records([reader.record(image) for image in images.values()], report)
    # Python shows warnings by default, and nobody should have to ask what was left out.
    _log.log(logging.WARNING if report.unusable else logging.INFO, "%s: %s", annotation_file, report)
    return records, names


def _read_json(path: str | Path) -> dict[str, Any]:
    try:
        content = json.loads(Path(path).read_text(encoding="utf-8"))
    except ValueError as error:
        raise ValueError(f"this is no valid JSON: {error}") from None
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


def _match_categories(
    categories: list[dict[str, Any]], class_names: Sequence[str] | None
) -> tuple[dict[Any, int], list[str]]:
    """Return the class id of each category id, and the class names."""
    found: dict[Any, str] = {}
    for category in categories:
        with naming(f"category {category}"):
            category_id, name = _whole(category, "id"), category.get("name")
            if not isinstance(name, str):
                raise ValueError(f'"name" must be a string; got {name!r}')
            if category_id in found or name in found.values():
                raise ValueError("its id or name occurs twice")
            found[category_id] = name
    names = list(class_names) if class_names is not None else [found[key] for key in sorted(found)]
    if len(set(names)) < len(names):
        raise ValueError(f"class_names has a name twice: {names}")
    unknown = [name for name in found.values() if name not in names]
    if unknown:
        raise ValueError(f"categories {', '.join(unknown)} are not among the class_names {', '.join(names)}")
    if not names:
        raise ValueError('"categories" is empty')
    return {category_id: names.index(name) + 1 for category_id, name in found.items()}, names


def _category_ids(classes: dict[Any, int], count: int) -> list[int]:
    """The file's id of each of `count` classes; classes that the file lacks get the next ids above its largest."""
    ids = {class_id: category_id for category_id, class_id in classes.items()}
    free = itertools.count(max(classes, default=0) + 1)
    return [ids[class_id] if class_id in ids else next(free) for class_id in range(1, count + 1)]


def _images_by_id(rows: list[dict[str, Any]], folder: Path) -> dict[Any, ImageRow]:
    images: dict[Any, ImageRow] = {}
    for row in rows:
        with naming(f"image {row.get('file_name', row.get('id'))}"):
            image_id, file_name = row.get("id"), row.get("file_name")
            if not isinstance(image_id, (int, str)):
                raise ValueError(f'"id" must be a number or a string; got {image_id!r}')
            if image_id in images:
                raise ValueError(f"its id {image_id} occurs twice")
            if not isinstance(file_name, str) or not file_name:
                raise ValueError('it has no "file_name"')
            height, width = _whole(row, "height"), _whole(row, "width")
            if height < 1 or width < 1:
                raise ValueError(f"its height {height} and width {width} must be positive")
            images[image_id] = ImageRow(image_id, str(folder / file_name), height, width)
    return images


def _whole(row: dict[str, Any], key: str) -> int:
    value: Any = row.get(key)
    if not is_number(value) or value != int(value):
        raise ValueError(f'"{key}" must be a whole number; got {value!r}')
    return int(value)


def _has_masks(content: dict[str, Any]) -> bool:
    return any(annotation.get("segmentation") for annotation in content["annotations"])


def _keypoint_count(content: dict[str, Any]) -> int:
    """Number of keypoints per object, 0 where the file has none."""
    lists = (annotation.get("keypoints") for annotation in content["annotations"])
    return next((len(values) // 3 for values in lists if isinstance(values, list) and values), 0)


def _keypoint_names(categories: list[dict[str, Any]], count: int) -> tuple[str, ...]:
    """What the categories call their keypoints: all of them the same, or nothing where they do not say."""
    known: dict[tuple[str, ...], str] = {}
    for category in categories if count else []:
        with naming(f"category {category['name']}"):
            names = category.get("keypoints") or []
            if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
                raise ValueError(f'"keypoints" must be a list of names; got {names!r}')
            if names and len(set(names)) != count:
                raise ValueError(f'"keypoints" must be {count} different names, as objects have; got {names}')
        if names:
            known[tuple(names)] = category["name"]
    if len(known) > 1:
        raise ValueError(
            f"categories {' and '.join(known.values())} have different keypoints; a model has one kind"
        )
    return next(iter(known), ())


def _raise_first(problems: list[str]) -> None:
    if problems:
        more = f" (and {len(problems) - 1} more problems like this)" if len(problems) > 1 else ""
        raise ValueError(problems[0] + more)


def _check_crowds(annotations: list[dict[str, Any]]) -> None:
    if annotations and all(annotation.get("iscrowd") for annotation in annotations):
        raise ValueError(
            f'all {len(annotations)} annotations have "iscrowd": 1, so there is nothing to learn from; '
            "single objects need 0, also where their masks are RLE"
        )


def _notes(content: dict[str, Any], masks: bool, classes: dict[Any, int], names: list[str]) -> list[str]:
    notes = []
    if masks and content["annotations"] and not _has_masks(content):
        notes.append("no segmentations: boxes only")
    absent = [name for index, name in enumerate(names) if index + 1 not in classes.values()]
    if absent:
        notes.append(f"classes without a category in this file: {', '.join(absent)}")
    return notes
