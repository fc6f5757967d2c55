"""roi_align, compiled and plain, against a float64 reference written straight from the definition."""

import math

import numpy as np
import pytest
import tensorflow as tf
from roi_align_reference import BOXES, MAPS, STRIDES, reference

from keras_maskrcnn.ops import build
from keras_maskrcnn.ops.library import SWITCH
from keras_maskrcnn.ops.roi_align import roi_align


def run(features, boxes, images, levels, above, **settings):
    with tf.GradientTape() as tape:
        tape.watch(features)
        pooled = roi_align(features, boxes, images, levels, **settings)
        total = tf.reduce_sum(tf.cast(pooled, tf.float64) * above)
    return pooled, tape.gradient(total, features)


def numpy(tensor):
    return tf.cast(tensor, tf.float64).numpy()


@pytest.fixture(params=["compiled", "plain"])
def implementation(request, monkeypatch):
    if request.param == "compiled" and build.find_compiler() is None:
        pytest.skip("no C++ compiler")
    monkeypatch.setenv(SWITCH, request.param)
    return request.param


@pytest.fixture
def case():
    random = np.random.default_rng(7)
    features = [random.normal(size=(2, *size, 3)) for size in MAPS]
    boxes = np.tile(np.array(list(BOXES.values()), np.float32), (3, 1))
    levels = np.repeat(np.arange(3), len(BOXES))
    images = np.arange(len(boxes)) % 2
    above = random.normal(size=(len(boxes), 3, 3, 3))
    return features, boxes, images, levels, above


def tolerance(implementation, dtype, sampling_ratio):
    if dtype == "float64":
        return 1e-10
    return 1e-4 if implementation == "plain" and sampling_ratio else 1e-5


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("mode", ["average", "max"])
@pytest.mark.parametrize("aligned", [True, False])
@pytest.mark.parametrize("sampling_ratio", [0, 1, 2, 3])
def test_values_and_gradients_are_the_definitions(implementation, case, sampling_ratio, aligned, mode, dtype):
    features, *regions = case
    settings = {"sampling_ratio": sampling_ratio, "aligned": aligned, "mode": mode}
    settings |= {"strides": STRIDES, "output_size": 3}
    features = [feature.astype(dtype) for feature in features]
    expected, gradients = reference(features, *regions, **settings)
    pooled, found = run([tf.constant(feature) for feature in features], *regions, **settings)
    assert pooled.dtype == dtype
    limit = tolerance(implementation, dtype, sampling_ratio)
    for name, row, wanted in zip(list(BOXES) * 3, numpy(pooled), expected, strict=True):
        np.testing.assert_allclose(row, wanted, rtol=0, atol=limit, err_msg=name)
    for found_at, wanted in zip(found, gradients, strict=True):
        np.testing.assert_allclose(numpy(found_at), wanted, rtol=0, atol=10 * limit)


def test_a_ramp_pools_to_the_centres_of_its_bins(implementation):
    ramp = tf.constant([[[[10.0 * y + x] for x in range(5)] for y in range(5)]])  # [1, 5, 5, 1]
    box = [[1.0, 1.0, 3.0, 3.0]]
    settings = {"strides": [1], "output_size": 2, "sampling_ratio": 2}
    centres = roi_align([ramp], box, [0], [0], aligned=False, **settings)
    np.testing.assert_allclose(centres[0, :, :, 0], [[16.5, 17.5], [26.5, 27.5]], atol=1e-4)
    centres = roi_align([ramp], box, [0], [0], aligned=True, **settings)
    np.testing.assert_allclose(centres[0, :, :, 0], [[11.0, 12.0], [21.0, 22.0]], atol=1e-4)
    largest = roi_align([ramp], box, [0], [0], aligned=False, mode="max", **settings)
    np.testing.assert_allclose(largest[0, :, :, 0], [[19.25, 20.25], [29.25, 30.25]], atol=1e-4)


def test_the_border_counts_for_one_pixel_outside_the_map(implementation):
    ones = tf.ones([1, 4, 4, 1])
    boxes = [[x, 1.0, x + 1.0, 2.0] for x in (-1.625, -1.375, 3.375, 3.625)]  # sampled at x + 0.5
    pooled = roi_align(
        [ones], boxes, [0] * 4, [0] * 4, strides=[1], output_size=1, sampling_ratio=1, aligned=False
    )
    np.testing.assert_allclose(tf.reshape(pooled, [-1]), [0, 1, 1, 0], atol=1e-6)


