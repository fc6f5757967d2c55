"""What reading the image of a record shows: whether it can be read, its size, its orientation, its content."""

import hashlib
import os
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from keras_maskrcnn.data.formats.image_files import file_problems
from keras_maskrcnn.data.records import Record
from keras_maskrcnn.diagnostics.dataset.issues import Issue
from keras_maskrcnn.images.doubts import Brightness
from keras_maskrcnn.images.exif import is_upright
from keras_maskrcnn.images.io import header_sizes, read_with_doubts
from keras_maskrcnn.images.opening import open_image
from keras_maskrcnn.utils.files import file_hash


def image_issues(
    record: Record, channels: int, stretched: bool = False
) -> tuple[list[Issue], Brightness | None]:
    """Decode the image of a record, all of it.

    Args:
        channels: that the images need to have, as in `read_image`.
        stretched: whether its intensities are brought to 0..255, whatever they are.

    Returns:
        (what is wrong with it, how bright it is: None if it cannot be read, or that does not matter).
    """
    try:
        pixels, doubts = read_with_doubts(record.image, channels, any_range=stretched)
    except FileNotFoundError as error:
        return [Issue("error", "missing image", _reason(error, record))], None
    except ValueError as error:
        return [Issue("error", "unreadable image", _reason(error, record))], None
    told = {"several pages": doubts.pages, "transparent image": doubts.alpha}
    issues = [Issue("warning", kind, reason) for kind, reason in told.items() if reason is not None]
    return [*issues, *_frame_issues(record, pixels.shape[:2])], None if stretched else doubts.bright


def _frame_issues(record: Record, found: tuple[int, ...]) -> Iterator[Issue]:
    """What is wrong with the size and the orientation of an image of (height, width) pixels."""
    if found != (record.height, record.width):
        yield _wrong_size(record, found)
    elif len(record.boxes) and not _stored_upright(record.image):
        yield Issue(
            "note",
            "EXIF orientation",
            "its EXIF orientation rotates or flips the image, and its size cannot tell whether the annotations "
            "were made on the image as it is displayed, as they should be: look at it",
        )


def content_key(record: Record, by_path: bool = False) -> str:
    """Return what only images with the same content have in common: a hash of the file, or of the array.

    Args:
        by_path: whether files are told by where they are instead, without reading them.
    """
    if isinstance(record.image, np.ndarray):
        described = f"{record.image.dtype} {record.image.shape}".encode()
        return hashlib.sha1(described + record.image.tobytes()).hexdigest()
    if by_path or not Path(record.image).is_file():
        return os.path.abspath(record.image)
    return file_hash(record.image, "sha1")


def _reason(error: Exception, record: Record) -> str:
    return str(error).removeprefix(f"{record.image}: ") if isinstance(record.image, str) else str(error)


def _wrong_size(record: Record, found: tuple[int, ...]) -> Issue:
    height, width = record.height, record.width
    if isinstance(record.image, np.ndarray):
        reason = f"the image is {found[1]} x {found[0]} (width x height), but annotated as {width} x {height}"
        return Issue("error", "image size", reason)
    (problem,) = file_problems([(record.image, height, width)])
    _, stored = header_sizes(record.image)
    kind = "EXIF orientation" if (height, width) == stored else "image size"
    return Issue("error", kind, str(problem).removeprefix(f"{record.image}: "))


def _stored_upright(source: str | np.ndarray) -> bool:
    if isinstance(source, np.ndarray):
        return True
    try:
        with open_image(source, any_size=True) as image:
            return is_upright(image)
    except OSError:  # what Pillow does not read, .npy and some TIFFs, has no orientation
        return True
