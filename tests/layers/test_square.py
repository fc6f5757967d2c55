import numpy as np
import pytest
import tensorflow as tf

from keras_maskrcnn.layers.square import (
    CenterInSquare,
    FromSquare,
    KeypointsFromSquare,
    KeypointsToSquare,
    SquareWindows,
    ToSquare,
)

SIZES = tf.constant([[3, 8], [7, 2]])


def test_images_lie_in_the_middle_with_the_odd_row_after():
    images = tf.ones((2, 7, 8, 1))
    squares = CenterInSquare(8)(images, SIZES).numpy()[..., 0]
    assert squares[0].sum() == 24 and squares[0, 2:5].all()
    assert squares[1].sum() == 14 and squares[1, :7, 3:5].all()


def test_windows_end_on_the_last_pixel():
    np.testing.assert_array_equal(SquareWindows(8)(SIZES), [[0, 2, 7, 4], [3, 0, 4, 6]])


def test_boxes_there_and_back():
    windows = SquareWindows(8)(SIZES)
    boxes = tf.constant([[[0.0, 0, 8, 3]], [[1.0, 2, 2, 7]]])  # of the whole image, and of its lower right
    square = ToSquare()(boxes, windows)
    np.testing.assert_array_equal(square, [[[0, 2, 7, 4]], [[4, 2, 4, 6]]])
    np.testing.assert_array_equal(FromSquare()(square, windows), boxes)


@pytest.mark.parametrize("offset", [0.0, 0.5])
def test_keypoints_there_and_back_stay_in_their_boxes(offset):
    windows = SquareWindows(8)(SIZES)
    corners = [
        [[[0 + offset, 0 + offset, 2], [7 + offset, 2 + offset, 1]]],
        [[[1 + offset, 6 + offset, 2]] * 2],
    ]
    keypoints = tf.constant(corners, tf.float32)  # the first and the last pixel of the first image
    square = KeypointsToSquare(offset)(keypoints, windows)
    np.testing.assert_array_equal(square[0, 0], [[0, 2, 2], [7, 4, 1]])  # the corners of its window
    np.testing.assert_array_equal(square[1, 0, 0], [4, 6, 2])
    back = KeypointsFromSquare(offset)(square, windows, tf.constant([[1], [0]]))
    np.testing.assert_array_equal(back[0], keypoints[0])
    assert not back[1].numpy().any()  # no detection
