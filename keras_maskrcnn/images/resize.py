"""Resizing by the rule of each source of weights, and padding to batches, with TensorFlow."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from keras_maskrcnn.images.resize_array import resize_whole


def resize_image(image: Any, size: Any, method: str = "bilinear") -> tf.Tensor:
    """Resize bilinearly with half-pixel centres, by the rule of the weights' source.

    Args:
        image: [H, W, C], any number type; an array for other methods than "bilinear".
        size: (height, width) in pixels, integers.
        method: "bilinear" has no antialiasing and keeps fractions (torchvision); for "pillow" (Detectron2), "opencv"
            (MMDetection) and "skimage" (Matterport) see `resize_whole`.

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
