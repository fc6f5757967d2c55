"""Class names that hardly mean what they say."""

from collections.abc import Iterator, Sequence

from keras_maskrcnn.data.formats.coco_categories import names_no_class, near_name
from keras_maskrcnn.diagnostics.dataset.issues import Issue


def class_name_issues(names: Sequence[str]) -> Iterator[Issue]:
    """Yield the classes whose names nearly are those of others, and those that are named like no object."""
    nearly: dict[str, list[str]] = {}
    for name in names:
        nearly.setdefault(near_name(name), []).append(name)
    for alike in nearly.values():
        if len(alike) > 1:
            listed = " and ".join(map(repr, alike))
            reason = f"{listed} are different classes, by case, blanks or the composition of accents alone"
            yield Issue("warning", "class names nearly alike", reason, count=len(alike))
    for name in filter(names_no_class, names):
        reason = f"{name!r} is a class to detect; what is no object needs no annotation"
        yield Issue("warning", "class named like no object", reason)
