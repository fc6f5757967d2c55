"""Convolution by the compiled operations, 3x3 kernels by Winograd's algorithm, against the direct sum in float64."""

import gc
import itertools
import weakref

import numpy as np
import pytest
import tensorflow as tf
from gradients import values_and_gradients

from keras_maskrcnn.ops import build, library
from keras_maskrcnn.ops.convolution import convolve


@pytest.fixture(autouse=True)
def compiled(monkeypatch):
    if build.find_compiler() is None:
        pytest.skip("no C++ compiler")
    monkeypatch.setenv(library.SWITCH, "compiled")


def case(batch, height, width, inputs, outputs, side=3):
    random = np.random.default_rng(height * width)
    images = random.normal(size=(batch, height, width, inputs))
    kernel = random.normal(size=(side, side, inputs, outputs)) / np.sqrt(side * side * inputs)
    return images, kernel, random.normal(size=(batch, height, width, outputs))


def direct(images, kernel):
    return tf.nn.conv2d(images, kernel, 1, "SAME")


SIZES = [(1, 16, 16), (2, 13, 22), (3, 1, 1), (1, 2, 3), (2, 4, 5), (5, 7, 7), (1, 3, 40), (2, 14, 14)]


@pytest.mark.parametrize("batch, height, width", SIZES)
def test_values_and_gradients_are_those_of_the_direct_sum(batch, height, width):
    images, kernel, above = case(batch, height, width, 32, 48)
    expected = values_and_gradients(direct, images, kernel, above)
    found = values_and_gradients(convolve, *(np.float32(x) for x in (images, kernel, above)))
    for ours, theirs in zip(found, expected, strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=0, atol=2e-4 * np.std(theirs))


def test_the_algorithm_is_used_and_differs_by_rounding_only():
    images, kernel, _ = (np.float32(x) for x in case(1, 20, 20, 64, 64))
    exact = direct(images.astype(np.float64), kernel.astype(np.float64)).numpy()
    spread = np.std(exact)
    winograd = np.abs(convolve(tf.constant(images), tf.constant(kernel)) - exact).max() / spread
    assert 1e-6 < winograd < 1e-4


def test_the_same_gradient_every_time_to_the_bit():
    images, kernel, above = (np.float32(x) for x in case(2, 37, 29, 64, 64))
    first = values_and_gradients(convolve, images, kernel, above)
    for _ in range(3):
        again = values_and_gradients(convolve, images, kernel, above)
        assert all(np.array_equal(a, b) for a, b in zip(first, again, strict=True))


def all_gradients(function, values, above, dtype):
    """The result of a function of tensors, or None for those that there are not, and the gradients to them."""
    values = [None if x is None else tf.constant(x, dtype) for x in values]
    there = [x for x in values if x is not None]
    with tf.GradientTape() as tape:
        tape.watch(there)
        result = function(*values)
        score = tf.reduce_sum(result * tf.constant(above, dtype))
    return [result, *tape.gradient(score, there)]


EXTRAS = list(itertools.product([False, True], repeat=3))


