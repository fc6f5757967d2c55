"""From COCO's content to records: the one set of checks that annotations of any format go through."""

import logging
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from keras_maskrcnn.data.checks import collect_errors, error_prefix
from keras_maskrcnn.data.formats.coco_annotations import Annotations, Wanted
from keras_maskrcnn.data.formats.coco_categories import match_categories
from keras_maskrcnn.data.formats.coco_flags import many_crowds
from keras_maskrcnn.data.formats.coco_images import ImageRow, images_by_id
from keras_maskrcnn.data.formats.image_files import file_problems
from keras_maskrcnn.data.report import LoadReport, Records
from keras_maskrcnn.utils.display import message

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
    warnings: Sequence[str] = (),
) -> tuple[Records, list[str]]:
    """Check the content of a COCO file and make its records; see `load_coco` for the other arguments and errors.

    Args:
        content: "images", "annotations" and "categories", lists of dicts, of which nothing else is known yet.
        source: what messages call the file.
        noun: what stands before the id of an annotation in messages.
        met: problems that a reader of another format has met already.
        notes, warnings: more for the report.
    """
    met, notes = list(met), list(notes)
    try:
        with error_prefix(source):
            categories = match_categories(content["categories"], content["annotations"], class_names, met)
    except ValueError:  # which what was met may be the reason of
        hand_over([f"{source}: {problem}" for problem in met], problems)
        raise
    count = _keypoint_count(content)
    keypoint_names = _keypoint_names(content["categories"], count, met)
    images = images_by_id(content["images"], image_folder, met, notes)
    unreadable = _unreadable(images) if check_images else {}
    met.extend(unreadable.values())
    names = categories.names
    wanted = Wanted(_has_masks(content) and masks, count, tuple(names), keypoint_names)
    reader = Annotations(images, categories, wanted, noun)
    reader.read(content["annotations"])
    met.extend(reader.problems)
    if noun:  # readers of other formats make crowds of what a person has flagged, and of nothing by mistake
        with collect_errors(met):
            _check_crowds(content["annotations"])
    hand_over([f"{source}: {problem}" for problem in met], problems)
    report = LoadReport(
        unusable=reader.unusable,
        category_ids=categories.category_ids,
        class_names=tuple(names),
        keypoint_names=keypoint_names,
        notes=[*notes, *categories.notes, *reader.notes(), *_notes(content, masks)],
        warnings=list(warnings),
    )
    found = zip(images, reader.records(), strict=True)
    records = Records([record for image_id, record in found if image_id not in unreadable], report)
    crowds = many_crowds(report.crowds, report.objects)
    report.notes += [] if crowds is None else [crowds]
    # Python shows warnings by default, and nobody should have to ask what was left out.
    loud = report.unusable or report.warnings or crowds
    _log.log(logging.WARNING if loud else logging.INFO, "%s: %s", source, report)
    return records, names


def hand_over(met: list[str], problems: list[str] | None) -> None:
    """Add the problems met to the caller's list, or raise the first where there is none."""
    met = [message(problem) for problem in met]
    if problems is not None:
        problems.extend(met)
    elif met:
        more = f" (and {len(met) - 1} more problems like this)" if len(met) > 1 else ""
        raise ValueError(met[0] + more)


def _unreadable(images: dict[Any, ImageRow]) -> dict[Any, str]:
    """What is wrong with the files of images, by the images' ids."""
    found = file_problems((image.path, image.height, image.width) for image in images.values())
    return {image_id: problem for image_id, problem in zip(images, found, strict=True) if problem}


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
        with error_prefix(f"category {category.get('name')}"):
            names = category.get("keypoints") or []
            if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
                raise ValueError(f'"keypoints" must be a list of names; got {names!r}')
            if names and len(set(names)) != count:
                raise ValueError(f'"keypoints" must be {count} different names, as objects have; got {names}')
        if names:
            known[tuple(names)] = str(category.get("name"))
    if len(known) > 1:
        raise ValueError(
            f"categories {' and '.join(known.values())} have different keypoints; a model has one kind"
        )
    return next(iter(known), ())


def _check_crowds(annotations: list[dict[str, Any]]) -> None:
    if annotations and all(annotation.get("iscrowd") in (1, True) for annotation in annotations):
        raise ValueError(
            f'all {len(annotations)} annotations have "iscrowd": 1, so there is nothing to learn from; '
            "single objects need 0, also where their masks are RLE"
        )


def _notes(content: dict[str, Any], masks: bool) -> list[str]:
    if masks and content["annotations"] and not _has_masks(content):
        return ["no segmentations: boxes only"]
    return []
