"""Decoding: what a file, an array or a PIL image holds, in its own numbers."""

import os
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from PIL import Image

from keras_maskrcnn.images.exif import upright, upright_pixels
from keras_maskrcnn.images.opening import open_image, page_count
from keras_maskrcnn.masks.segmentation_checks import check_pixels
from keras_maskrcnn.utils.files import check_regular

_DEEP_COLORS = ("RGB;16B", "RGBA;16B", "LA;16B")
"""How Pillow calls PNGs of 16 bits of which it would drop 8."""


class Decoded(NamedTuple):
    """The content of an image."""

    array: np.ndarray
    """[H, W] or [H, W, C] of any number type, upright."""
    pages: int
    """Images in the file, of which this is the first; 1 for what is no file, such as the current frame of PIL's."""
    transparent: bool = False
    """Whether an alpha channel that was dropped said of some pixel that it is not opaque."""


def decode(source: Any, channels: int | None, any_size: bool = False) -> Decoded:
    """Return the pixels of a path, bytes, an open file, an array or a PIL image.

    Args:
        channels: number of channels wanted; None: those of an array or `.npy`, 3 of others.
        any_size: as in `open_image`.

    Raises:
        FileNotFoundError: there is no such file.
        Exception: it cannot be decoded; decoders raise whatever they meet.
    """
    if isinstance(source, Image.Image):
        return Decoded(_pillow_array(source, channels), 1)
    if not is_path(source) and not is_encoded(source):
        return Decoded(np.asarray(source), 1)
    if is_path(source) and Path(source).suffix.lower() == ".npy":
        check_regular(source)
        check_pixels(*npy_shape(source)[:2])
        return Decoded(np.load(source, allow_pickle=False), 1)
    try:
        with open_image(source, any_size) as image:
            pages = page_count(image)
            return Decoded(_pillow_array(image, channels), pages, _drops_transparency(image, channels))
    except FileNotFoundError:
        raise
    except Exception:
        if is_tiff(source):
            return _read_tiff(source, channels)
        raise


def is_path(source: Any) -> bool:
    """Tell whether an image is given as the path of its file."""
    return isinstance(source, (str, os.PathLike))


def is_encoded(source: Any) -> bool:
    """Tell whether an image is given as the bytes of its file, or as an open file."""
    return isinstance(source, (bytes, bytearray, memoryview)) or hasattr(source, "read")


def npy_shape(path: str | os.PathLike) -> tuple[int, ...]:
    """Return the shape in the header of a `.npy` file.

    Raises:
        ValueError: it is no image, which has two or three axes.
    """
    shape = np.load(path, mmap_mode="r", allow_pickle=False).shape
    if len(shape) not in (2, 3):
        raise ValueError(f"an image must be [H, W] or [H, W, C]; its array has shape {shape}")
    return shape


def is_tiff(source: Any) -> bool:
    """Tell whether a source is a file named as TIFFs are."""
    return is_path(source) and Path(source).suffix.lower() in (".tif", ".tiff")


def tiff_size(path: str | os.PathLike) -> tuple[int, int]:
    """Return (height, width) from the header of a TIFF that Pillow does not know."""
    with _tifffile(path) as file:
        return file.pages[0].imagelength, file.pages[0].imagewidth


def _pillow_array(image: Image.Image, channels: int | None) -> np.ndarray:
    if image.format == "PNG" and any(tile[3] in _DEEP_COLORS for tile in getattr(image, "tile", ())):
        return _deep_png(image, channels)
    image = upright(image)
    if image.mode.startswith("I;16"):
        return np.asarray(image).astype(np.uint16)
    if image.mode == "I":
        values = np.asarray(image)
        if values.min() < 0 or values.max() > 65535:
            raise ValueError(f"32-bit values {values.min()}..{values.max()} are outside 0..65535")
        return values.astype(np.uint16)
    if image.mode == "F" or (channels not in (1, 3) and len(image.getbands()) == channels):
        return np.asarray(image)
    return np.asarray(image.convert("L" if channels == 1 else "RGB"))


def _drops_transparency(image: Image.Image, channels: int | None) -> bool:
    if channels not in (None, 1, 3) or "A" not in image.getbands():
        return False
    return bool(np.asarray(image.getchannel("A")).min(initial=255) < 255)


def _deep_png(image: Any, channels: int | None) -> np.ndarray:
    """The pixels [H, W, C] uint16 of a PNG of more than one channel of 16 bits."""
    # Here, because the size of an image is asked for before TensorFlow is loaded.
    import tensorflow as tf

    image.fp.seek(0)
    pixels = upright_pixels(image, tf.io.decode_png(image.fp.read(), dtype=tf.uint16).numpy())
    if channels is None:
        return np.repeat(pixels[..., :1], 3, axis=2) if pixels.shape[2] < 3 else pixels[..., :3]
    return pixels


def _read_tiff(source: Any, channels: int | None) -> Decoded:
    check_regular(source)
    check_pixels(*tiff_size(source))
    with _tifffile(source) as file:
        pages = [page for page in file.pages if not page.is_reduced] or list(file.pages[:1])
        if len(pages) == channels and channels not in (1, 3):  # a page for each band
            return Decoded(np.stack([page.asarray() for page in pages], axis=2), 1)
        array = pages[0].asarray()
    planes_first = array.ndim == 3 and array.shape[0] == channels and array.shape[2] != channels
    return Decoded(np.moveaxis(array, 0, 2) if planes_first else array, len(pages))


def _tifffile(path: Any) -> Any:
    try:
        import tifffile
    except ImportError:
        raise ValueError("Pillow cannot read this TIFF; `pip install tifffile`, or save it as .npy") from None
    return tifffile.TiffFile(path)
