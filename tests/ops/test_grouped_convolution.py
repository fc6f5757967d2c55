"""Convolution of groups, against groups that are convolved one by one in float64."""

import numpy as np
import pytest
import tensorflow as tf
from gradients import values_and_gradients

from keras_maskrcnn.ops import convolution


@pytest.fixture(params=["TensorFlow's", "Keras'"])
def whose(request, monkeypatch):
    if request.param == "Keras'":  # as on machines where TensorFlow's has no gradient
        monkeypatch.setattr(convolution, "_has_grouped_gradient", lambda dtype: False)
    elif not convolution._has_grouped_gradient(tf.float32):
        pytest.skip("TensorFlow's convolution of groups has no gradient on this machine")
    return request.param


def one_by_one(images, kernel, groups, **options):
    parts = zip(tf.split(images, groups, 3), tf.split(kernel, groups, 3), strict=True)
    return tf.concat([tf.nn.convolution(x, k, **options) for x, k in parts], 3)


CASES = {
    "as many outputs as inputs": ((2, 9, 11, 64), 64, 32, 1, "same", 1),
    "more outputs": ((1, 8, 7, 32), 64, 8, 1, "same", 1),
    "stride 2": ((2, 11, 9, 64), 64, 32, 2, "valid", 1),
    "dilated": ((1, 12, 9, 32), 32, 4, 1, "same", 2),
}


@pytest.mark.parametrize("case", CASES)
def test_values_and_gradients_are_those_of_groups_one_by_one(whose, case):
    shape, outputs, groups, strides, padding, dilation = CASES[case]
    random = np.random.default_rng(0)
    images = random.normal(size=shape)
    kernel = random.normal(size=(3, 3, shape[3] // groups, outputs)) / np.sqrt(9 * shape[3] / groups)
    options = {"strides": strides, "padding": padding.upper(), "dilations": dilation}
    above = random.normal(size=one_by_one(images, kernel, groups, **options).shape)
    expected = values_and_gradients(lambda x, k: one_by_one(x, k, groups, **options), images, kernel, above)
    found = values_and_gradients(
        lambda x, k: convolution.grouped_conv(x, k, strides, padding, dilation),
        *(np.float32(x) for x in (images, kernel, above)),
    )
    for ours, theirs in zip(found, expected, strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=0, atol=1e-5 * np.std(theirs))


@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "float64"])
def test_every_precision_has_a_gradient(dtype):
    images, kernel = tf.ones([1, 4, 4, 8], dtype), tf.ones([3, 3, 2, 8], dtype)
    _, of_images, of_kernel = values_and_gradients(
        lambda x, k: convolution.grouped_conv(x, k, 1, "same"), images, kernel, tf.ones([1, 4, 4, 8], dtype)
    )
    assert of_images.dtype == of_kernel.dtype == dtype
    np.testing.assert_array_equal(
        of_images[0, 1, 1], np.full(8, 9 * 2)
    )  # nine taps, two outputs of the group


def test_a_graph_is_asked_about_once_and_runs():
    images, kernel = tf.ones([1, 4, 4, 8]), tf.ones([3, 3, 2, 8])
    traced = tf.function(lambda x, k: convolution.grouped_conv(x, k, 1, "same"))
    np.testing.assert_array_equal(
        traced(images, kernel), one_by_one(images, kernel, 4, strides=1, padding="SAME")
    )
