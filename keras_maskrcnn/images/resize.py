"""The sizes to which images are resized, resizing by the rule of each source of weights, and padding to batches."""

from collections.abc import Sequence
from typing import Any, Literal

import numpy as np
import tensorflow as tf
from PIL import Image

from keras_maskrcnn.config.config import Config


def resized_size(height: int, width: int, min_size: int, max_size: int, rounding: str) -> tuple[int, int]:
    """Return (height, width) with the short side at `min_size`, but the long side at most at `max_size`.

    "floor" is torchvision's rule: one scale, sides truncated to integers. "round" is Detectron2's: sides are
    scaled to `min_size`, then down to `max_size` where needed, and rounded. "half_even" is Matterport's: images
    whose short side is longer than `min_size` stay as they are unless `max_size` shrinks them, and sides are rounded
    half to even. In Python floats as in the sources, so that sides such as 799.9999... fall alike. A side never
    becomes less than 1.
    """
    short, long = min(height, width), max(height, width)
    if rounding == "floor":
        scale = min(min_size / short, max_size / long)
        return max(1, int(height * scale)), max(1, int(width * scale))
    if rounding == "half_even":
        scale = max(1, min_size / short)
        if round(long * scale) > max_size:
            scale = max_size / long
        return max(1, round(height * scale)), max(1, round(width * scale))
    scale = min_size / short
    new_height, new_width = (min_size, scale * width) if height < width else (scale * height, min_size)
    if max(new_height, new_width) > max_size:
        shrink = max_size / max(new_height, new_width)
        new_height, new_width = new_height * shrink, new_width * shrink
    return max(1, int(new_height + 0.5)), max(1, int(new_width + 0.5))


def input_size(height: int, width: int, config: Config, min_size: int | None = None) -> tuple[int, int]:
    """Return the (height, width) to which a config has an image resized.

    Args:
        height, width: of the image, in pixels.
        config: has `image_scale`, by which sides are multiplied and rounded to at least 1, or the limits of
            `resized_size`.
        min_size: another short side than the config's, where it has no `image_scale`.
    """
    if config.image_scale:
        return max(1, round(height * config.image_scale)), max(1, round(width * config.image_scale))
    short_side = config.min_size if min_size is None else min_size
    return resized_size(height, width, short_side, config.max_size, config.size_rounding)


def resize_image(image: Any, size: Any, method: str = "bilinear") -> tf.Tensor:
    """Resize bilinearly with half-pixel centres, by the rule of the weights' source.

    Args:
        image: [H, W, C], any number type; an array for other methods than "bilinear".
        size: (height, width) in pixels, integers.
        method: "bilinear" has no antialiasing and keeps fractions (torchvision); for "pillow" (Detectron2) and
            "skimage" (Matterport) see `resize_whole`.

    Returns:
        [height, width, C] float32.
    """
    if method == "bilinear":
        return tf.cast(tf.image.resize(image, size, "bilinear", antialias=False), tf.float32)
    return tf.constant(resize_whole(image, size, method), tf.float32)


def pad_to_multiple(image: tf.Tensor, divisor: int) -> tf.Tensor:
    """Pad [H, W, C] with zeros at the bottom and right until both sides are multiples of `divisor`."""
    size = tf.shape(image)[:2]
    missing = -size % divisor
    return tf.pad(image, [[0, missing[0]], [0, missing[1]], [0, 0]])


def pad_batch(images: Sequence[Any], divisor: int) -> tuple[tf.Tensor, tf.Tensor]:
    """Stack images of several sizes into one batch, zero-padded at the bottom and right.

    Args:
        images: B arrays [H_i, W_i, C] of one number type.
        divisor: the common height and width are the largest ones, rounded up to a multiple of this.

    Returns:
        images [B, H, W, C] and sizes [B, 2] int32, (height, width) of each without its padding.
    """
    sizes = np.array([image.shape[:2] for image in images], np.int32)
    height, width = -(-sizes.max(axis=0) // divisor) * divisor
    padded = [
        tf.pad(image, [[0, height - h], [0, width - w], [0, 0]])
        for image, (h, w) in zip(images, sizes, strict=True)
    ]
    return tf.stack(padded), tf.constant(sizes)


def resize_whole(image: np.ndarray, size: tuple[int, int], method: str) -> np.ndarray:
    """Resize an image by Pillow's or by scikit-image's rule.

    "pillow" is Detectron2's: antialiased where the image shrinks, and rounded; but values that are not uint8 are
    interpolated without antialiasing. "skimage" is Matterport's: not antialiased, interpolated towards zeros beyond
    the border, clipped to the image's own range, and truncated to integers.

    Args:
        image: [H, W, C] uint8 or float.
        size: (height, width) in pixels.
        method: "pillow" or "skimage".

    Returns:
        [height, width, C] of the image's type.
    """
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
