"""From COCO's content to records: the one set of checks that annotations of any format go through."""

import itertools
import logging
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from keras_maskrcnn.data.checks import collect_errors, error_prefix
from keras_maskrcnn.data.formats.coco_annotations import Annotations, ImageRow, Wanted, is_number
from keras_maskrcnn.data.formats.image_files import file_problems
from keras_maskrcnn.data.report import LoadReport, Records

_log = logging.getLogger(__name__)


def read_content(
    content: dict[str, Any],
    source: str,
    image_folder: str | Path = "",
    class_names: Sequence[str] | None = None,
    masks: bool = True,
    check_images: bool = True,
    problems: list[str] | None = None,
    noun: str = "annotation ",
    met: Sequence[str] = (),
    notes: Sequence[str] = (),
) -> tuple[Records, list[str]]:
    """Check the content of a COCO file and make its records; see `load_coco` for the other arguments and errors.

    Args:
        content: "images", "annotations" and "categories", lists of dicts, of which nothing else is known yet.
        source: what messages call the file.
        noun: what stands before the id of an annotation in messages.
        met: problems that a reader of another format has met already.
        notes: more for the report.
    """
    met = list(met)
    with error_prefix(source):
        classes, names = _match_categories(content["categories"], class_names, met)
    count = _keypoint_count(content)
    keypoint_names = _keypoint_names(content["categories"], count, met)
    images = _images_by_id(content["images"], Path(image_folder), met)
    unreadable = _unreadable(images) if check_images else {}
    met.extend(unreadable.values())
    wanted = Wanted(_has_masks(content) and masks, count, tuple(names), keypoint_names)
    reader = Annotations(images, classes, wanted, noun)
    reader.read(content["annotations"])
    met.extend(reader.problems)
    with collect_errors(met):
        _check_crowds(content["annotations"])
    hand_over([f"{source}: {problem}" for problem in met], problems)
    report = LoadReport(
        unusable=reader.unusable,
        category_ids=_category_ids(classes, len(names)),
        class_names=tuple(names),
        keypoint_names=keypoint_names,
        notes=[*notes, *_notes(content, masks, classes, names)],
    )
    usable = [image for image_id, image in images.items() if image_id not in unreadable]
    records = Records([reader.record(image) for image in usable], report)
    # Python shows warnings by default, and nobody should have to ask what was left out.
    _log.log(logging.WARNING if report.unusable else logging.INFO, "%s: %s", source, report)
    return records, names


def hand_over(met: list[str], problems: list[str] | None) -> None:
    """Add the problems met to the caller's list, or raise the first where there is none."""
    if problems is not None:
        problems.extend(met)
    elif met:
        more = f" (and {len(met) - 1} more problems like this)" if len(met) > 1 else ""
        raise ValueError(met[0] + more)


def _match_categories(
    categories: list[dict[str, Any]], class_names: Sequence[str] | None, met: list[str]
) -> tuple[dict[Any, int], list[str]]:
    """Return the class id of each category id, and the class names."""
    found: dict[Any, str] = {}
    for category in categories:
        with error_prefix(f"category {category}"):
            category_id, name = _whole(category, "id"), category.get("name")
            if not isinstance(name, str):
                raise ValueError(f'"name" must be a string; got {name!r}')
            if category_id in found or name in found.values():
                raise ValueError("its id or name occurs twice")
            found[category_id] = name
    names = list(class_names) if class_names is not None else [found[key] for key in sorted(found)]
    if len(set(names)) < len(names):
        raise ValueError(f"class_names has a name twice: {names}")
    if not names:
        raise ValueError('"categories" is empty')
    unknown = [name for name in found.values() if name not in names]
    if unknown:
        met.append(f"categories {', '.join(unknown)} are not among the class_names {', '.join(names)}")
    known = {category_id: name for category_id, name in found.items() if name in names}
    return {category_id: names.index(name) + 1 for category_id, name in known.items()}, names


def _category_ids(classes: dict[Any, int], count: int) -> list[int]:
    """The file's id of each of `count` classes; classes that the file lacks get the next ids above its largest."""
    ids = {class_id: category_id for category_id, class_id in classes.items()}
    free = itertools.count(max(classes, default=0) + 1)
    return [ids[class_id] if class_id in ids else next(free) for class_id in range(1, count + 1)]


def _images_by_id(rows: list[dict[str, Any]], folder: Path, met: list[str]) -> dict[Any, ImageRow]:
    images: dict[Any, ImageRow] = {}
    for row in rows:
        with collect_errors(met), error_prefix(f"image {row.get('file_name', row.get('id'))}"):
            image = _image(row, folder)
            if image.image_id in images:
                raise ValueError(f"its id {image.image_id} occurs twice")
            images[image.image_id] = image
    return images


def _image(row: dict[str, Any], folder: Path) -> ImageRow:
    image_id, file_name = row.get("id"), row.get("file_name")
    if not isinstance(image_id, (int, str)):
        raise ValueError(f'"id" must be a number or a string; got {image_id!r}')
    if not isinstance(file_name, str) or not file_name:
        raise ValueError('it has no "file_name"')
    height, width = _whole(row, "height"), _whole(row, "width")
    if height < 1 or width < 1:
        raise ValueError(f"its height {height} and width {width} must be positive")
    return ImageRow(image_id, str(folder / file_name), height, width)


def _unreadable(images: dict[Any, ImageRow]) -> dict[Any, str]:
    """What is wrong with the files of images, by the images' ids."""
    found = file_problems((image.path, image.height, image.width) for image in images.values())
    return {image_id: problem for image_id, problem in zip(images, found, strict=True) if problem}


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
    counts = Counter(len(values) // 3 for values in lists if isinstance(values, list) and values)
    return max(counts, key=lambda count: counts[count], default=0)  # the first of those that occur most


def _keypoint_names(categories: list[dict[str, Any]], count: int, met: list[str]) -> tuple[str, ...]:
    """What the categories call their keypoints; nothing where they do not say, or not all the same."""
    with collect_errors(met):
        return _one_set_of_names(categories, count)
    return ()


def _one_set_of_names(categories: list[dict[str, Any]], count: int) -> tuple[str, ...]:
    known: dict[tuple[str, ...], str] = {}
    for category in categories if count else []:
        with error_prefix(f"category {category['name']}"):
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
