"""Images that labelme has put into its annotation files."""

import base64
import binascii
import io
import json
import os
from pathlib import Path


def is_embedded(source: str | os.PathLike) -> bool:
    """Tell whether an image's path is that of an annotation file that holds it."""
    return Path(source).suffix.lower() == ".json"


def embedded_image(path: str | os.PathLike) -> io.BytesIO:
    """Return the encoded image (JPEG, PNG, ...) that is in a labelme file under "imageData", in base64.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: it is no JSON, or has no image.
    """
    content = json.loads(Path(path).read_text(encoding="utf-8-sig"))
    data = content.get("imageData") if isinstance(content, dict) else None
    if not isinstance(data, str) or not data:
        raise ValueError('there is no "imageData" in it, as labelme embeds images')
    return decoded(data)


def decoded(data: str) -> io.BytesIO:
    """Return what base64 text stands for.

    Raises:
        ValueError: it is no base64.
    """
    try:
        return io.BytesIO(base64.b64decode(data, validate=True))
    except (binascii.Error, ValueError) as error:
        raise ValueError(f"this is no base64: {error}") from None
