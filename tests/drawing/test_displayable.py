"""Images of any kind become what a person can see, and ordinary photographs stay as they are."""

import numpy as np
import pytest
from PIL import Image

from keras_maskrcnn.drawing.displayable import displayable


def ramp(low, high, dtype=np.uint8):
    """1001 values from low to high, evenly, so that the percentiles 0.1 and 99.9 are the second and last but one."""
    return np.linspace(low, high, 1001).reshape(7, 143).astype(dtype)


def test_values_of_other_ranges_become_a_visible_image():
    assert displayable(np.array([[0.0, 0.5, 1.0]]))[0, :, 0].tolist() == [0, 128, 255]
    assert displayable(np.array([[0.0, 128.0, 255.0]]))[0, :, 0].tolist() == [0, 128, 255]
    assert displayable(np.array([[0, 1000, 4000]], np.uint16))[0, :, 0].tolist() == [0, 64, 255]
    assert displayable(np.array([[-3.0, np.nan, 200.0]]))[0, :, 0].tolist() == [0, 0, 200]
    assert not displayable(np.zeros((2, 2))).any()


def test_an_image_with_two_channels_shows_the_first_as_gray():
    pixels = displayable(np.stack([np.full((2, 3), 7), np.full((2, 3), 9)], axis=-1).astype(np.uint8))
    assert (pixels == 7).all() and pixels.shape == (2, 3, 3)


@pytest.mark.parametrize("scale", [1.0, 2.0])
def test_a_dark_gray_image_is_stretched_between_its_percentiles(scale):
    # of 0, 0.05, ..., 50 the 0.1st percentile is 0.05, the 99.9th 49.95
    values = ramp(0, 50, np.float32) * np.float32(scale)
    expected = ((values / scale - 0.05) * 255 / 49.9).clip(0, 255)
    for image in (values, np.repeat(values[:, :, None], 3, axis=2)):
        shown = displayable(image)
        assert np.abs(shown[:, :, 0] - expected).max() <= 0.501
        assert shown.min() == 0 and shown.max() == 255
    assert displayable(values, stretch=False).max() == 50 * scale


def test_one_hot_pixel_does_not_darken_the_rest():
    image = np.linspace(100, 900, 6400).reshape(80, 80).astype(np.uint16)
    image[5, 5] = 65535
    assert displayable(image, stretch=False)[40:].max() == 4  # 900 * 255 / 65535 is 3.5
    shown = displayable(image)
    assert shown[79, 79, 0] >= 254 and abs(int(shown[40, 0, 0]) - 128) <= 2


@pytest.mark.parametrize(
    "image",
    [
        ramp(0, 255),
        ramp(0, 140),  # its 99.9th percentile is not below 128
        np.full((20, 20), 9, np.uint8),
        np.zeros((20, 20, 3), np.uint8),
        np.stack([ramp(0, 40), ramp(0, 40), ramp(0, 41)], axis=2),  # dark, but not gray
        np.random.default_rng(0).integers(0, 256, (40, 60, 3), np.uint8),
        np.zeros((0, 4, 3), np.uint8),
    ],
)
def test_other_images_stay_as_they_are_bit_by_bit(image):
    shown = displayable(image)
    assert (shown == (image if image.ndim == 3 else image[:, :, None])).all()


def test_any_image_is_stretched_if_asked_for_and_its_channels_alike():
    image = np.zeros((2, 50, 3), np.uint8)
    image[1] = [10, 20, 100]
    shown = displayable(image, stretch=True)  # from 0 to 100
    assert shown[1, 7].tolist() == [26, 51, 255] and not shown[0].any()
    assert (displayable(image) == image).all()
    gray = displayable(Image.fromarray(ramp(100, 200)), stretch=True)
    assert gray.min() == 0 and gray.max() == 255


def test_what_is_no_image_or_no_choice_is_refused():
    with pytest.raises(ValueError, match=r"\[H, W\] or \[H, W, C\]"):
        displayable(np.zeros((2, 100, 120, 3)))
    with pytest.raises(ValueError, match="stretch must be"):
        displayable(np.zeros((4, 4)), stretch="yes")
