"""Photometric augmentation: colour and blur, which move nothing."""

import math
from collections.abc import Callable

import keras
import numpy as np
import tensorflow as tf

from keras_maskrcnn.config.config import Config
from keras_maskrcnn.data.augment.recolor import recolored

Uniform = Callable[[str, float, float], tf.Tensor]
"""Returns a random number between two, for the Config field that it is named."""
ColorJitter = Callable[[tf.Tensor, Uniform], tf.Tensor]


def color_jitter(config: Config) -> ColorJitter | None:
    """Return what changes the brightness, contrast, saturation and hue of [H, W, C] pixels 0..255, uint8 or float32, in
    this order; None if the config asks for none of it. It returns float32.

    Keras' layers do the same, but each goes over the whole image several times, those of saturation and hue by way of
    HSV and back: together they take eight times as long.
    """
    if not (config.brightness or config.contrast or config.saturation or config.hue):
        return None

    def jitter(image: tf.Tensor, uniform: Uniform) -> tf.Tensor:
        factors = {}
        if config.brightness:
            factors["delta"] = 255 * uniform("brightness", -config.brightness, config.brightness)
        if config.contrast:
            factors["contrast"] = uniform("contrast", 1 - config.contrast, 1 + config.contrast)
        if config.saturation:
            factors["saturation"] = uniform("saturation", 1 - config.saturation, 1 + config.saturation)
        if config.hue:
            factors["hue"] = uniform("hue", -config.hue, config.hue)

        def change(pixels: np.ndarray, *values: float) -> np.ndarray:
            return recolored(pixels, **dict(zip(factors, values, strict=True)))

        changed = tf.numpy_function(change, [image, *factors.values()], tf.float32)
        return tf.ensure_shape(changed, image.shape)

    return jitter


def blurred(image: tf.Tensor, sigma: tf.Tensor, largest: float) -> tf.Tensor:
    """Blur by a Gaussian, truncated at three times the largest std; pixels at the border go on beyond it.

    Keras' `RandomGaussianBlur` goes on with zeros, which darkens the border, takes no more than one pixel, and
    convolves in two dimensions at once, which takes three times as long.

    Args:
        image: [H, W, C] float32.
        sigma: std in pixels, 0..largest.
        largest: says how many pixels are weighed.

    Returns:
        [H, W, C] float32.
    """
    radius = math.ceil(3 * largest)
    padded = image
    for axis in (0, 1):
        length = tf.shape(image)[axis]
        nearest = tf.clip_by_value(tf.range(-radius, length + radius), 0, length - 1)
        padded = tf.gather(padded, nearest, axis=axis)
    sigmas = tf.maximum([sigma, sigma], 1e-3)
    for kernel in ((2 * radius + 1, 1), (1, 2 * radius + 1)):
        padded = keras.ops.image.gaussian_blur(padded, kernel, sigmas, data_format="channels_last")
    return padded[radius:-radius, radius:-radius]
