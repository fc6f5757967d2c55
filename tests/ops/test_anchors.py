import numpy as np
import tensorflow as tf

from keras_maskrcnn.ops.anchors import base_anchors, level_anchors


def test_ratio_is_height_over_width_and_area_is_kept():
    anchors = base_anchors((32,), (0.5, 1.0, 2.0), rounded=False)
    width, height = anchors[:, 2] - anchors[:, 0], anchors[:, 3] - anchors[:, 1]
    np.testing.assert_allclose(height / width, [0.5, 1, 2], rtol=1e-6)
    np.testing.assert_allclose(width * height, 32 * 32, rtol=1e-6)


def test_rounding_is_torchvisions():
    # 32 / sqrt(0.5) / 2 = 22.63 and 32 * sqrt(0.5) / 2 = 11.31
    np.testing.assert_array_equal(base_anchors((32,), (0.5,), rounded=True), [[-23, -11, 23, 11]])


def test_all_ratios_of_a_size_come_before_the_next_size():
    widths = np.diff(base_anchors((8, 16), (0.25, 1.0), rounded=True)[:, [0, 2]], axis=1)[:, 0]
    np.testing.assert_array_equal(widths, [16, 8, 32, 16])


def test_cells_run_row_by_row_from_the_corner():
    anchors = level_anchors(tf.constant([2, 3]), tf.constant([16, 16]), (8,), (1.0,), True)
    centers = (anchors[:, :2] + anchors[:, 2:]) / 2
    np.testing.assert_array_equal(centers, [[0, 0], [16, 0], [32, 0], [0, 16], [16, 16], [32, 16]])


def test_strides_differ_between_the_axes():
    anchors = level_anchors(tf.constant([13, 19]), tf.constant([61, 64]), (512,), (1.0,), True)
    last = (anchors[-1, :2] + anchors[-1, 2:]) / 2
    np.testing.assert_array_equal(last, [18 * 64, 12 * 61])
