"""COCO's categories: which of them are classes, and of which names."""

import dataclasses
import itertools
import re
import unicodedata
from collections.abc import Collection, Sequence
from typing import Any

from keras_maskrcnn.data.checks import collect_errors, error_prefix
from keras_maskrcnn.utils.ids import find_id, plain_id

_NO_CLASS = re.compile(r"_*(background|ignored?|void|unlabell?ed)_*", re.IGNORECASE)
"""Names for what is no object. Underscores reserve them, as labelme does; without, they may well be of a class."""


@dataclasses.dataclass
class Categories:
    """The categories of a file, sorted."""

    names: list[str]
    """[K] class names."""
    classes: dict[int, int] = dataclasses.field(default_factory=dict)
    """The class id, 1..K, of each category id."""
    reserved: dict[int, str] = dataclasses.field(default_factory=dict)
    """The names of category ids that are no classes, whatever has them."""
    category_ids: list[int] = dataclasses.field(default_factory=list)
    """[K]: the file's id of each class; classes that the file lacks get the next ids above its largest."""
    notes: list[str] = dataclasses.field(default_factory=list)


def match_categories(
    rows: list[dict[str, Any]],
    annotations: list[dict[str, Any]],
    class_names: Sequence[str] | None,
    met: list[str],
) -> Categories:
    """Tell the classes of a file's categories.

    What is no class, unless class_names has it: a category without objects that is the supercategory of another (as
    Roboflow writes), and one that is named background, ignore, void or unlabeled, if it has no objects or underscores
    around its name. Categories of one name are one class.

    Args:
        rows: the categories.
        annotations: which of them have objects.
        class_names: as in `load_coco`.
        met: problems are added to it.

    Raises:
        ValueError: class_names has a name twice, or there is no class.
    """
    if class_names is not None and len(set(class_names)) < len(class_names):
        raise ValueError(f"class_names has a name twice: {list(class_names)}")
    found, notes = _read(rows, met)
    used = {find_id(found, annotation.get("category_id")) for annotation in annotations}
    groups = {number for number in found if number not in used and _is_group(number, found, class_names)}
    reserved = {
        number: row["name"]
        for number, row in found.items()
        if number not in groups and _is_reserved(row["name"], number in used, class_names)
    }
    left = {row: found[row]["name"] for row in found if row not in groups and row not in reserved}
    notes += _left_out(groups, reserved, found)
    names = (
        list(class_names) if class_names is not None else list(dict.fromkeys(left[k] for k in sorted(left)))
    )
    if not names:
        raise ValueError("none of its categories is a class" if found else '"categories" is empty')
    categories = Categories(names, reserved=reserved, notes=notes)
    _match(categories, left, used, met)
    return categories


def names_no_class(name: str) -> bool:
    """Tell whether a name is one for what is no object: background, ignore, void, unlabeled, also in underscores."""
    return _NO_CLASS.fullmatch(name.strip()) is not None


def near_name(name: str) -> str:
    """Return what names have in common that differ in case, blanks or the composition of accents alone."""
    visible = "".join(letter for letter in name if unicodedata.category(letter) != "Cf")
    return " ".join(unicodedata.normalize("NFKC", visible).casefold().split())


def _read(rows: list[dict[str, Any]], met: list[str]) -> tuple[dict[int, dict[str, Any]], list[str]]:
    """Return the categories by their ids, and notes."""
    found: dict[int, dict[str, Any]] = {}
    notes = []
    for row in rows:
        with collect_errors(met), error_prefix(f"category {row}"):
            number, name = _category_id(row.get("id")), row.get("name")
            if not isinstance(name, str) or not name.strip():
                raise ValueError(f'"name" must be a string; got {name!r}')
            if number in found and found[number]["name"] != name:
                raise ValueError(f"its id occurs twice, here and for {found[number]['name']}")
            if number in found:
                notes.append(f"category {number}, {name}, is listed twice")
            found.setdefault(number, row)
    return found, notes


def _category_id(value: Any) -> int:
    try:
        return int(plain_id(value))
    except ValueError:
        raise ValueError(f'"id" must be a whole number; got {value!r}') from None


def _is_group(number: int, found: dict[int, dict[str, Any]], class_names: Sequence[str] | None) -> bool:
    """Whether a category without objects is but a name for others together."""
    name = found[number]["name"]
    others = (row for other, row in found.items() if other != number)
    return name not in (class_names or ()) and any(row.get("supercategory") == name for row in others)


def _is_reserved(name: str, has_objects: bool, class_names: Sequence[str] | None) -> bool:
    text = name.strip()
    if not names_no_class(name) or name in (class_names or ()):
        return False
    return not has_objects or (text.startswith("_") and text.endswith("_"))


def _left_out(groups: set[int], reserved: dict[int, str], found: dict[int, dict[str, Any]]) -> list[str]:
    notes = []
    if groups:
        names = ", ".join(found[number]["name"] for number in sorted(groups))
        notes.append(f"no classes, but supercategories without objects: {names}")
    if reserved:
        notes.append(f"no classes by their names: {', '.join(reserved.values())}")
    return notes


def _match(categories: Categories, left: dict[int, str], used: Collection[Any], met: list[str]) -> None:
    """Set the class ids of the categories that are left, by name."""
    composed = {unicodedata.normalize("NFC", name): name for name in categories.names}
    ids: dict[str, list[int]] = {}
    for number, name in left.items():
        known = name if name in categories.names else composed.get(unicodedata.normalize("NFC", name), name)
        ids.setdefault(known, []).append(number)
    unknown = [name for name in ids if name not in categories.names]
    if unknown:
        met.append(
            f"categories {', '.join(_with_nearest(name, categories.names) for name in unknown)} are not among the "
            f"class_names {', '.join(categories.names)}"
        )
    for name, numbers in ids.items():
        if len(numbers) > 1:
            listed = " and ".join(map(str, numbers))
            categories.notes.append(f"categories {listed} are both named {name}, and are one class")
    free = itertools.count(max(left, default=0) + 1)
    for class_id, name in enumerate(categories.names, start=1):
        own = sorted(ids.get(name, ()), key=lambda number: (number not in used, number))
        categories.classes.update(dict.fromkeys(own, class_id))
        categories.category_ids.append(own[0] if own else next(free))
    absent = [name for name in categories.names if name not in ids]
    if absent:
        categories.notes.append(f"classes without a category in this file: {', '.join(absent)}")


def _with_nearest(name: str, names: Sequence[str]) -> str:
    near = next((other for other in names if near_name(other) == near_name(name)), None)
    return name if near is None else f"{name} (nearly {near!r})"
