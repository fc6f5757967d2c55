"""Opening an image: what a file claims to be is known, and bounded, before any of it is decoded."""

import io
import os
import struct
from collections.abc import Iterator
from typing import Any

from PIL import Image, UnidentifiedImageError

from keras_maskrcnn.images.embedded import embedded_image, is_embedded
from keras_maskrcnn.masks.segmentation_checks import check_pixels
from keras_maskrcnn.utils.files import check_regular

_NOT_OF_THIS_FORMAT = (SyntaxError, IndexError, TypeError, struct.error)
"""What Pillow's plugins raise for files of other formats, and `Image.open` passes over."""
_PARTS_OF_ONE = ("MPO", "PSD", "ICO", "ICNS")
"""Formats whose frames are previews, depth maps or layers of their first."""
_SUBFILE_TYPE, _REDUCED = 254, 1
"""TIFF 6.0: the tag NewSubfileType, and its bit of pages that are another in a lower resolution."""


def open_image(source: Any, any_size: bool = False) -> Image.Image:
    """Open an image with Pillow, of which only the header is read.

    Args:
        source: a path, also of a JSON file of labelme that embeds an image; the bytes of a file; or an open file.
        any_size: whether images beyond Pillow's limit (`PIL.Image.MAX_IMAGE_PIXELS`) are opened too.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: it is no regular file, or has too many pixels.
        OSError, SyntaxError and others: Pillow cannot read it.
    """
    if isinstance(source, (bytes, bytearray, memoryview)):
        image = _identified(io.BytesIO(source))
    elif hasattr(source, "read"):
        image = _identified(io.BytesIO(source.read()))
    else:
        check_regular(source)
        image = _identified(embedded_image(source) if is_embedded(source) else os.fspath(source))
    try:
        check_pixels(*reversed(image.size))
        if not any_size:
            _check_pillows_limit(image)
    except ValueError:
        image.close()
        raise
    return image


def page_count(image: Image.Image) -> int:
    """Return how many images a file holds: pages of a TIFF, frames of an animation.

    Previews and smaller copies of the first do not count.
    """
    frames = 1 if image.format in _PARTS_OF_ONE else getattr(image, "n_frames", 1)
    if frames == 1 or image.format != "TIFF":
        return frames
    return max(1, sum(not kind & _REDUCED for kind in _subfile_types(image, frames)))


def _subfile_types(image: Any, frames: int) -> Iterator[int]:
    try:
        for frame in range(frames):
            image.seek(frame)
            yield int(image.tag_v2.get(_SUBFILE_TYPE, 0))
    finally:
        image.seek(0)


def _identified(source: Any) -> Image.Image:
    """What `Image.open` does, without its limit of pixels, which is one for the whole process."""
    prefix = _first_bytes(source)
    for prepare in (Image.preinit, Image.init):
        prepare()
        for name in list(Image.ID):
            factory, accepts = Image.OPEN[name]
            accepted = accepts is None or accepts(prefix)
            if not accepted or isinstance(accepted, str):  # text says what Pillow was built without
                continue
            if not isinstance(source, str):
                source.seek(0)
            try:
                return factory(source, "")
            except _NOT_OF_THIS_FORMAT:
                continue
    raise UnidentifiedImageError("this is no image of a format that Pillow knows")


def _first_bytes(source: Any) -> bytes:
    if isinstance(source, io.BytesIO):
        return source.read(16)
    with open(source, "rb") as file:
        return file.read(16)


def _check_pillows_limit(image: Image.Image) -> None:
    width, height = image.size
    limit = Image.MAX_IMAGE_PIXELS
    if limit is not None and width * height > 2 * limit:
        raise ValueError(
            f"the image has {width} x {height} (width x height) pixels, more than Pillow's limit of {2 * limit}, which "
            "protects from small files that become huge; detect(tile=...) (--tile) reads such images, and everything "
            "else does once PIL.Image.MAX_IMAGE_PIXELS is set to half their pixels or None"
        )
