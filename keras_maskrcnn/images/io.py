"""Pixels: the one way to read an image."""

import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from keras_maskrcnn.images.decoding import decode, is_encoded, is_path, is_tiff, npy_shape, tiff_size
from keras_maskrcnn.images.doubts import Brightness, Doubts, alpha_doubt, brightness, pages_doubt
from keras_maskrcnn.images.exif import swaps_sides
from keras_maskrcnn.images.opening import open_image
from keras_maskrcnn.images.stretch import stretch_intensities
from keras_maskrcnn.masks.segmentation_checks import check_pixels
from keras_maskrcnn.utils.files import check_regular

_LUMINOSITY = np.array([0.299, 0.587, 0.114], np.float32)  # ITU-R 601, the weights of Pillow's mode "L"


def read_image(
    source: Any, channels: int | None = 3, any_size: bool = False, percentiles: Sequence[float] = ()
) -> np.ndarray:
    """Read an image as it is displayed: decoded, rotated or flipped by its EXIF orientation, with `channels` channels.

    Files are decoded by Pillow (`.npy` by numpy; TIFFs that Pillow cannot read by tifffile, if installed; PNGs of
    several channels of 16 bits by TensorFlow); of a `.json` file of labelme, the image embedded in it.
    Gray is repeated to RGB, alpha is dropped, RGB becomes gray by ITU-R 601 luminosity when `channels` is 1.
    A warning says that a file has several pages, of which only the first is read, that pixels are not opaque, or that
    the image is nearly black, as 12-bit values are among those of 16 bits.

    Args:
        source: a file path, the bytes of a file or an open file, an array [H, W] or [H, W, C] in RGB order, or a PIL
            image. Booleans become 0 and 255, 16-bit values v become v / 257, other integers and floats must be 0..255.
        channels: number of channels wanted; the source must have as many, unless 1 or 3 are wanted. None: as many as
            an array or `.npy` has, and 3 of other files.
        any_size: whether files of more pixels than Pillow's limit are read too, up to 2^31 - 1.
        percentiles: (low, high) of each channel that become 0 and 255, as `stretch_intensities` does. Then floats
            and the integers of arrays may be any finite ones, and there is no warning of black images.

    Returns:
        [H, W, channels] uint8, or float32 for 16-bit, float and stretched sources; values 0..255 (any finite values for
        float sources with other than 1 or 3 channels).

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: the file is truncated, too large or no image, or the array has an unusable shape or range.
    """
    pixels, doubts = read_with_doubts(source, channels, any_size, any_range=bool(percentiles))
    if doubts.pages is not None:
        warnings.warn(f"{source_name(source)}: {doubts.pages}", stacklevel=2)
    # Without the image's name, so that Python shows it once and not for each image of a dataset.
    if doubts.bright.doubt_of_one is not None and not percentiles:
        warnings.warn(f"An image may be read too dark: {doubts.bright.doubt_of_one}", stacklevel=2)
    if doubts.alpha is not None:
        warnings.warn(f"An image may be read otherwise than it looks: {doubts.alpha}", stacklevel=2)
    return stretch_intensities(pixels, percentiles)


def read_with_doubts(
    source: Any, channels: int | None = 3, any_size: bool = False, any_range: bool = False
) -> tuple[np.ndarray, Doubts]:
    """Return what `read_image` does, and what may be odd about it.

    With `any_range`, floats and integers of more than 16 bits may be any finite values, to be stretched.
    """
    name = source_name(source)
    try:
        decoded = decode(source, channels, any_size)
    except FileNotFoundError:
        raise FileNotFoundError(f"{name}: there is no such image file") from None
    except (
        Exception
    ) as error:  # Pillow's decoders raise whatever they meet: OSError, SyntaxError, struct.error, ...
        raise ValueError(f"{name}: the image cannot be read: {error}") from error
    try:
        pixels = np.ascontiguousarray(
            _with_channels(_as_pixels(decoded.array, channels, any_range), channels)
        )
    except ValueError as error:
        raise ValueError(f"{name}: {error}") from None
    # Of other channels than gray and colour nobody knows the range.
    bright = brightness(decoded.array) if channels in (None, 1, 3) else Brightness(0, 255)
    return pixels, Doubts(bright, pages_doubt(decoded), alpha_doubt(decoded))


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
        if source.ndim not in (2, 3):
            raise ValueError(f"{source_name(source)}: an image must be [H, W] or [H, W, C]")
        return source.shape[:2], source.shape[:2]
    try:
        if is_path(source) and Path(source).suffix.lower() == ".npy":
            check_regular(source)
            height, width = npy_shape(source)[:2]
            check_pixels(height, width)
            return (height, width), (height, width)
        with open_image(source, any_size=True) as image:
            width, height = image.size
            displayed = (width, height) if swaps_sides(image) else (height, width)
            return displayed, (height, width)
    except FileNotFoundError:
        raise FileNotFoundError(f"{source}: there is no such image file") from None
    except Exception as error:
        size = _size_of_other_tiff(source)
        if size is None:
            raise ValueError(f"{source_name(source)}: the image cannot be read: {error}") from error
        return size, size


def _size_of_other_tiff(source: Any) -> tuple[int, int] | None:
    """The size of a TIFF that Pillow does not read, if tifffile reads it."""
    if not is_tiff(source):
        return None
    try:
        check_regular(source)
        height, width = tiff_size(source)
        check_pixels(height, width)
    except Exception as error:  # tifffile raises whatever it meets, too
        raise ValueError(f"{source}: the image cannot be read: {error}") from error
    return height, width


def source_name(source: Any) -> str:
    """Return what messages call an image: its path, or its type and size."""
    if is_path(source):
        return str(source)
    if is_encoded(source) or isinstance(source, (list, tuple)):
        return f"image of type {type(source).__name__}"
    shape = getattr(source, "shape", None) or getattr(source, "size", None)
    if shape is None:
        kind = type(source).__name__
        return f"image of type {kind}, which is no path, bytes of a file, open file, array or PIL image"
    return f"image of type {type(source).__name__} and shape {shape}"


def _as_pixels(array: np.ndarray, channels: int | None, any_range: bool) -> np.ndarray:
    """Bring any number type to uint8 or float32 on the scale 0..255."""
    if array.dtype == np.uint8:
        return array
    if array.dtype == np.bool_:
        return array.astype(np.uint8) * np.uint8(255)
    if array.dtype == np.uint16:
        return array.astype(np.float32) / 257
    if np.issubdtype(array.dtype, np.integer) and not any_range:
        if array.size and (array.min() < 0 or array.max() > 255):
            raise ValueError(f"{array.dtype} pixels must be 0..255; got {array.min()}..{array.max()}")
        return array.astype(np.uint8)
    if not np.issubdtype(array.dtype, np.number) or np.iscomplexobj(array):
        raise ValueError(f"pixels must be numbers; got an array of {array.dtype}")
    if not np.isfinite(array).all():
        raise ValueError("the image has pixels that are NaN or infinite")
    if channels in (1, 3) and array.size and not any_range:
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
