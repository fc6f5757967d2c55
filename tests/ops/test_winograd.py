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


@pytest.mark.parametrize("relu", [False, True])
def test_bias_and_relu_are_those_of_the_direct_sum(relu):
    images, kernel, above = case(2, 13, 22, 32, 48)
    bias = np.random.default_rng(0).normal(size=48)

    def gradients(convolve, dtype):
        values = [tf.constant(x, dtype) for x in (images, kernel, bias)]
        with tf.GradientTape() as tape:
            tape.watch(values)
            result = convolve(*values)
            score = tf.reduce_sum(result * tf.constant(above, dtype))
        return [result, *tape.gradient(score, values)]

    def directly(images, kernel, bias):
        result = direct(images, kernel) + bias
        return tf.nn.relu(result) if relu else result

    expected = gradients(directly, "float64")
    found = gradients(lambda *values: conv3x3(*values, relu), "float32")
    assert (expected[0].numpy() < 0).any() == (not relu)
    for ours, theirs in zip(found, expected, strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=0, atol=2e-4 * np.std(theirs))


def test_bfloat16_is_rounded_once():
    """To within the rounding of inputs and of the result, half a unit in the last of eight bits."""
    images, kernel, above = case(2, 13, 22, 32, 48)
    images, above = (tf.cast(x, tf.bfloat16) for x in (images, above))
    kernel = np.float32(kernel)

    def gradients(images, kernel, above):
        with tf.GradientTape() as tape:
            tape.watch([images, kernel])
            result = conv3x3(images, kernel, relu=True)
            score = tf.reduce_sum(tf.cast(result * above, tf.float32))
        return [result, *tape.gradient(score, [images, kernel])]

    found = gradients(images, tf.constant(kernel), above)
    expected = gradients(tf.cast(images, tf.float32), tf.constant(kernel), tf.cast(above, tf.float32))
    assert [x.dtype for x in found] == [tf.bfloat16, tf.bfloat16, tf.float32]
    for ours, theirs in zip(found, expected, strict=True):
        exact = theirs.numpy()
        # where a result is rounded across zero ReLU's gradient comes or goes, but results are rounded to the nearest
        error = np.abs(tf.cast(ours, tf.float32) - exact)
        assert (error <= 2.0**-8 * np.abs(exact) + 1e-4 * exact.std()).all()


VALUES = (1.00390625, 1.01171875, -1.00390625, 3e38, 3.4028235e38, np.inf, -np.inf, np.nan)


@pytest.mark.parametrize("value", VALUES)
def test_bfloat16_rounds_as_tensorflow_does(value):
    images, kernel = tf.zeros([1, 1, 1, 16], tf.bfloat16), tf.zeros([3, 3, 16, 16])
    shifted = conv3x3(images, kernel, tf.fill([16], value))
    expected = tf.cast(tf.fill([1, 1, 1, 16], value), tf.bfloat16)
    np.testing.assert_array_equal(tf.cast(shifted, tf.float32), tf.cast(expected, tf.float32))


@pytest.mark.parametrize("dtype", ["float64", "float16"])
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
            compiled.maskrcnn_winograd_convolve(tf.zeros([1, 8, 8, 16]), tf.zeros(weights), tf.zeros([16]))
    images, weights = tf.zeros([1, 8, 8, 16]), tf.zeros([36, 1, 16, 16])
    with pytest.raises(tf.errors.InvalidArgumentError, match=r"bias must be \[16\], found \[8\]"):
        compiled.maskrcnn_winograd_convolve(images, weights, tf.zeros([8]))
    with pytest.raises(tf.errors.InvalidArgumentError, match="multiple of 16, found 15"):
        compiled.maskrcnn_winograd_convolve(tf.zeros([1, 8, 8, 15]), weights, tf.zeros([16]))
    with pytest.raises(
        tf.errors.InvalidArgumentError, match=r"\[3,3,I,O\] with multiples of 16, found \[3,3,16,8\]"
    ):
        compiled.maskrcnn_winograd_weights(tf.zeros([3, 3, 16, 8]))
    with pytest.raises(
        tf.errors.InvalidArgumentError, match=r"gradient must be \[1,8,8,16\], found \[1,8,7,16\]"
    ):
        compiled.maskrcnn_winograd_kernel_grad(images, tf.zeros([1, 8, 7, 16]))
