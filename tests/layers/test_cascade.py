import numpy as np
import pytest
import tensorflow as tf

from keras_maskrcnn.layers.cascade import RefineBoxes, ScaleGradient, StageTargets

WINDOW = tf.constant([[0.0, 0, 100, 100]])
GT = tf.constant([[[10.0, 10, 50, 50], [0.0, 0, 0, 0]]])
CLASSES, NO_CROWD = tf.constant([[3, 0]]), tf.constant([[False, False]])


def targets(boxes, iou=0.6, crowd=NO_CROWD, valid=None):
    layer = StageTargets(iou, crowd_overlap=0.7, delta_weights=(20.0, 20.0, 10.0, 10.0))
    valid = tf.constant([valid or [True] * len(boxes)])
    return layer(tf.constant([boxes]), valid, GT, CLASSES, crowd)


def test_boxes_are_refined_and_kept_within_the_image_without_a_gradient():
    deltas = tf.Variable([[[10.0, 0, 0, 0]]])
    with tf.GradientTape() as tape:
        refined = RefineBoxes((20.0, 20.0, 10.0, 10.0), True)(
            tf.constant([[[60.0, 0, 100, 40]]]), deltas, WINDOW
        )
        total = tf.reduce_sum(refined)
    np.testing.assert_array_equal(refined, [[[80, 0, 100, 40]]])
    assert tape.gradient(total, deltas) is None


def test_boxes_shrink_by_no_more_than_the_clamp():
    deltas = tf.constant([[[0.0, 0, -80, 0]]])
    for clamped, width in ((False, 40 * np.exp(-8)), (True, 40 * 16 / 1000)):
        layer = RefineBoxes((20.0, 20.0, 10.0, 10.0), True, clamped)
        refined = layer(tf.constant([[[20.0, 0, 60, 40]]]), deltas, WINDOW)
        np.testing.assert_allclose(refined[0, 0, 2] - refined[0, 0, 0], width, rtol=1e-3)


@pytest.mark.parametrize(("iou", "expected"), [(0.6, [3, 3, 0]), (0.7, [3, 0, 0])])
def test_a_stage_has_its_own_bar(iou, expected):
    boxes = [[10.0, 10, 50, 50], [10.0, 10, 50, 36], [60.0, 60, 90, 90]]  # IoU 1, 0.65 and 0
    sample = targets(boxes, iou)
    assert sample["classes"].numpy()[0].tolist() == expected
    assert sample["valid"].numpy().all()


def test_deltas_lead_to_the_ground_truth():
    box = [[14.0, 10, 54, 50]]
    sample = targets(box, iou=0.5)
    refined = RefineBoxes((20.0, 20.0, 10.0, 10.0), True)(tf.constant([box]), sample["deltas"], WINDOW)
    np.testing.assert_allclose(refined[0, 0], GT[0, 0], atol=1e-4)


def test_boxes_without_area_and_padded_rows_do_not_count():
    sample = targets([[10.0, 10, 50, 50], [100.0, 3, 100, 9]], valid=[False, True])
    assert not sample["valid"].numpy().any() and not sample["classes"].numpy().any()


def test_boxes_in_a_crowd_do_not_count():
    sample = targets([[12.0, 12, 48, 48], [60.0, 60, 90, 90]], crowd=tf.constant([[True, False]]))
    assert sample["valid"].numpy()[0].tolist() == [False, True]


def test_gradient_is_scaled_and_values_are_not():
    x = tf.Variable([2.0])
    with tf.GradientTape() as tape:
        y = ScaleGradient(0.25)(x)
    np.testing.assert_array_equal(y, [2.0])
    np.testing.assert_array_equal(tape.gradient(y, x), [0.25])
