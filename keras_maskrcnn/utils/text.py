"""Text and JSON as annotation tools write it: UTF-8, with or without a byte order mark."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any


def read_text(path: str | Path) -> str:
    """Return the content of a text file.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: it is a folder, or not UTF-8; the message leaves the file to the caller.
    """
    try:
        return Path(path).read_text(encoding="utf-8-sig")
    except FileNotFoundError:
        raise FileNotFoundError(f"{path}: there is no such annotation file") from None
    except IsADirectoryError:
        raise ValueError("this is a folder, not a file") from None
    except UnicodeDecodeError as error:
        raise ValueError(f"this is no text in UTF-8: {error}") from None


def read_json(path: str | Path, each_object: Callable[[dict[str, Any]], Any] | None = None) -> Any:
    """Return the content of a JSON file.

    Args:
        path: the file.
        each_object: what makes something else of each object as soon as it is read.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: it is no JSON; the message leaves the file to the caller.
    """
    text = read_text(path)
    try:
        return json.loads(text, object_hook=each_object)
    except (ValueError, RecursionError) as error:
        raise ValueError(f"this is no valid JSON: {error}") from None
