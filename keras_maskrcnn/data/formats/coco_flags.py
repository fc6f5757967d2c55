"""What marks an annotation as no single object to learn: a crowd, or one to ignore."""

from typing import Any

MANY_CROWDS = 0.2
"""Fraction of objects; of COCO's, 1% are crowds."""
IGNORED = ("ignore", "difficult")
"""What marks an object that is neither to be learned nor to be counted."""
_TRUE = (1, True, "1", "true", "True")
"""How tools write a ticked box among attributes, which may hold anything else as well."""


def flag(annotation: dict[str, Any], key: str) -> bool:
    """Return a flag of an annotation, False where it is missing.

    Raises:
        ValueError: it is no flag: "0" and "false" are texts, and would count as true.
    """
    value = annotation.get(key)
    if value is None:
        return False
    if isinstance(value, (bool, int, float)) and value in (0, 1):
        return bool(value)
    raise ValueError(f'"{key}" must be 0 or 1; got {value!r}')


def is_ignored(annotation: dict[str, Any]) -> bool:
    """Tell whether an annotation is marked "ignore" or "difficult", itself or among its "attributes".

    Raises:
        ValueError: its own mark is no flag.
    """
    attributes = annotation.get("attributes")
    ticked = attributes if isinstance(attributes, dict) else {}
    return any(flag(annotation, key) or is_ticked(ticked.get(key)) for key in IGNORED)


def is_ticked(value: Any) -> bool:
    """Tell whether the value of an attribute is that of a ticked box, as tools write it."""
    return any(value == true for true in _TRUE)


def many_crowds(crowds: int, objects: int) -> str | None:
    """Return a sentence about crowds where they are so many that single objects may be among them."""
    if not crowds or crowds < MANY_CROWDS * objects:
        return None
    return (
        f"{crowds} of {objects} objects are crowds, which are neither trained on nor missed (of COCO's, 1% are); "
        'single objects need "iscrowd": 0, also where their masks are RLE, and no mark as ignored or difficult'
    )
