"""Resizing by the sources' own rules: equal to Pillow, to scikit-image, and to what the sources gave their networks."""

import numpy as np
import pytest
import tensorflow as tf
from parity import own_kit
from PIL import Image
from skimage.transform import resize

from keras_maskrcnn.images.io import read_image
from keras_maskrcnn.images.resize_array import resize_whole

SIZES = [(5, 7), (40, 9), (40, 61), (1, 1), (33, 1), (80, 122), (13, 200)]
MATTERPORT_MEAN = [123.7, 116.8, 103.9]
DETECTRON2_MEAN = [103.530, 116.280, 123.675]  # blue first


def noise(*shape, low=40):
    return np.random.default_rng(0).integers(low, 256, shape, np.uint8)


@pytest.mark.parametrize("size", SIZES)
def test_pillow_is_pillows(size):
    image = noise(40, 61, 3)
    expected = np.asarray(Image.fromarray(image).resize(size[::-1], Image.Resampling.BILINEAR))
    np.testing.assert_array_equal(resize_whole(image, size, "pillow"), expected)


@pytest.mark.parametrize("channels", [1, 2, 4, 5])
def test_pillow_resizes_any_number_of_channels_each_for_itself(channels):
    image = noise(20, 30, channels, low=0)
    found = resize_whole(image, (11, 45), "pillow")
    assert found.shape == (11, 45, channels) and found.dtype == np.uint8
    for channel in range(channels):
        alone = Image.fromarray(image[..., channel]).resize((45, 11), Image.Resampling.BILINEAR)
        np.testing.assert_array_equal(found[..., channel], np.asarray(alone))


@pytest.mark.parametrize("size", SIZES)
def test_pillow_leaves_floats_to_plain_interpolation(size):
    image = np.random.default_rng(0).uniform(0, 255, (40, 61, 3)).astype(np.float32)
    found = resize_whole(image, size, "pillow")
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, tf.image.resize(image, size), rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize(
    "image", [noise(40, 61, 3), noise(40, 61, 5, low=0), noise(40, 61, 1) / np.float32(7)]
)
def test_skimage_is_scikit_images(image, size):
    options = {"order": 1, "mode": "constant", "preserve_range": True, "anti_aliasing": False}
    expected = resize(image, size, **options).astype(image.dtype)
    found = resize_whole(image, size, "skimage")
    assert found.dtype == image.dtype
    if image.dtype == np.uint8:
        np.testing.assert_array_equal(found, expected)
    else:
        np.testing.assert_allclose(found, expected, rtol=1e-5)


def test_skimage_darkens_the_border_but_not_below_the_darkest_pixel():
    bright = np.full((4, 4, 1), 200, np.uint8)
    np.testing.assert_array_equal(resize_whole(bright, (8, 8), "skimage"), np.full((8, 8, 1), 200))
    bright[2, 2] = 0
    found = resize_whole(bright, (8, 8), "skimage")[..., 0]
    assert found[0, 0] == int(0.75 * 0.75 * 200) and found[0, 3] == 150 and found[1, 1] == 200


OPENCV = {
    (4, 8): [
        [103, 126, 157, 165, 184, 213, 216, 216],
        [200, 197, 185, 99, 79, 124, 159, 184],
        [213, 194, 166, 119, 127, 190, 138, 92],
        [181, 131, 67, 78, 86, 92, 91, 91],
    ],
    (9, 3): [
        *([130, 203, 230], [112, 135, 201], [117, 65, 171], [209, 55, 164], [230, 79, 142]),
        *([208, 98, 125], [132, 71, 140], [133, 77, 109], [152, 89, 74]),
    ],
    (3, 5): [[86, 163, 135, 218, 194], [242, 206, 79, 140, 143], [169, 60, 77, 143, 92]],
}
"""What `cv2.resize` (4.10 and 5.0) makes of noise(6, 5, 1), by size."""


@pytest.mark.parametrize("size", OPENCV)
def test_opencv_is_opencvs_recorded(size):
    np.testing.assert_array_equal(resize_whole(noise(6, 5, 1), size, "opencv")[..., 0], OPENCV[size])


