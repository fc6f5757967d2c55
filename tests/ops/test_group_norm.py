"""Group normalisation: values and gradients against the formula differentiated by TensorFlow in float64."""

import numpy as np
import pytest
import tensorflow as tf

from keras_maskrcnn.ops.group_norm import group_norm
from keras_maskrcnn.ops.library import SWITCH, library

EPSILON = 1e-3


@pytest.fixture(autouse=True, params=["auto", "plain"])
def operations(request, monkeypatch):
    """Each test runs with the compiled operation, where there is one, and without."""
    monkeypatch.setenv(SWITCH, request.param)
    return request.param


def plainly(x, gamma, beta, groups):
    """The formula, one group's values in one axis."""
    batch, channels = x.shape[0], x.shape[-1]
    grouped = tf.reshape(x, [batch, -1, groups, channels // groups])
    mean, variance = tf.nn.moments(grouped, [1, 3], keepdims=True)
    normal = tf.reshape((grouped - mean) / tf.sqrt(variance + EPSILON), x.shape)
    return normal * gamma + beta


def values_and_gradients(function, inputs, above):
    with tf.GradientTape() as tape:
        tape.watch(inputs)
        value = function(*inputs)
    return [value, *tape.gradient(value, inputs, above)]


@pytest.mark.parametrize("shape", [(2, 6, 5, 8), (1, 7, 9, 4), (3, 8), (2, 5, 8), (2, 60, 70, 12)])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_values_and_gradients_are_those_of_the_formula(shape, dtype):
    random = np.random.default_rng(0)
    x, above = random.normal(3, 2, shape), random.normal(0, 1, shape)
    gamma, beta = random.normal(1, 1, shape[-1]), random.normal(0, 1, shape[-1])
    inputs = [tf.constant(value, dtype) for value in (x, gamma, beta)]
    exact = [tf.constant(value, tf.float64) for value in (x, gamma, beta)]
    found = values_and_gradients(lambda *all: group_norm(*all, 4, EPSILON), inputs, tf.constant(above, dtype))
    expected = values_and_gradients(lambda *all: plainly(*all, 4), exact, tf.constant(above))
    for one, other in zip(found, expected, strict=True):
        assert one.dtype == dtype
        tolerance = 1e-5 if dtype == "float32" else 1e-12
        np.testing.assert_allclose(one, other, rtol=0, atol=tolerance * (1 + np.abs(other).max()))


def test_the_gradient_of_a_large_offset_is_exact():
    """Of pixels around 100 with a spread of 1: centred before they are multiplied, not after."""
    random = np.random.default_rng(1)
    x, above = random.normal(100, 1, (2, 40, 40, 8)), random.normal(0, 1, (2, 40, 40, 8))
    x = x.astype(np.float32)
    ones, zeros = np.ones(8), np.zeros(8)
    found, expected = (
        values_and_gradients(
            function, [tf.constant(v, dtype) for v in (x, ones, zeros)], tf.constant(above, dtype)
        )
        for function, dtype in (
            (lambda *all: group_norm(*all, 4, EPSILON), tf.float32),
            (lambda *all: plainly(*all, 4), tf.float64),
        )
    )
    for one, other in zip(found, expected, strict=True):
        np.testing.assert_allclose(one, other, rtol=0, atol=2e-3 * np.std(other))


def test_maps_of_any_size_go_through_one_graph():
    traced = tf.function(
        lambda x: group_norm(x, tf.ones([8]), tf.zeros([8]), 4, EPSILON),
        input_signature=[tf.TensorSpec([None, None, None, 8])],
    )
    for side in (3, 5):
        x = tf.random.stateless_normal([2, side, side, 8], (0, side))
        np.testing.assert_allclose(traced(x), plainly(x, 1.0, 0.0, 4), atol=1e-5)


def test_no_image_and_no_wrong_number_of_channels(operations):
    assert group_norm(tf.zeros([0, 3, 3, 8]), tf.ones([8]), tf.zeros([8]), 4, EPSILON).shape == (0, 3, 3, 8)
    if operations == "auto" and library() is not None:
        with pytest.raises(tf.errors.InvalidArgumentError, match="a multiple of 3"):
            group_norm(tf.zeros([1, 3, 3, 8]), tf.ones([8]), tf.zeros([8]), 3, EPSILON)
