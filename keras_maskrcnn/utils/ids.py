"""Ids of images and categories: whole numbers or text, however files and arrays hold them."""

import numbers
import os
import re
from collections.abc import Container
from typing import Any

_WHOLE = re.compile(r"0|-?[1-9][0-9]{0,18}")
"""Text that is a whole number and would be written like that again."""


def plain_id(value: Any) -> int | str:
    """Return an id as Python's int or str: 5 of numpy's 5 and of 5.0, which is the same number in JSON.

    Raises:
        ValueError: it is neither a whole number nor text or a path.
    """
    if type(value) is int or type(value) is str:  # nearly all of many
        return value
    if isinstance(value, (str, os.PathLike)):
        return str(value)
    is_real = isinstance(value, numbers.Real) and not isinstance(value, bool)
    if is_real and (isinstance(value, numbers.Integral) or float(value).is_integer()):
        return int(value)
    raise ValueError(f"an id must be a whole number or text; got {value!r}")


def find_id(known: Container[Any], value: Any) -> Any:
    """Return the id among those known that a value means: its equal, or else the number of a text or text of a number.

    Tools write ids as text in one list and as numbers in another; None if there is no such id.
    """
    try:
        own = plain_id(value)
    except ValueError:
        return None
    if own in known:
        return own
    other = str(own) if isinstance(own, int) else int(own) if _WHOLE.fullmatch(own) else None
    return other if other is not None and other in known else None
