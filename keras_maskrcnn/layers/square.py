"""Matterport's frame: images in the middle of a square, and boxes that end on their last pixel.

The batch has its usual frame outside of the network: images in the upper left corner, boxes that end behind their last
pixel. S is the square's side; sizes `[B, 2]` are (height, width) of the images in pixels.
"""

import keras
import tensorflow as tf


class CenterInSquare(keras.layers.Layer):
    """Images `[B, H, W, C]` with sizes `[B, 2]` -> `[B, S, S, C]`, each in the middle of zeros."""

    def __init__(self, side: int, **kwargs):
        super().__init__(autocast=False, **kwargs)
        self.side = side

    def call(self, images: keras.KerasTensor, sizes: keras.KerasTensor) -> keras.KerasTensor:
        # One list of pixels, and the index of each: on gathering in rows and columns OpenVINO's converter crashes.
        batch, height, width = tf.unstack(tf.shape(images)[:3])
        before = (self.side - sizes) // 2  # [B, 2]
        rows = tf.range(self.side) - before[:, :1]  # [B, S], in the image
        columns = tf.range(self.side) - before[:, 1:]
        within = tf.expand_dims((rows >= 0) & (rows < sizes[:, :1]), 2)
        within &= tf.expand_dims((columns >= 0) & (columns < sizes[:, 1:]), 1)  # [B, S, S]
        rows, columns = tf.clip_by_value(rows, 0, height - 1), tf.clip_by_value(columns, 0, width - 1)
        rows += tf.expand_dims(tf.range(batch) * height, 1)
        index = tf.expand_dims(rows * width, 2) + tf.expand_dims(columns, 1)
        pixels = tf.gather(tf.reshape(images, [-1, images.shape[-1]]), index)
        pixels *= tf.expand_dims(tf.cast(within, images.dtype), 3)
        return tf.ensure_shape(pixels, (None, self.side, self.side, images.shape[-1]))


class SquareWindows(keras.layers.Layer):
    """Sizes `[B, 2]` -> the boxes `[B, 4]` of the images within their squares."""

    def __init__(self, side: int, **kwargs):
        super().__init__(autocast=False, **kwargs)
        self.side = side

    def call(self, sizes: keras.KerasTensor) -> keras.KerasTensor:
        origin = (self.side - sizes[:, ::-1]) // 2  # [B, 2]: x, y
        return tf.cast(tf.concat([origin, origin + sizes[:, ::-1] - 1], axis=1), tf.float32)


class ToSquare(keras.layers.Layer):
    """Boxes `[B, N, 4]` of the batch's frame and windows `[B, 4]` -> the same boxes in their squares."""

    def __init__(self, **kwargs):
        super().__init__(autocast=False, **kwargs)

    def call(self, boxes: keras.KerasTensor, windows: keras.KerasTensor) -> keras.KerasTensor:
        return boxes + _shift(windows)


class FromSquare(keras.layers.Layer):
    """Boxes `[B, N, 4]` in their squares and windows `[B, 4]` -> the same boxes in the batch's frame."""

    def __init__(self, **kwargs):
        super().__init__(autocast=False, **kwargs)

    def call(self, boxes: keras.KerasTensor, windows: keras.KerasTensor) -> keras.KerasTensor:
        return boxes - _shift(windows)


class KeypointsToSquare(keras.layers.Layer):
    """Keypoints `[B, N, J, 3]` of the batch's frame and windows `[B, 4]` -> the same in their squares.

    There a pixel is its index, as boxes end on their last pixel's.

    Args:
        offset: of a pixel's centre from its index in the batch's frame, `Config.keypoint_offset`.
    """

    def __init__(self, offset: float, **kwargs):
        super().__init__(autocast=False, **kwargs)
        self.offset = offset

    def call(self, keypoints: keras.KerasTensor, windows: keras.KerasTensor) -> keras.KerasTensor:
        return keypoints + _keypoint_shift(windows, self.offset)


class KeypointsFromSquare(keras.layers.Layer):
    """The way back of `KeypointsToSquare`, for keypoints `[B, N, J, 3]` of detections.

    Args:
        offset: as there.
    """

    def __init__(self, offset: float, **kwargs):
        super().__init__(autocast=False, **kwargs)
        self.offset = offset

    def call(
        self, keypoints: keras.KerasTensor, windows: keras.KerasTensor, classes: keras.KerasTensor
    ) -> keras.KerasTensor:
        moved = keypoints - _keypoint_shift(windows, self.offset)
        return tf.where(
            tf.expand_dims(tf.expand_dims(classes, 2), 3) > 0, moved, 0.0
        )  # rows without a detection stay zeros


def _keypoint_shift(windows: tf.Tensor, offset: float) -> tf.Tensor:
    origin = tf.expand_dims(tf.expand_dims(windows[:, :2], 1), 1)
    return tf.pad(origin - offset, [[0, 0], [0, 0], [0, 0], [0, 1]])  # [B, 1, 1, 3]


def _shift(windows: tf.Tensor) -> tf.Tensor:
    origin = tf.tile(tf.expand_dims(windows[:, :2], 1), [1, 1, 2])  # [B, 1, 4]
    return origin - [0.0, 0.0, 1.0, 1.0]
