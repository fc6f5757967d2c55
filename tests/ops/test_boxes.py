import numpy as np
import pytest
import tensorflow as tf

from keras_maskrcnn.ops import boxes

UNIT = [[0.0, 0.0, 10.0, 10.0]]


def test_area_of_an_inverted_box_is_zero():
    np.testing.assert_array_equal(boxes.area(tf.constant([[0.0, 0, 4, 5], [4, 5, 0, 0]])), [20, 0])


@pytest.mark.parametrize(
    ("other", "expected"),
    [([0, 0, 10, 10], 1.0), ([5, 0, 15, 10], 50 / 150), ([10, 0, 20, 10], 0.0), ([3, 3, 3, 3], 0.0)],
)
def test_iou(other, expected):
    assert float(boxes.iou(tf.constant(UNIT), tf.constant([other], tf.float32))[0, 0]) == pytest.approx(
        expected
    )


def test_iou_of_two_empty_boxes_is_zero_not_nan():
    empty = tf.zeros((1, 4))
    assert float(boxes.iou(empty, empty)[0, 0]) == 0


def test_intersection_over_area_asks_how_much_of_the_box_lies_in_the_crowd():
    crowd = tf.constant([[0.0, 0, 100, 100]])
    inside = boxes.intersection_over_area(tf.constant([[90.0, 0, 110, 10], [1.0, 1, 2, 2]]), crowd)
    np.testing.assert_allclose(inside[:, 0], [0.5, 1.0])


def test_clip_uses_each_images_own_window():
    found = boxes.clip(
        tf.fill((2, 1, 4), 50.0) * [-1, -1, 1, 1], tf.constant([[0.0, 0, 30, 20], [3.0, 4, 10, 40]])
    )
    np.testing.assert_array_equal(found[:, 0], [[0, 0, 30, 20], [3, 4, 10, 40]])


def test_decode_inverts_encode():
    rng = np.random.default_rng(0)
    corners = rng.uniform(0, 50, (20, 2))
    target = np.concatenate([corners, corners + rng.uniform(1, 40, (20, 2))], axis=1).astype("float32")
    reference = target[::-1] + 1
    weights = (10.0, 10.0, 5.0, 5.0)
    deltas = boxes.encode(tf.constant(target), tf.constant(reference), weights)
    np.testing.assert_allclose(boxes.decode(deltas, tf.constant(reference), weights), target, atol=1e-3)


def test_encode_by_hand():
    # twice as wide and shifted by half the reference's width
    deltas = boxes.encode(tf.constant([[0.0, 0, 20, 10]]), tf.constant(UNIT))
    np.testing.assert_allclose(deltas, [[0.5, 0, np.log(2), 0]], rtol=1e-6)


def test_encode_of_padded_rows_is_finite():
    np.testing.assert_array_equal(boxes.encode(tf.zeros((1, 4)), tf.constant(UNIT)), np.zeros((1, 4)))
    np.testing.assert_array_equal(boxes.encode(tf.constant(UNIT), tf.zeros((1, 4))), np.zeros((1, 4)))


def test_decode_cuts_huge_sizes():
    found = boxes.decode(tf.constant([[0.0, 0, 1000, 1000]]), tf.constant(UNIT))
    np.testing.assert_allclose(found[0, 2] - found[0, 0], 10 * 1000 / 16, rtol=1e-5)


def test_decode_lets_boxes_shrink_unless_that_is_clamped_too():
    deltas = tf.constant([[0.0, 0, -8, 2]])
    for clamped, width in ((False, 10 * np.exp(-8)), (True, 10 * 16 / 1000)):
        found = boxes.decode(deltas, tf.constant(UNIT), clamp_shrinking=clamped)
        np.testing.assert_allclose(found[0, 2] - found[0, 0], width, rtol=1e-3)
        np.testing.assert_allclose(found[0, 3] - found[0, 1], 10 * np.exp(2), rtol=1e-5)


def test_decode_without_clamp_lets_boxes_grow():
    found = boxes.decode(tf.constant([[0.0, 0, 8, 0]]), tf.constant(UNIT), clamp=False)
    np.testing.assert_allclose(found[0, 2] - found[0, 0], 10 * np.exp(8), rtol=1e-5)
