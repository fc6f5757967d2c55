"""Resizing by the rule of each source of weights, of arrays and with numpy."""

from collections.abc import Sequence
from typing import Literal

import numpy as np
from PIL import Image

from keras_maskrcnn.config.config import Config
from keras_maskrcnn.images.fixed_point import resize_fixed_point
from keras_maskrcnn.images.sizes import input_size


def resize_array(image: np.ndarray, size: tuple[int, int], method: str = "bilinear") -> np.ndarray:
    """Do what `resize.resize_image` does, with numpy; "bilinear" in TensorFlow's own steps.

    Args:
        image: [H, W, C] uint8 or float.
        size: (height, width) in pixels.
        method: as there.

    Returns:
        [height, width, C] float32.
    """
    if method != "bilinear":
        return resize_whole(image, size, method).astype(np.float32)
    pixels = image.astype(np.float32)
    for axis in (1, 0):
        low, high, fraction = _neighbours(image.shape[axis], size[axis])
        shape = (-1, 1, 1) if axis == 0 else (1, -1, 1)
        first, second = pixels.take(low, axis), pixels.take(high, axis)
        pixels = first + (second - first) * fraction.reshape(shape)
    return pixels


def _neighbours(old: int, new: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Between which of `old` pixels the centres of `new` ones lie, and how far behind the first of them, float32."""
    scale = np.float32(old) / np.float32(new)
    centres = (np.arange(new, dtype=np.float32) + np.float32(0.5)) * scale - np.float32(0.5)
    before = np.floor(centres)
    low = before.astype(int)
    return low.clip(0), (low + 1).clip(0, old - 1), centres - before


def fitted_batch(images: Sequence[np.ndarray], config: Config) -> tuple[np.ndarray, np.ndarray]:
    """Resize and pad images `[H, W, C]` as a config says: `[B, H, W, C]` float32 and sizes `[B, 2]` int32."""
    resized = [
        resize_array(image, input_size(image.shape[0], image.shape[1], config), config.resize)
        for image in images
    ]
    return pad_arrays(resized, config.size_divisor)


def pad_arrays(images: Sequence[np.ndarray], divisor: int) -> tuple[np.ndarray, np.ndarray]:
    """Do what `resize.pad_batch` does, with numpy: images [B, H, W, C] and sizes [B, 2] int32."""
    sizes = np.array([image.shape[:2] for image in images], np.int32)
    height, width = -(-sizes.max(axis=0) // divisor) * divisor
    batch = np.zeros((len(images), height, width, images[0].shape[2]), np.float32)
    for row, (image, (rows, columns)) in enumerate(zip(images, sizes, strict=True)):
        batch[row, :rows, :columns] = image
    return batch, sizes


def resize_whole(image: np.ndarray, size: tuple[int, int], method: str) -> np.ndarray:
    """Resize an image by the rule of Pillow, OpenCV or scikit-image.

    "pillow" is Detectron2's: antialiased where the image shrinks, and rounded; but values that are not uint8 are
    interpolated without antialiasing. "opencv" is MMDetection's: not antialiased, uint8 in OpenCV's whole numbers and
    other integers rounded. "skimage" is Matterport's: not antialiased, interpolated towards zeros beyond the border,
    clipped to the image's own range, and truncated to integers.

    Args:
        image: [H, W, C] uint8 or float.
        size: (height, width) in pixels.
        method: "pillow", "opencv" or "skimage".

    Returns:
        [height, width, C] of the image's type.
    """
    if method == "opencv":
        if image.dtype == np.uint8:
            return resize_fixed_point(image, size)
        resized = _interpolated(image, size, "edge")
        return (np.rint(resized) if image.dtype.kind in "iu" else resized).astype(image.dtype)
    if method == "skimage":
        resized = _interpolated(image, size, "constant").clip(image.min(), image.max())
        return resized.astype(image.dtype)
    if image.dtype != np.uint8:
        return _interpolated(image, size, "edge").astype(image.dtype)
    # Band by band, since Pillow would take some numbers of channels for colours with alpha and weigh by it.
    bands = [Image.fromarray(np.ascontiguousarray(band)) for band in np.moveaxis(image, 2, 0)]
    shape = int(size[1]), int(size[0])
    return np.stack([np.asarray(band.resize(shape, Image.Resampling.BILINEAR)) for band in bands], axis=2)


def _interpolated(
    image: np.ndarray, size: tuple[int, int], beyond: Literal["constant", "edge"]
) -> np.ndarray:
    """Interpolate at the centres of the new pixels: [height, width, C] float64.

    In the order in which scipy's `zoom` multiplies and adds, on which it depends whether a whole number comes out
    whole or just below, to be truncated to the one before.
    """
    padded = np.pad(image.astype(np.float64), ((1, 1), (1, 1), (0, 0)), mode=beyond)
    y, lower = _places(image.shape[0], size[0])
    x, right = _places(image.shape[1], size[1])
    lower, right = lower[:, None, None], right[None, :, None]
    above, below = padded[y] * (1 - lower), padded[y + 1] * lower
    resized = above[:, x] * (1 - right)
    resized += above[:, x + 1] * right
    resized += below[:, x] * (1 - right)
    resized += below[:, x + 1] * right
    return resized


def _places(old: int, new: int) -> tuple[np.ndarray, np.ndarray]:
    """Where the `new` pixels' centres lie among `old` ones padded by one: before which pixel, and how far on."""
    centres = (np.arange(new) + 0.5) * (old / new) - 0.5
    before = np.floor(centres)
    return before.astype(int) + 1, centres - before
