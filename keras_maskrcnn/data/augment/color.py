"""Photometric augmentation: colour and blur, which move nothing."""

import math
from collections.abc import Callable

import keras
import tensorflow as tf

from keras_maskrcnn.config.config import Config

Uniform = Callable[[str, float, float], tf.Tensor]
"""Returns a random number between two, for the Config field that it is named."""
ColorJitter = Callable[[tf.Tensor, Uniform], tf.Tensor]


def color_jitter(config: Config) -> ColorJitter | None:
    """Return what changes the brightness, contrast, saturation and hue of [H, W, C] float32 pixels 0..255, in this
    order; None if the config asks for none of it.

    These are Keras' layers, but for the numbers that they would choose themselves: a resumed run would get others. Made
    once, outside of the input pipeline, since layers make variables.
    """
    if not (config.brightness or config.contrast or config.saturation or config.hue):
        return None
    # float32 whatever the policy: bfloat16 has 8 bits for 256 values.
    brighten = keras.layers.RandomBrightness(0.0, dtype="float32")
    spread = keras.layers.RandomContrast(0.0, dtype="float32", data_format="channels_last")
    # It clips to its range what lies in 0..1 whatever the range of the pixels.
    saturate = keras.layers.RandomSaturation(
        0.0, value_range=(0, 1), dtype="float32", data_format="channels_last"
    )
    rotate = keras.layers.RandomHue(0.0, dtype="float32", data_format="channels_last")

    def jitter(image: tf.Tensor, uniform: Uniform) -> tf.Tensor:
        images = image[None]
        if config.brightness:
            delta = 255 * uniform("brightness", -config.brightness, config.brightness)
            images = brighten.transform_images(images, {"rgb_delta": delta})
        if config.contrast:
            factor = uniform("contrast", 1 - config.contrast, 1 + config.contrast)
            images = spread.transform_images(images, {"contrast_factor": factor})
        if config.saturation:
            factor = uniform("saturation", 1 - config.saturation, 1 + config.saturation)
            images = saturate.transform_images(images, {"factor": factor[None]})
        if config.hue:
            images = rotate.transform_images(
                images, {"factor": uniform("hue", -config.hue, config.hue)[None]}
            )
        return images[0]

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
