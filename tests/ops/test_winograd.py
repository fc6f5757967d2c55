"""3x3 convolution by Winograd's algorithm, against the direct sum in float64."""

import gc
import weakref

import numpy as np
import pytest
import tensorflow as tf
from gradients import values_and_gradients

from keras_maskrcnn.ops import build, library
from keras_maskrcnn.ops.convolution import conv3x3


@pytest.fixture(autouse=True)
def compiled(monkeypatch):
    if build.find_compiler() is None:
        pytest.skip("no C++ compiler")
    monkeypatch.setenv(library.SWITCH, "compiled")


def case(batch, height, width, inputs, outputs):
    random = np.random.default_rng(height * width)
    images = random.normal(size=(batch, height, width, inputs))
    kernel = random.normal(size=(3, 3, inputs, outputs)) / np.sqrt(9 * inputs)
    return images, kernel, random.normal(size=(batch, height, width, outputs))


def direct(images, kernel):
    return tf.nn.conv2d(images, kernel, 1, "SAME")


SIZES = [(1, 16, 16), (2, 13, 22), (3, 1, 1), (1, 2, 3), (2, 4, 5), (5, 7, 7), (1, 3, 40), (2, 14, 14)]


@pytest.mark.parametrize("batch, height, width", SIZES)
def test_values_and_gradients_are_those_of_the_direct_sum(batch, height, width):
    images, kernel, above = case(batch, height, width, 32, 48)
    expected = values_and_gradients(direct, images, kernel, above)
    found = values_and_gradients(conv3x3, *(np.float32(x) for x in (images, kernel, above)))
    for ours, theirs in zip(found, expected, strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=0, atol=2e-4 * np.std(theirs))


def test_the_algorithm_is_used_and_differs_by_rounding_only():
    images, kernel, _ = (np.float32(x) for x in case(1, 20, 20, 64, 64))
    exact = direct(images.astype(np.float64), kernel.astype(np.float64)).numpy()
    spread = np.std(exact)
    winograd = np.abs(conv3x3(tf.constant(images), tf.constant(kernel)) - exact).max() / spread
    assert 1e-6 < winograd < 1e-4


def test_the_same_gradient_every_time_to_the_bit():
    images, kernel, above = (np.float32(x) for x in case(2, 37, 29, 64, 64))
    first = values_and_gradients(conv3x3, images, kernel, above)
    for _ in range(3):
        again = values_and_gradients(conv3x3, images, kernel, above)
        assert all(np.array_equal(a, b) for a, b in zip(first, again, strict=True))


@pytest.mark.parametrize("dtype", ["float64", "bfloat16", "float16"])
def test_other_precisions_are_left_to_tensorflow(dtype):
    images, kernel, _ = case(1, 9, 9, 16, 16)
    images, kernel = tf.cast(images, dtype), tf.cast(kernel, dtype)
    np.testing.assert_array_equal(conv3x3(images, kernel), direct(images, kernel))


@pytest.mark.parametrize("inputs, outputs", [(3, 16), (16, 3), (40, 32)])
def test_other_numbers_of_channels_are_left_to_tensorflow(inputs, outputs):
    images, kernel, _ = (np.float32(x) for x in case(1, 9, 9, inputs, outputs))
    np.testing.assert_array_equal(conv3x3(tf.constant(images), tf.constant(kernel)), direct(images, kernel))


def test_plain_operations_can_be_asked_for(monkeypatch):
    monkeypatch.setenv(library.SWITCH, "plain")
    images, kernel, _ = (np.float32(x) for x in case(1, 9, 9, 16, 16))
    np.testing.assert_array_equal(conv3x3(tf.constant(images), tf.constant(kernel)), direct(images, kernel))


def test_a_graph_knows_the_shape_and_runs_for_any_size():
    kernel = np.float32(case(1, 9, 9, 16, 32)[1])

    @tf.function(input_signature=[tf.TensorSpec([None, None, None, 16])])
    def convolve(x):
        convolved = conv3x3(x, tf.constant(kernel))
        assert convolved.shape.as_list() == [None, None, None, 32]
        return convolved, tf.gradients(convolved, x)[0]

    for shape in ((1, 9, 9, 16), (0, 5, 5, 16), (2, 1, 30, 16)):
        convolved, gradient = convolve(tf.ones(shape))
        assert convolved.shape == (*shape[:3], 32)
        assert gradient.shape == shape


def test_a_graph_that_nobody_needs_is_let_go():
    """`tf.custom_gradient` would keep each one for ever."""

    def traced():
        @tf.function(input_signature=[tf.TensorSpec([None, None, None, 16])])
        def step(x):
            convolved = conv3x3(x, tf.ones([3, 3, 16, 16]))
            return tf.gradients(convolved, x)

        return weakref.ref(step.get_concrete_function().graph)

    graph = traced()
    gc.collect()
    assert graph() is None


def test_what_is_not_finite_stays_near():
    images = np.zeros((1, 24, 24, 16), np.float32)
    images[0, 10, 10, 3] = np.nan
    kernel = np.ones((3, 3, 16, 16), np.float32)
    convolved = conv3x3(tf.constant(images), tf.constant(kernel)).numpy()
    assert np.isnan(convolved[0, 9:12, 9:12]).all()
    assert np.isfinite(convolved[0, :4]).all()
    assert np.isfinite(convolved[0, 16:]).all()


def test_other_shapes_are_refused():
    compiled = library.library()
    for weights in ([36, 1, 32, 16], [36, 1, 16, 8], [35, 1, 16, 16]):
        with pytest.raises(tf.errors.InvalidArgumentError, match=r"weights must be \[36,1,16,16\]"):
            compiled.maskrcnn_winograd_convolve(tf.zeros([1, 8, 8, 16]), tf.zeros(weights))
    with pytest.raises(tf.errors.InvalidArgumentError, match="multiple of 16"):
        compiled.maskrcnn_winograd_gather(tf.zeros([1, 8, 8, 15]), kind="input")