@pytest.mark.parametrize("relu", [False, True])
@pytest.mark.parametrize("extras", EXTRAS, ids=str)
@pytest.mark.parametrize("side, stride", [(3, 1), (3, 2), (3, 3), (1, 1), (1, 2), (1, 3)])
def test_scale_bias_residual_and_relu_are_those_of_the_direct_sum(side, stride, extras, relu):
    random = np.random.default_rng(0)
    images, kernel, _ = case(2, 13, 22, 32, 48, side)
    above = random.normal(size=(2, -(-13 // stride), -(-22 // stride), 48))
    shapes = (48,), (48,), above.shape
    given = [
        random.normal(size=shape) if there else None for shape, there in zip(shapes, extras, strict=True)
    ]

    def before_relu(images, kernel, scale, bias, residual):
        kernel = kernel if scale is None else kernel * scale
        images = tf.pad(images, [[0, 0], [side // 2] * 2, [side // 2] * 2, [0, 0]])
        x = tf.nn.conv2d(images, kernel, stride, "VALID")
        return x + sum(values for values in (bias, residual) if values is not None)

    def directly(*values):
        x = before_relu(*values)
        return tf.nn.relu(x) if relu else x

    # rounding may bring to the other side of zero what is near it
    above = np.where(np.abs(before_relu(images, kernel, *given)) > 1e-3, above, 0)

    def ours(*values):
        return convolve(*values, relu=relu, stride=stride)

    expected = all_gradients(directly, [images, kernel, *given], above, "float64")
    found = all_gradients(ours, [images, kernel, *given], above, "float32")
    assert (expected[0].numpy() < 0).any() == (not relu)
    for ours, theirs in zip(found, expected, strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=0, atol=2e-4 * np.std(theirs))


PIXELS = [(1, 1, 1), (1, 1, 11), (1, 4, 3), (3, 5, 5), (1, 13, 15), (0, 4, 4), (7, 31, 29)]


@pytest.mark.parametrize("batch, height, width", PIXELS)
def test_any_number_of_pixels(batch, height, width):
    """Products take twelve rows at once, the rest one by one, and threads some hundreds."""
    images, kernel, above = (np.float32(x) for x in case(batch, height, width, 16, 80, 1))
    expected = all_gradients(direct, [images, kernel], above, "float64")
    found = all_gradients(convolve, [images, kernel], above, "float32")
    for ours, theirs in zip(found, expected, strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=0, atol=1e-5 * np.abs(theirs).max(initial=1))


def test_bfloat16_is_rounded_once():
    """To within the rounding of inputs and of the result, half a unit in the last of eight bits."""
    images, kernel, above = case(2, 13, 22, 32, 48)
    images, above = (tf.cast(x, tf.bfloat16) for x in (images, above))
    kernel = np.float32(kernel)

    def gradients(images, kernel, above):
        with tf.GradientTape() as tape:
            tape.watch([images, kernel])
            result = convolve(images, kernel, relu=True)
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
    shifted = convolve(images, kernel, bias=tf.fill([16], value))
    expected = tf.cast(tf.fill([1, 1, 1, 16], value), tf.bfloat16)
    np.testing.assert_array_equal(tf.cast(shifted, tf.float32), tf.cast(expected, tf.float32))


@pytest.mark.parametrize("dtype", ["float64", "float16"])
def test_other_precisions_are_left_to_tensorflow(dtype):
    images, kernel, _ = case(1, 9, 9, 16, 16)
    images, kernel = tf.cast(images, dtype), tf.cast(kernel, dtype)
    np.testing.assert_array_equal(convolve(images, kernel), direct(images, kernel))


@pytest.mark.parametrize("inputs, outputs", [(3, 16), (16, 3), (40, 32)])
def test_other_numbers_of_channels_are_left_to_tensorflow(inputs, outputs):
    images, kernel, _ = (np.float32(x) for x in case(1, 9, 9, inputs, outputs))
    np.testing.assert_array_equal(convolve(tf.constant(images), tf.constant(kernel)), direct(images, kernel))


def test_plain_operations_can_be_asked_for(monkeypatch):
    monkeypatch.setenv(library.SWITCH, "plain")
    images, kernel, _ = (np.float32(x) for x in case(1, 9, 9, 16, 16))
    np.testing.assert_array_equal(convolve(tf.constant(images), tf.constant(kernel)), direct(images, kernel))


def test_a_graph_knows_the_shape_and_runs_for_any_size():
    kernel = np.float32(case(1, 9, 9, 16, 32)[1])

    @tf.function(input_signature=[tf.TensorSpec([None, None, None, 16])])
    def run(x):
        convolved = convolve(x, tf.constant(kernel))
        assert convolved.shape.as_list() == [None, None, None, 32]
        return convolved, tf.gradients(convolved, x)[0]

    for shape in ((1, 9, 9, 16), (0, 5, 5, 16), (2, 1, 30, 16)):
        convolved, gradient = run(tf.ones(shape))
        assert convolved.shape == (*shape[:3], 32)
        assert gradient.shape == shape


@pytest.mark.parametrize("side", [1, 3])
def test_a_gradient_of_its_gradient_is_refused(side):
    images, kernel, _ = (tf.constant(x, tf.float32) for x in case(1, 9, 9, 16, 16, side))
    with tf.GradientTape() as outer:
        outer.watch(images)
        with tf.GradientTape() as inner:
            inner.watch(images)
            total = tf.reduce_sum(convolve(images, kernel) ** 2)
        slope = inner.gradient(total, images)
    with pytest.raises(LookupError, match="gradient of a convolution's gradient"):
        outer.gradient(slope, images)


def test_a_graph_that_nobody_needs_is_let_go():
    """`tf.custom_gradient` would keep each one for ever."""

    def traced():
        @tf.function(input_signature=[tf.TensorSpec([None, None, None, 16])])
        def step(x):
            convolved = convolve(x, tf.ones([3, 3, 16, 16]))
            return tf.gradients(convolved, x)

        return weakref.ref(step.get_concrete_function().graph)

    graph = traced()
    gc.collect()
    assert graph() is None


def test_what_is_not_finite_stays_near():
    images = np.zeros((1, 24, 24, 16), np.float32)
    images[0, 10, 10, 3] = np.nan
    kernel = np.ones((3, 3, 16, 16), np.float32)
    convolved = convolve(tf.constant(images), tf.constant(kernel)).numpy()
    assert np.isnan(convolved[0, 9:12, 9:12]).all()
    assert np.isfinite(convolved[0, :4]).all()
    assert np.isfinite(convolved[0, 16:]).all()


SHAPES = {
    r"image must be \[B, H, W, C\], found \[8,8,16\]": {"image": (8, 8, 16)},
    "channels must be a multiple of 16, found 15": {"image": (1, 8, 8, 15)},
    r"kernel must be \[3,3,16,O\] with multiples of 16, found \[3,3,32,16\]": {"kernel": (3, 3, 32, 16)},
    r"kernel must be .*, found \[3,3,16,8\]": {"kernel": (3, 3, 16, 8)},
    r"kernel must be .*, found \[1,3,16,16\]": {"kernel": (1, 3, 16, 16)},
    r"scale must be \[16\] or empty, found \[8\]": {"scale": (8,)},
    r"bias must be \[16\] or empty, found \[1,16\]": {"bias": (1, 16)},
    r"residual must be \[1,8,8,16\] or empty, found \[1,8,7,16\]": {"residual": (1, 8, 7, 16)},
}


@pytest.mark.parametrize("message", SHAPES)
def test_other_shapes_are_refused(message):
    given = {"image": (1, 8, 8, 16), "kernel": (3, 3, 16, 16), "scale": (0,), "bias": (0,), "residual": (0,)}
    given |= SHAPES[message]
    operation = library.library().maskrcnn_convolve3x3
    with pytest.raises(tf.errors.InvalidArgumentError, match=message):
        operation(**{name: tf.zeros(shape) for name, shape in given.items()}, relu=False, turned=False)


def test_gradients_of_other_shapes_are_refused():
    compiled, images = library.library(), tf.zeros([1, 8, 8, 16])
    with pytest.raises(
        tf.errors.InvalidArgumentError, match=r"gradient must be \[1,8,8,16\], found \[1,8,7,16\]"
    ):
        compiled.maskrcnn_convolve3x3_kernel_grad(images, tf.zeros([1, 8, 7, 16]))
    with pytest.raises(
        tf.errors.InvalidArgumentError, match=r"gradient must be \[1,4,4,16\], found \[1,8,8,16\]"
    ):
        compiled.maskrcnn_convolve_direct_kernel_grad(images, images, stride=2, taps=1)
