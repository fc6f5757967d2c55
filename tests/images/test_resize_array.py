"""Resizing and padding with numpy, as TensorFlow does it before training and detection."""

import numpy as np
import pytest

from keras_maskrcnn.images.resize import pad_batch, resize_image
from keras_maskrcnn.images.resize_array import pad_arrays, resize_array


@pytest.mark.parametrize("size", [(5, 7), (40, 9), (40, 61), (1, 1), (80, 122), (800, 1333), (13, 200)])
@pytest.mark.parametrize("dtype", [np.uint8, np.float32])
@pytest.mark.parametrize("method", ["bilinear", "pillow", "opencv", "skimage"])
def test_it_is_tensorflows(size, dtype, method):
    image = np.random.default_rng(0).integers(0, 256, (40, 61, 3)).astype(dtype)
    found = resize_array(image, size, method)
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, resize_image(image, size, method), atol=1e-4)


def test_batches_are_padded_alike():
    images = [
        np.random.default_rng(0).uniform(0, 255, (*size, 3)).astype(np.float32) for size in ((5, 9), (7, 3))
    ]
    for found, expected in zip(pad_arrays(images, 4), pad_batch(images, 4), strict=True):
        np.testing.assert_array_equal(found, expected)
        assert found.dtype == expected.dtype.as_numpy_dtype
