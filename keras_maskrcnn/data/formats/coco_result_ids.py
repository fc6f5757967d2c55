"""Which images and categories of an annotation file the rows of COCO results mean."""

from collections import Counter
from collections.abc import Iterable
from pathlib import PureWindowsPath
from typing import Any

from keras_maskrcnn.utils.counted import counted
from keras_maskrcnn.utils.ids import find_id, plain_id


def match_rows(
    results: list[dict[str, Any]], images: list[dict[str, Any]], categories: list[dict[str, Any]]
) -> list[str]:
    """Set the ids of results to those of an annotation file, as far as names tell them.

    A row may name its file and category beside ids that count otherwise, and its image_id may be a file's name, or the
    text that `write_coco` wrote a number for. Where names tell nothing, ids stay as they are: the reader judges them.

    Returns:
        Notes of what was read by names.
    """
    ids = _ids(images)
    files = _unique((_name(image.get("file_name")), image) for image in images)
    texts = _unique((image.get("name"), image) for image in images)
    stems = _unique((_stem(image.get("file_name")), image) for image in images)
    names = _unique((category.get("name"), category) for category in categories)
    by_file = by_category = 0
    for row in results:
        own = find_id(ids, row.get("image_id"))
        named = files.get(_name(row.get("file_name")))
        if named is None and own is None:
            named = _first(row.get("image_id"), texts, files, stems)
        if named is not None and (own is None or find_id([own], named) is None):
            row["image_id"], by_file = named, by_file + 1
        category = names.get(str(row.get("category_name")))
        if category is not None and find_id([category], row.get("category_id")) is None:
            row["category_id"], by_category = category, by_category + 1
    notes = [f"{counted(by_file, 'detection')} by the names of their files"] if by_file else []
    return notes + (
        [f"{counted(by_category, 'detection')} by the names of their classes"] if by_category else []
    )


def _first(image_id: Any, texts: dict[str, Any], *files: dict[str, Any]) -> Any:
    """The image of a text that is its "name", its file's name or that without the ending."""
    if not isinstance(image_id, str):
        return None
    return texts.get(image_id, next((ids[_name(image_id)] for ids in files if _name(image_id) in ids), None))


def _ids(rows: list[dict[str, Any]]) -> set[int | str]:
    found = set()
    for row in rows:
        try:
            found.add(plain_id(row.get("id")))
        except ValueError:  # which the reader reports
            continue
    return found


def _unique(rows: Iterable[tuple[Any, dict[str, Any]]]) -> dict[str, Any]:
    """The ids of rows by names that no other row has."""
    named = [(name, row.get("id")) for name, row in rows if isinstance(name, str) and name]
    counts = Counter(name for name, _ in named)
    return {name: number for name, number in named if counts[name] == 1}


def _name(path: Any) -> str:
    return PureWindowsPath(path).name if isinstance(path, str) else ""


def _stem(path: Any) -> str:
    return PureWindowsPath(path).stem if isinstance(path, str) else ""