@pytest.mark.parametrize(
    "channels", [1, 3, 4]
)  # of others OpenCV rounds to even where sides are halved exactly
@pytest.mark.parametrize("size", [*SIZES, (20, 30), (40, 122)])
def test_opencv_is_opencvs(size, channels):
    cv2 = pytest.importorskip("cv2")
    image = noise(40, 60, channels, low=0)
    expected = cv2.resize(image, size[::-1], interpolation=cv2.INTER_LINEAR).reshape(*size, channels)
    np.testing.assert_array_equal(resize_whole(image, size, "opencv"), expected)


def test_opencv_is_at_most_one_from_exact_and_keeps_plain_areas_but_for_the_border():
    image = noise(40, 61, 3)
    exact = resize_whole(image.astype(np.float64), (80, 90), "opencv")
    found = resize_whole(image, (80, 90), "opencv").astype(int)
    assert np.abs(found - exact).max() <= 1.01
    plain = resize_whole(np.full((9, 9, 1), 201, np.uint8), (20, 20), "opencv")
    assert set(np.unique(plain)) <= {200, 201} and (plain[2:-2] == 201).all()


def test_opencv_rounds_other_integers_and_keeps_fractions_of_floats():
    image = noise(6, 5, 1).astype(np.uint16) * 211
    first = [21733, 26626, 33087, 34802, 38742, 44907, 45523, 45523]  # cv2's of this image
    assert resize_whole(image, (4, 8), "opencv")[0, :, 0].tolist() == first
    floats = np.random.default_rng(0).uniform(0, 255, (40, 61, 3)).astype(np.float32)
    np.testing.assert_allclose(
        resize_whole(floats, (33, 80), "opencv"), tf.image.resize(floats, (33, 80)), rtol=1e-4, atol=1e-4
    )


@pytest.mark.parametrize("method", ["pillow", "opencv", "skimage"])
def test_an_image_of_the_right_size_stays_as_it_is(method):
    image = noise(40, 61, 3)
    np.testing.assert_array_equal(resize_whole(image, (40, 61), method), image)


def test_detectron2_sees_pillows_pixels():
    kit = own_kit("detectron2_mask_rcnn_R_50_FPN")
    count, channels, height, width = kit["batch_shape"]
    batch = np.zeros((count, height, width, channels))
    for canvas, photo, (rows, columns) in zip(batch, kit.photos, kit["resized_sizes"], strict=True):
        pixels = resize_whole(read_image(photo), (rows, columns), "pillow")[..., ::-1]
        canvas[:rows, :columns] = pixels - np.array(DETECTRON2_MEAN)
    np.testing.assert_allclose(batch.ravel()[kit["input.idx"]], kit["input.val"], atol=1e-5)


def test_mmdetection_sees_opencvs_pixels():
    kit = own_kit("mmdet_mask_rcnn_r50_fpn")
    count, channels, height, width = kit["batch_shape"]
    batch = np.zeros((count, height, width, channels))
    for canvas, photo, (rows, columns) in zip(batch, kit.photos, kit["resized_sizes"], strict=True):
        pixels = resize_whole(read_image(photo), (rows, columns), "opencv")
        canvas[:rows, :columns] = (pixels - np.array(DETECTRON2_MEAN[::-1])) / [58.395, 57.12, 57.375]
    np.testing.assert_allclose(batch.ravel()[kit["input.idx"]], kit["input.val"], atol=1e-5)


@pytest.mark.parametrize("image", [0, 1])
def test_matterport_sees_scikit_images_pixels(image):
    kit = own_kit("matterport_mask_rcnn_coco")
    top, left, bottom, right = kit[f"{image}.window"]
    canvas = np.zeros(kit[f"{image}.molded_shape"][1:])
    pixels = resize_whole(read_image(kit.photos[image]), (bottom - top, right - left), "skimage")
    canvas[top:bottom, left:right] = pixels
    found = (canvas - MATTERPORT_MEAN).ravel()[kit[f"{image}.input.idx"]]
    np.testing.assert_array_equal(found, kit[f"{image}.input.val"])
