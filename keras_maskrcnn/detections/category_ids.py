"""The ids that a COCO file has for classes."""

from collections.abc import Sequence


def check_category_ids(category_ids: Sequence[int], class_names: Sequence[str]) -> None:
    """Raise a ValueError unless there is one id for each class; it names a class without."""
    for class_id, name in enumerate(class_names, start=1):
        if class_id > len(category_ids) or category_ids[class_id - 1] is None:
            raise _without_id(name, class_id)
    if len(category_ids) > len(class_names):
        raise ValueError(f"category_ids has {len(category_ids)} ids for {len(class_names)} classes")


def category_id(class_id: int, name: str, category_ids: Sequence[int] | None) -> int:
    """Return a file's id of a class, or the class's own if there are no ids.

    Raises:
        ValueError: it has none; the message names the class.
    """
    if category_ids is None:
        return class_id
    if class_id > len(category_ids) or category_ids[class_id - 1] is None:
        raise _without_id(name, class_id)
    return int(category_ids[class_id - 1])


def _without_id(name: str, class_id: int) -> ValueError:
    return ValueError(f"category_ids has no id for class {class_id}, {name!r}")
