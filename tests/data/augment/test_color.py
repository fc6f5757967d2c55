"""Colour and blur, against Python's colorsys, hand-written formulas and scipy's Gaussian."""

import colorsys

import keras
import numpy as np
import pytest
import tensorflow as tf
from scipy.ndimage import gaussian_filter

from keras_maskrcnn.config.config import Config
from keras_maskrcnn.data.augment.color import blurred, color_jitter

IMAGE = np.random.default_rng(0).integers(0, 256, (6, 7, 3)).astype(np.float32)


def jittered(field, fraction, place):
    """IMAGE changed by the number at `place` (0..1) of the range that is drawn from."""
    jitter = color_jitter(Config(class_names=("a",), **{field: fraction}))

    def draw(purpose, low, high):
        assert purpose == field
        return tf.constant(low + place * (high - low), tf.float32)

    return tf.function(lambda image: jitter(image, draw))(tf.constant(IMAGE)).numpy()


def in_hsv(change):
    pixels = [colorsys.hsv_to_rgb(*change(*colorsys.rgb_to_hsv(*pixel))) for pixel in IMAGE.reshape(-1, 3)]
    return np.reshape(pixels, IMAGE.shape)


@pytest.mark.parametrize("place", [0.0, 0.3, 1.0])
def test_colours_change_as_the_config_says(place):
    sign = 2 * place - 1
    brighter = (IMAGE + 255 * 0.2 * sign).clip(0, 255)
    np.testing.assert_allclose(jittered("brightness", 0.2, place), brighter, atol=1e-3)
    mean = IMAGE.mean(axis=(0, 1))
    spread = (mean + (IMAGE - mean) * (1 + 0.5 * sign)).clip(0, 255)
    np.testing.assert_allclose(jittered("contrast", 0.5, place), spread, atol=1e-3)
    saturated = in_hsv(lambda h, s, v: (h, min(s * (1 + 0.6 * sign), 1), v))
    np.testing.assert_allclose(jittered("saturation", 0.6, place), saturated, atol=1e-2)
    rotated = in_hsv(lambda h, s, v: ((h + 0.3 * sign) % 1, s, v))
    np.testing.assert_allclose(jittered("hue", 0.3, place), rotated, atol=1e-2)


def test_nothing_is_made_for_a_config_without_colours():
    assert color_jitter(Config(class_names=("a",), blur_sigma=1.0)) is None


def test_colours_keep_their_precision_under_a_policy_of_half():
    keras.mixed_precision.set_global_policy("mixed_bfloat16")
    try:
        found = jittered("brightness", 0.001, 0.5)
    finally:
        keras.mixed_precision.set_global_policy("float32")
    np.testing.assert_array_equal(found, IMAGE)


@pytest.mark.parametrize("sigma", [0.0, 0.6, 2.0])
def test_blur_is_a_gaussian_up_to_the_border(sigma):
    found = blurred(tf.constant(IMAGE), tf.constant(sigma), 2.0)
    expected = np.stack(
        [gaussian_filter(IMAGE[..., i], sigma, mode="nearest", radius=6) for i in range(3)], axis=2
    )
    np.testing.assert_allclose(found, expected, atol=1e-2)


def test_blur_leaves_a_blank_image_alone():
    np.testing.assert_allclose(blurred(tf.fill([9, 4, 1], 100.0), tf.constant(3.0), 3.0), 100, atol=1e-3)
