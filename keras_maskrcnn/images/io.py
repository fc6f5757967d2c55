"""Pixels: the one way to read an image."""

import os
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from keras_maskrcnn.images.embedded import embedded_image, is_embedded
from keras_maskrcnn.images.exif import swaps_sides, upright

_LUMINOSITY = np.array([0.299, 0.587, 0.114], np.float32)  # ITU-R 601, the weights of Pillow's mode "L"


def read_image(source: Any, channels: int | None = 3) -> np.ndarray:
    """Read an image as it is displayed: decoded, rotated or flipped by its EXIF orientation, with `channels` channels.

    Files are decoded by Pillow (`.npy` by numpy; TIFFs that Pillow cannot read by tifffile, if installed); of a
    `.json` file of labelme, the image embedded in it.
    Gray is repeated to RGB, alpha is dropped, RGB becomes gray by ITU-R 601 luminosity when `channels` is 1.

    Args:
        source: a file path, an array [H, W] or [H, W, C] in RGB order, or a PIL image. Booleans become 0 and
            255, 16-bit values v become v / 257, other integers and floats must be 0..255.
        channels: number of channels wanted; the source must have as many, unless 1 or 3 are wanted. None: as many as
            an array or `.npy` has, and 3 of other files.

    Returns:
        [H, W, channels] uint8, or float32 for 16-bit and float sources; values 0..255 (any finite values for
        float sources with other than 1 or 3 channels).

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: the file is truncated or no image, or the array has an unusable shape or range.
    """
    name = _source_name(source)
    try:
        array = _decode(source, channels)
    except FileNotFoundError:
        raise FileNotFoundError(f"{name}: there is no such image file") from None
    except (
        Exception
    ) as error:  # Pillow's decoders raise whatever they meet: OSError, SyntaxError, struct.error, ...
        raise ValueError(f"{name}: the image cannot be read: {error}") from error
    try:
        return np.ascontiguousarray(_with_channels(_as_pixels(array, channels), channels))
    except ValueError as error:
        raise ValueError(f"{name}: {error}") from None


def image_size(source: Any) -> tuple[int, int]:
    """Return (height, width) in pixels of the image as displayed; of files only the header is read.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: the file is no image that can be read.
    """
    return header_sizes(source)[0]


def header_sizes(source: Any) -> tuple[tuple[int, int], tuple[int, int]]:
    """Return (height, width) as displayed and as stored; they differ where EXIF rotates it by 90 degrees.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: the file is no image that can be read.
    """
    if isinstance(source, np.ndarray):
        return source.shape[:2], source.shape[:2]
    try:
        if Path(source).suffix.lower() == ".npy":
            shape = np.load(source, mmap_mode="r").shape[:2]
            return shape, shape
        with _open(source) as image:
            width, height = image.size
            displayed = (width, height) if swaps_sides(image) else (height, width)
            return displayed, (height, width)
    except FileNotFoundError:
        raise FileNotFoundError(f"{source}: there is no such image file") from None
    except Exception as error:
        if _is_tiff(source):
            size = read_image(source, _tiff_channels(source)).shape[:2]
            return size, size
        raise ValueError(f"{source}: the image cannot be read: {error}") from error


def _source_name(source: Any) -> str:
    if isinstance(source, (str, os.PathLike)):
        return str(source)
    shape = getattr(source, "shape", None) or getattr(source, "size", None)
    return f"image of type {type(source).__name__} and shape {shape}"


def _decode(source: Any, channels: int | None) -> np.ndarray:
    if isinstance(source, Image.Image):
        return _pillow_array(source, channels)
    if not isinstance(source, (str, os.PathLike)):
        return np.asarray(source)
    if Path(source).suffix.lower() == ".npy":
        return np.load(source, allow_pickle=False)
    try:
        with _open(source) as image:
            return _pillow_array(image, channels)
    except FileNotFoundError:
        raise
    except Exception:
        if _is_tiff(source):
            return _read_tiff(source, channels)
        raise


def _open(source: Any) -> Image.Image:
    return Image.open(embedded_image(source) if is_embedded(source) else source)


def _pillow_array(image: Image.Image, channels: int | None) -> np.ndarray:
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


def _is_tiff(source: Any) -> bool:
    return Path(source).suffix.lower() in (".tif", ".tiff")


def _read_tiff(source: Any, channels: int | None) -> np.ndarray:
    array = _tifffile(source).imread(source)
    planes_first = array.ndim == 3 and array.shape[0] == channels and array.shape[2] != channels
    return np.moveaxis(array, 0, 2) if planes_first else array


def _tiff_channels(source: Any) -> int:
    with _tifffile(source).TiffFile(source) as file:
        return file.pages[0].samplesperpixel


def _tifffile(source: Any) -> Any:
    try:
        import tifffile
    except ImportError:
        raise ValueError("Pillow cannot read this TIFF; `pip install tifffile`, or save it as .npy") from None
    return tifffile


def _as_pixels(array: np.ndarray, channels: int | None) -> np.ndarray:
    """Bring any number type to uint8 or float32 on the scale 0..255."""
    if array.dtype == np.uint8:
        return array
    if array.dtype == np.bool_:
        return array.astype(np.uint8) * np.uint8(255)
    if array.dtype == np.uint16:
        return array.astype(np.float32) / 257
    if np.issubdtype(array.dtype, np.integer):
        if array.size and (array.min() < 0 or array.max() > 255):
            raise ValueError(f"{array.dtype} pixels must be 0..255; got {array.min()}..{array.max()}")
        return array.astype(np.uint8)
    if not np.issubdtype(array.dtype, np.floating):
        raise ValueError(f"pixels must be numbers; got an array of {array.dtype}")
    if not np.isfinite(array).all():
        raise ValueError("the image has pixels that are NaN or infinite")
    if channels in (1, 3) and array.size:
        _check_float_range(array.min(), array.max())
    return array.astype(np.float32)


def _check_float_range(low: np.floating, high: np.floating) -> None:
    if low < 0 or high > 255:
        raise ValueError(f"float pixels must be 0..255, in RGB order and not normalised; got {low}..{high}")
    if 0 < high <= 1:
        raise ValueError(f"float pixels must be 0..255; the largest here is {high}: multiply by 255")


def _with_channels(array: np.ndarray, channels: int | None) -> np.ndarray:
    if array.ndim not in (2, 3) or 0 in array.shape:
        raise ValueError(f"an image must be [H, W] or [H, W, C] and not empty; got shape {array.shape}")
    array = array.reshape(*array.shape[:2], -1)
    found = array.shape[2]
    if channels is None or found == channels:
        return array
    if channels == 3 and found in (1, 2):
        return np.repeat(array[..., :1], 3, axis=2)
    if channels == 3 and found == 4:
        return array[..., :3]
    if channels == 1 and found == 2:
        return array[..., :1]
    if channels == 1 and found in (3, 4):
        return _luminosity(array[..., :3])
    raise ValueError(
        f"{channels} channels are wanted, shape [H, W, {channels}]; the image has shape {array.shape}"
    )


def _luminosity(array: np.ndarray) -> np.ndarray:
    if array.dtype == np.uint8:
        return np.asarray(Image.fromarray(np.ascontiguousarray(array)).convert("L"))[..., None]
    return (array @ _LUMINOSITY)[..., None]
