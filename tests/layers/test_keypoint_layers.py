import numpy as np
import pytest
import tensorflow as tf

from keras_maskrcnn.layers.keypoints import DetectedKeypoints, KeypointLoss, KeypointTargets

ROIS = {
    "boxes": tf.constant([[10.0, 20, 30, 60]]),
    "image_indices": tf.constant([0]),
    "matched": tf.constant([1]),
    "valid": tf.constant([True]),
}


def targets(points, rois=ROIS):
    gt_keypoints = tf.constant([[np.zeros_like(points), points]], tf.float32)  # [1, 2, J, 3]
    pixels, valid = KeypointTargets(4)(rois, gt_keypoints)
    return pixels.numpy()[0].tolist(), valid.numpy()[0].tolist()


def test_pixels_run_row_by_row_through_the_roi():
    points = [[10, 20, 2], [29.9, 20, 2], [10, 31, 1], [29.9, 59.9, 2]]
    assert targets(points) == ([0, 3, 4, 15], [True] * 4)


def test_the_far_edge_belongs_to_the_last_pixel():
    assert targets([[30, 60, 2], [30, 20, 2]]) == ([15, 3], [True, True])


def test_keypoints_outside_or_not_labelled_do_not_count():
    assert targets([[9.9, 30, 2], [15, 60.5, 2], [15, 30, 0], [0, 0, 0]])[1] == [False] * 4


def test_rows_that_hold_no_roi_do_not_count():
    assert targets([[15, 30, 2]], ROIS | {"valid": tf.constant([False])})[1] == [False]


def test_loss_is_the_mean_over_the_keypoints_that_count():
    maps = np.zeros((1, 2, 2, 2), np.float32)  # even: log 4
    maps[0, 1, 0, 1] = 100.0  # certain of pixel 2
    loss = KeypointLoss(name="keypoint_loss")
    for valid, expected in (
        ([[True, True]], np.log(4) / 2),
        ([[True, False]], np.log(4)),
        ([[False, False]], 0),
    ):
        found = loss(tf.constant(maps), tf.constant([[1, 2]]), tf.constant(valid))
        assert float(found) == pytest.approx(expected, abs=1e-6)


def detected(maps, box, probabilities=False):
    rois = {"boxes": tf.constant([box]), "classes": tf.constant([1]), "rows": tf.constant([1])}
    found = DetectedKeypoints(probabilities)(tf.constant(maps[None]), rois, tf.constant([[0, 1]]))
    assert not found.numpy()[0, 0].any()  # the row without a detection
    return found.numpy()[0, 1]


def test_a_peak_is_found_at_its_pixels_centre():
    maps = np.zeros((4, 4, 1), np.float32)
    maps[1, 2] = 5
    np.testing.assert_allclose(detected(maps, [10.0, 20, 14, 24]), [[12.5, 21.5, 5]], rtol=1e-6)


def test_boxes_of_broken_size_are_shrunk_from_whole_pixels():
    maps = np.zeros((4, 4, 1), np.float32)
    maps[3, 3] = 5
    x, y, _ = detected(maps, [0.0, 0, 3.6, 3.6])[0]
    assert (x, y) == pytest.approx((3.5 * 0.9, 3.5 * 0.9))


def test_maps_are_enlarged_by_torchs_cubic_convolution():
    # the impulse's cubic response with a = -0.75, in the middle of 2 x 2 new pixels: its largest value
    maps = np.zeros((8, 8, 1), np.float32)
    maps[4, 4] = 1
    near = (-0.75 + 2) * 0.25**3 - (-0.75 + 3) * 0.25**2 + 1
    assert detected(maps, [0.0, 0, 16, 16])[0, 2] == pytest.approx(near * near, rel=1e-5)


def test_score_may_be_a_probability():
    maps = np.zeros((4, 4, 1), np.float32)
    maps[0, 0] = np.log(15)
    assert detected(maps, [0.0, 0, 4, 4], probabilities=True)[0, 2] == pytest.approx(15 / 30)


def test_several_keypoints_are_found_apart():
    maps = np.zeros((4, 4, 2), np.float32)
    maps[0, 1, 0] = maps[3, 2, 1] = 1
    np.testing.assert_allclose(detected(maps, [0.0, 0, 4, 4])[:, :2], [[1.5, 0.5], [2.5, 3.5]])
