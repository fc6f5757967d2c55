"""Colours changed block by block, against Keras' layers, which change whole images one step after the other."""

import keras
import numpy as np
import pytest

from keras_maskrcnn.data.augment.recolor import _BLOCK, recolored

CHANGES = {"delta": -70.0, "contrast": 1.4, "saturation": 1.7, "hue": 0.4}
OPPOSITE = {"delta": 70.0, "contrast": 0.6, "saturation": 0.3, "hue": -0.4}


def by_keras(image, delta=None, contrast=None, saturation=None, hue=None):
    images = image[None].astype(np.float32)
    if delta is not None:
        images = keras.layers.RandomBrightness(0.0).transform_images(images, {"rgb_delta": delta})
    if contrast is not None:
        images = keras.layers.RandomContrast(0.0).transform_images(images, {"contrast_factor": contrast})
    if saturation is not None:
        # Which clips to its range the saturation, whatever the range of the pixels.
        layer = keras.layers.RandomSaturation(0.0, value_range=(0, 1))
        images = layer.transform_images(images, {"factor": np.array([saturation], np.float32)})
    if hue is not None:
        layer = keras.layers.RandomHue(0.0)
        images = layer.transform_images(images, {"factor": np.array([hue], np.float32)})
    return np.asarray(images)[0]


def colours(dtype, height=230, width=310):
    """An image of more than two blocks, with parts that are black, white, gray, and of one channel alone."""
    random = np.random.default_rng(0)
    image = random.uniform(0, 255, (height, width, 3)).astype(dtype)
    image[:20] = image[:20, :, :1]
    image[20:25], image[25:30] = 0, 255
    image[30:40, :, 1:] = 0
    image[40:50, :, [0, 2]] = 255
    assert height * width > 2 * _BLOCK and height * width % _BLOCK
    return image


@pytest.mark.parametrize("dtype", [np.uint8, np.float32])
@pytest.mark.parametrize("asked", [[name] for name in CHANGES] + [[*CHANGES]])
@pytest.mark.parametrize("changes", [CHANGES, OPPOSITE])
def test_colours_are_those_of_keras_layers(dtype, asked, changes):
    image, changes = colours(dtype), {name: changes[name] for name in asked}
    found, expected = recolored(image, **changes), by_keras(image, **changes)
    assert found.dtype == np.float32 and found.shape == image.shape
    np.testing.assert_allclose(found, expected, atol=1e-3)  # rounding: float32 has 1.5e-5 of 255


def test_hue_and_saturation_depend_on_each_pixel_alone():
    image = colours(np.float32)
    whole = recolored(image, saturation=0.8, hue=0.1)
    rows = [recolored(row[None], saturation=0.8, hue=0.1)[0] for row in image[::23]]
    np.testing.assert_array_equal(whole[::23], rows)


def test_gray_images_have_brightness_and_contrast():
    image = colours(np.uint8)[..., :1]
    np.testing.assert_allclose(recolored(image, 20.0, 0.7), by_keras(image, 20.0, 0.7), atol=1e-3)


def test_what_is_not_asked_for_leaves_the_pixels_and_the_given_array_alone():
    image = colours(np.float32)
    before = image.copy()
    np.testing.assert_array_equal(recolored(image), image)
    recolored(image, 30.0, 1.3, 0.5, 0.2)
    np.testing.assert_array_equal(image, before)
