"""JSON as annotation tools write it."""

import json
from pathlib import Path
from typing import Any

from keras_maskrcnn.files import read_text


def read_json(path: str | Path) -> Any:
    """Return the content of a JSON file in UTF-8, with or without a byte order mark.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: it is no JSON; the message leaves the file to the caller.
    """
    try:
        return json.loads(read_text(path))
    except FileNotFoundError:
        raise FileNotFoundError(f"{path}: there is no such annotation file") from None
    except (ValueError, RecursionError) as error:
        raise ValueError(f"this is no valid JSON: {error}") from None