@pytest.mark.parametrize("sampling_ratio", [0, 2])
def test_a_box_within_the_outermost_pixel_is_not_lost(implementation, sampling_ratio):
    """Its samples lie half a pixel outside the map: the border's value, not zero."""
    boxes = [[0.0, 0.0, 0.5, 0.5], [3.6, 3.7, 4.0, 4.0]]
    settings = {"strides": [1], "output_size": 2, "sampling_ratio": sampling_ratio, "aligned": True}
    pooled = roi_align([tf.ones([1, 4, 4, 1])], boxes, [0, 0], [0, 0], **settings)
    np.testing.assert_allclose(pooled, np.ones([2, 2, 2, 1]), atol=1e-6)


def test_samples_off_the_map_are_zeros_that_take_part_in_a_maximum(implementation):
    minus = -tf.ones([1, 4, 4, 1])
    boxes = [[-8.0, 0.0, 4.0, 4.0], [0.0, 0.0, 4.0, 4.0], [-30.0, 0.0, -20.0, 4.0]]
    for sampling_ratio in (0, 2):
        settings = {"strides": [1], "output_size": 1, "sampling_ratio": sampling_ratio}
        pooled = roi_align([minus], boxes, [0] * 3, [0] * 3, aligned=False, mode="max", **settings)
        np.testing.assert_allclose(tf.reshape(pooled, [-1]), [0, -1, 0], atol=1e-6)


@pytest.mark.parametrize("mode", ["average", "max"])
@pytest.mark.parametrize("sampling_ratio", [0, 2])
@pytest.mark.parametrize("aligned", [True, False])
def test_endless_and_huge_boxes_are_clamped(implementation, aligned, sampling_ratio, mode):
    features = [tf.random.stateless_normal([1, 6, 7, 2], [1, 2])]
    endless = [
        [-np.inf, 1, np.inf, 5],
        [-1e38, 1, 1e38, 5],
        [np.inf, np.inf, np.inf, np.inf],
        [1, 1, 3e38, np.inf],
    ]
    far = 4.0 * 2**20 + 2.0  # one of half a feature pixel more is clamped as well
    clamped = np.clip(endless, -far, far)
    settings = {
        "strides": [4],
        "output_size": 3,
        "sampling_ratio": sampling_ratio,
        "aligned": aligned,
        "mode": mode,
    }
    above = np.ones([4, 3, 3, 2])
    pooled, gradients = run(features, np.float32(endless), [0] * 4, [0] * 4, above, **settings)
    expected, expected_gradients = run(features, np.float32(clamped), [0] * 4, [0] * 4, above, **settings)
    assert np.isfinite(pooled).all()
    assert np.isfinite(gradients[0]).all()
    np.testing.assert_allclose(pooled, expected, atol=1e-6)
    np.testing.assert_allclose(gradients[0], expected_gradients[0], atol=1e-6)


def test_an_adaptive_average_over_a_huge_box_is_the_share_of_the_map(implementation):
    ones = tf.ones([1, 8, 8, 1])
    box = [
        [-995.0, -995.0, 1005.0, 1005.0]
    ]  # 2000 x 2000 samples, of which 9 x 9, from -0.5 to 7.5, are on the map
    pooled = roi_align([ones], box, [0], [0], strides=[1], output_size=1, aligned=False)
    assert pooled.numpy().item() == pytest.approx(81 / 4e6, rel=1e-5)


