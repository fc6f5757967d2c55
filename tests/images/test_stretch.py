import numpy as np
import pytest

from keras_maskrcnn.images.stretch import stretch_intensities, stretched


def test_percentiles_become_0_and_255_and_what_lies_outside_is_clipped():
    ramp = np.arange(101, dtype=np.uint16).reshape(1, 101, 1) * 40  # percentile p is 40 p
    stretched = stretch_intensities(ramp, (10, 90))
    assert stretched.dtype == np.float32
    expected = np.clip((np.arange(101) - 10) / 80, 0, 1) * 255
    np.testing.assert_allclose(stretched[0, :, 0], expected, rtol=1e-6)


def test_each_channel_has_its_own_scale():
    one = np.linspace(0, 1, 50).reshape(5, 10)
    image = np.stack([one * 12, 100 + one * 100], axis=2)
    stretched = stretch_intensities(image, (0, 100))
    np.testing.assert_allclose(stretched[..., 0], one * 255, atol=1e-3)
    np.testing.assert_allclose(stretched[..., 1], one * 255, atol=1e-3)


def test_brightness_and_bits_of_an_image_do_not_matter():
    image = np.random.default_rng(0).integers(0, 16, (20, 30, 1), np.uint8)
    deep = image.astype(np.uint16) * 257 + 300
    np.testing.assert_allclose(
        stretch_intensities(image, (1, 99.8)), stretch_intensities(deep, (1, 99.8)), atol=1e-2
    )


@pytest.mark.parametrize("value", [0, 7])
def test_an_even_channel_is_black_but_for_what_is_brighter(value):
    image = np.full((100, 100, 1), value, np.uint8)
    assert not stretch_intensities(image, (1, 99.8)).any()
    image[0, 0] = value + 1  # 0.01 % of the pixels
    stretched = stretch_intensities(image, (1, 99.8))
    assert stretched[0, 0] == 255 and stretched.sum() == 255


def test_the_ends_may_be_numbers():
    values = np.array([[-1.0, 2.0, 3.0, 9.0]])
    np.testing.assert_allclose(stretched(values, 2.0, 4.0), [[0, 0, 127.5, 255]])
    np.testing.assert_array_equal(stretched(values, 2.0, 2.0), [[0, 0, 255, 255]])


def test_without_percentiles_the_image_stays_as_it_is():
    image = np.zeros((2, 3, 1), np.uint8)
    assert stretch_intensities(image, ()) is image
