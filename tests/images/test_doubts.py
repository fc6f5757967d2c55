"""Images that are read nearly black: values of few bits among those of many."""

import warnings

import numpy as np
import pytest
from PIL import Image

from keras_maskrcnn.images.doubts import Brightness
from keras_maskrcnn.images.io import read_image


def spread(largest, dtype):
    """Values from 0 to the largest."""
    return np.linspace(0, largest, 48).astype(dtype).reshape(6, 8)


@pytest.mark.parametrize(
    ("array", "said"),
    [
        (spread(200, np.uint16), r"no value above 255 of 65535, .*seen as 0\.992 of 255.*values of 8 bits"),
        (spread(1000, np.uint16), "no value above 1023 of 65535.*values of 10 bits"),
        (spread(4095, np.uint16), "no value above 4095 of 65535.*values of 12 bits"),
        (spread(1, np.uint8), r"no value above 1 of 255.*values of 1 bit, scale them to 0\.\.255"),
        (spread(1, np.int64), "no value above 1 of 255"),
        (spread(1.5, np.float32), "no value above 1 of 255"),
    ],
)
def test_values_of_few_bits_are_told(array, said, tmp_path):
    with pytest.warns(UserWarning, match=said):
        read_image(array)
    np.save(tmp_path / "a.npy", array)
    with pytest.warns(UserWarning, match=said):
        read_image(tmp_path / "a.npy")


def test_many_images_of_so_many_bits_are_told_of_in_the_same_words():
    with pytest.warns(UserWarning) as told:
        for largest in (2100, 3000, 4000):
            read_image(spread(largest, np.uint16))
    assert len({str(one.message) for one in told}) == 1


def test_files_of_sixteen_bits_are_told_too(tmp_path):
    for name in ("a.png", "a.tif"):
        Image.fromarray(spread(4095, np.uint16)).save(tmp_path / name)
        with pytest.warns(UserWarning, match="no value above 4095 of 65535"):
            read_image(tmp_path / name)


@pytest.mark.parametrize(
    "array",
    [
        spread(60000, np.uint16),
        spread(4096, np.uint16),
        spread(2, np.uint8),
        spread(255, np.float64),
        np.zeros((4, 4), np.uint8),
        np.zeros((4, 4), np.uint16),
        np.eye(4, dtype=bool),
    ],
)
def test_other_images_are_read_without_a_word(array):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert read_image(array).shape == (*array.shape, 3)


def test_bands_of_other_kinds_have_no_white():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert read_image(np.full((4, 4, 5), 2.5), channels=5).shape == (4, 4, 5)


@pytest.mark.parametrize(("largest", "white"), [(4095, 65535), (16383, 65535), (1, 255), (15, 255)])
def test_a_dataset_without_a_brighter_image_is_doubtful(largest, white):
    assert f"the largest value is {largest} of {white}" in Brightness(largest, white).doubt_of_all


@pytest.mark.parametrize(("largest", "white"), [(16384, 65535), (16, 255), (0, 255), (0, 65535)])
def test_a_dataset_with_a_brighter_image_or_none_at_all_is_not(largest, white):
    assert Brightness(largest, white).doubt_of_all is None