def test_one_box_of_every_odd_number_is_finite(implementation):
    odd = [math.nan, math.inf, -math.inf, 3e38, -3e38, 1e-40, 0.0, 7.0]
    boxes = np.float32(np.stack(np.meshgrid(odd, odd, odd, odd), -1).reshape(-1, 4)[::7])
    features = [tf.random.stateless_normal([1, 3, 5, 1], [1, 2])]
    at = np.zeros(len(boxes), np.int32)
    for sampling_ratio in (0, 2):
        settings = {"strides": [4], "output_size": 2, "sampling_ratio": sampling_ratio, "mode": "average"}
        pooled, gradients = run(features, boxes, at, at, np.ones([len(boxes), 2, 2, 1]), **settings)
        assert np.isfinite(pooled).all()
        assert np.isfinite(gradients[0]).all()
        assert not pooled.numpy()[np.isnan(boxes).any(1)].any()


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
@pytest.mark.parametrize("mode", ["average", "max"])
@pytest.mark.parametrize("sampling_ratio", [0, 2])
def test_half_precision_features_are_summed_in_float32(implementation, case, dtype, mode, sampling_ratio):
    features, boxes, images, levels, above = case
    # Numbers that half precision holds, no two alike in a map, so that a maximum has one place.
    random = np.random.default_rng(5)
    features = [
        tf.cast(
            np.stack([random.permutation(f[..., 0].size) for _ in range(3)], -1).reshape(f.shape) / 64 - 3,
            dtype,
        )
        for f in features
    ]
    settings = {"strides": STRIDES, "output_size": 3, "sampling_ratio": sampling_ratio, "mode": mode}
    pooled, gradients = run(features, boxes, images, levels, above, **settings)
    assert pooled.dtype == dtype
    above = numpy(tf.cast(above, dtype))
    exact = [numpy(feature) for feature in features]
    expected, wanted = reference(exact, boxes, images, levels, above, aligned=True, **settings)
    rounding = 2**-8 if dtype == "bfloat16" else 2**-11
    np.testing.assert_allclose(numpy(pooled), expected, rtol=rounding, atol=2e-4)
    for found_at, wanted_at in zip(gradients, wanted, strict=True):
        assert found_at.dtype == dtype
        np.testing.assert_allclose(numpy(found_at), wanted_at, rtol=rounding, atol=2e-3)


def test_boxes_stay_float32_beside_bfloat16_features(implementation):
    columns = tf.cast(tf.range(1100) % 2, tf.bfloat16)  # bfloat16 would move 1001.5 to 1000
    surface = tf.broadcast_to(columns[None, None, :, None], [1, 2, 1100, 1])
    box = [[1000.5, 0.0, 1001.5, 1.0]]
    pooled = roi_align([surface], box, [0], [0], strides=[1], output_size=1, sampling_ratio=1, aligned=False)
    assert float(pooled[0, 0, 0, 0]) == 1.0


@pytest.mark.parametrize("channels", [1, 5, 130, 300])
@pytest.mark.parametrize("mode", ["average", "max"])
def test_any_number_of_channels(implementation, channels, mode):
    features = [np.random.default_rng(2).normal(size=(1, 7, 9, channels))]
    boxes = np.float32([[1.3, 2.1, 6.2, 6.6], [-2.0, 3.1, 4.4, 9.7]])
    above = np.random.default_rng(1).normal(size=(2, 2, 2, channels))
    settings = {"strides": [1], "output_size": 2, "sampling_ratio": 2, "aligned": True, "mode": mode}
    pooled, gradients = run([tf.constant(features[0])], boxes, [0, 0], [0, 0], above, **settings)
    expected, wanted = reference(features, boxes, [0, 0], [0, 0], above, **settings)
    np.testing.assert_allclose(pooled, expected, atol=1e-10)
    np.testing.assert_allclose(gradients[0], wanted[0], atol=1e-10)


@pytest.mark.parametrize("sampling_ratio", [2, 5])  # few samples in a bin, and many
def test_of_equal_samples_the_first_gets_the_gradient_of_a_maximum(monkeypatch, sampling_ratio):
    if build.find_compiler() is None:
        pytest.skip("no C++ compiler")
    monkeypatch.setenv(SWITCH, "compiled")  # the plain one shares the gradient out
    settings = {"strides": [1], "output_size": 1, "sampling_ratio": sampling_ratio, "mode": "max"}
    box = [[0.0, 0.0, 8.0 * sampling_ratio, 8.0 * sampling_ratio]]  # samples at 3.5, 11.5, ...
    feature = tf.ones([1, 8 * sampling_ratio, 8 * sampling_ratio, 20])
    _, (gradient,) = run([feature], np.float32(box), [0], [0], np.ones([1, 1, 1, 20]), **settings)
    expected = np.zeros(feature.shape)
    expected[0, 3:5, 3:5] = 0.25
    np.testing.assert_array_equal(gradient, expected)
    # half of the samples lie off the map, and their zeros are as large as the others
    half = np.float32(box) - [[4.0 * sampling_ratio, 0.0] * 2]
    _, (gradient,) = run([0 * feature], np.float32(half), [0], [0], np.ones([1, 1, 1, 20]), **settings)
    assert not np.any(gradient)


