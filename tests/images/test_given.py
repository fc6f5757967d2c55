"""What may be given for images, and what for one image."""

import io
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from keras_maskrcnn.images.given import as_list
from keras_maskrcnn.images.io import read_image

PIXELS = np.random.default_rng(0).integers(0, 255, (6, 50, 3), np.uint8)


def encoded():
    file = io.BytesIO()
    Image.fromarray(PIXELS).save(file, "PNG")
    return file.getvalue()


@pytest.mark.parametrize(
    "one",
    [
        PIXELS,
        tf.constant(PIXELS),
        Image.fromarray(PIXELS),
        encoded(),
        bytearray(encoded()),
        PIXELS.tolist(),
        tuple(map(tuple, PIXELS.tolist())),
    ],
)
def test_one_image_is_one_whatever_it_is_given_as(one):
    (found,) = as_list(one)
    np.testing.assert_array_equal(read_image(found), PIXELS)


def test_open_files_and_paths_are_one_image(tmp_path):
    (tmp_path / "a.png").write_bytes(encoded())
    for one in (tmp_path / "a.png", str(tmp_path / "a.png"), io.BytesIO(encoded())):
        (found,) = as_list(one)
        np.testing.assert_array_equal(read_image(found), PIXELS)
    with open(tmp_path / "a.png", "rb") as file:
        np.testing.assert_array_equal(read_image(as_list(file)[0]), PIXELS)


def test_nested_lists_of_gray_pixels_are_one_image():
    (found,) = as_list(PIXELS[..., 0].tolist())
    assert found.shape == (6, 50)


def test_several_images_are_several():
    images = [PIXELS, Path("a.png"), "b.png", encoded(), Image.fromarray(PIXELS), PIXELS.tolist()]
    assert as_list(images) is images and as_list([PIXELS.tolist()] * 2)[0] == PIXELS.tolist()
    assert as_list([]) == []
    assert len(list(as_list(iter(images)))) == len(images)
    assert as_list(np.stack([PIXELS, PIXELS])).shape == (2, 6, 50, 3)


@pytest.mark.parametrize("nothing", [7, None, 0.5])
def test_what_is_no_image_is_refused_in_words_that_help(nothing):
    with pytest.raises(ValueError, match=r"detect takes images or one image; got .*no path, bytes of a file"):
        as_list(nothing)