@pytest.mark.parametrize("sampling_ratio", [0, 2])
@pytest.mark.parametrize("batch", [0, 2])
def test_no_boxes_pool_to_nothing_and_a_zero_gradient(implementation, batch, sampling_ratio):
    features = [tf.ones([batch, 4, 4, 3]), tf.ones([batch, 2, 2, 3])]
    empty = np.zeros([0], np.int32)
    settings = {"strides": [1, 2], "output_size": 3, "sampling_ratio": sampling_ratio}
    pooled, gradients = run(
        features, np.zeros([0, 4], np.float32), empty, empty, np.zeros([0, 3, 3, 3]), **settings
    )
    assert pooled.shape == (0, 3, 3, 3)
    assert [gradient.shape for gradient in gradients] == [feature.shape for feature in features]
    assert all(not np.any(gradient) for gradient in gradients)


@pytest.mark.parametrize("images, levels", [([2], [0]), ([-1], [0]), ([0], [1]), ([0], [-1])])
@pytest.mark.parametrize("graph", [False, True])
def test_an_index_out_of_range_is_an_error(implementation, images, levels, graph):
    def pool(images, levels):
        box = tf.zeros([1, 4])
        return roi_align([tf.ones([2, 4, 4, 1])], box, images, levels, strides=[1], output_size=2)

    with pytest.raises(tf.errors.InvalidArgumentError, match=r"image_indices|levels"):
        (tf.function(pool) if graph else pool)(tf.constant(images), tf.constant(levels))


def test_the_same_gradient_every_time_to_the_bit(implementation):
    random = np.random.default_rng(3)
    features = [tf.constant(random.normal(size=(2, size, size, 130)), tf.float32) for size in (32, 16)]
    start = random.uniform(0, 100, (200, 2))
    boxes = np.float32(np.concatenate([start, start + random.uniform(1, 60, (200, 2))], 1))
    images, levels = random.integers(0, 2, 200), random.integers(0, 2, 200)
    above = random.normal(size=(200, 3, 3, 130))
    settings = {"strides": [4, 8], "output_size": 3, "sampling_ratio": 2}
    first = run(features, boxes, images, levels, above, **settings)[1]
    for _ in range(3):
        again = run(features, boxes, images, levels, above, **settings)[1]
        assert all(np.array_equal(a, b) for a, b in zip(first, again, strict=True))


def test_a_graph_knows_the_shape_and_runs_for_any_number_of_boxes(implementation):
    @tf.function(
        input_signature=[
            tf.TensorSpec([None, None, None, 6]),
            tf.TensorSpec([None, 4]),
            tf.TensorSpec([None], tf.int32),
        ]
    )
    def pool(feature, boxes, images):
        pooled = roi_align([feature], boxes, images, tf.zeros_like(images), strides=[4], output_size=7)
        assert pooled.shape.as_list() == [None, 7, 7, 6]
        return pooled, tf.gradients(pooled, feature)[0]

    for count in (0, 1, 70):
        pooled, gradient = pool(tf.ones([2, 8, 8, 6]), tf.fill([count, 4], 5.0), tf.zeros([count], tf.int32))
        assert pooled.shape == (count, 7, 7, 6)
        assert gradient.shape == (2, 8, 8, 6)


def test_boxes_get_no_gradient(implementation):
    boxes = tf.Variable([[1.0, 1.0, 3.0, 3.0]])
    with tf.GradientTape() as tape:
        pooled = roi_align([tf.ones([1, 4, 4, 1])], boxes, [0], [0], strides=[1], output_size=2)
    assert tape.gradient(pooled, boxes) is None


@pytest.mark.parametrize(
    "wrong, message",
    [
        ({"strides": [1, 2]}, "strides must have one value per feature level, found 2 for 1"),
        ({"strides": [0]}, "strides must be positive"),
        ({"output_size": 0}, "output_size must be at least 1"),
        ({"sampling_ratio": -1}, "sampling_ratio must be 0"),
        ({"mode": "mean"}, "mode must be"),
    ],
)
def test_a_wrong_setting_is_refused_by_name(wrong, message):
    settings = {"strides": [1], "output_size": 2} | wrong
    with pytest.raises(ValueError, match=message):
        roi_align([tf.ones([1, 4, 4, 1])], tf.zeros([1, 4]), [0], [0], **settings)
