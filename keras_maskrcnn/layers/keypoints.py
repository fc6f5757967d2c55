"""Keypoints (Mask R-CNN section 5): each is a map over its RoI in which one pixel is to be found.

M RoIs; J keypoints per object; S pixels along a map's side; B images; D detections per image; G ground-truth rows.
"""

import keras
import tensorflow as tf

from keras_maskrcnn.layers.losses import Loss
from keras_maskrcnn.ops.rows import map_rows

CUBIC = -0.75
"""Of the cubic convolution that enlarges the maps: torch's and OpenCV's, where TensorFlow has -0.5."""


class KeypointTargets(keras.layers.Layer):
    """Positive RoIs and `gt_keypoints [B, G, J, 3]` -> pixels `[M, J]` int32 of row-major maps, and `valid [M, J]`.

    Keypoints that are not labelled or lie outside of their RoI are not valid. One on the RoI's far edge belongs to the
    last pixel (Detectron's rule).

    Args:
        size: S.
    """

    def __init__(self, size: int, **kwargs):
        super().__init__(autocast=False, **kwargs)
        self.size = size

    def call(
        self, rois: dict[str, keras.KerasTensor], gt_keypoints: keras.KerasTensor
    ) -> tuple[keras.KerasTensor, keras.KerasTensor]:
        rows = tf.stack([rois["image_indices"], rois["matched"]], axis=1)
        points = tf.gather_nd(gt_keypoints, rows)  # [M, J, 3]
        boxes = rois["boxes"][:, None]  # [M, 1, 4]
        extent = tf.maximum(boxes[..., 2:] - boxes[..., :2], 1e-6)
        cells = tf.floor((points[..., :2] - boxes[..., :2]) * (self.size / extent))
        cells = tf.where(points[..., :2] == boxes[..., 2:], self.size - 1.0, cells)
        inside = tf.reduce_all((cells >= 0) & (cells < self.size), axis=-1)
        valid = inside & (points[..., 2] > 0) & rois["valid"][:, None]
        cells = tf.cast(tf.where(valid[..., None], cells, 0.0), tf.int32)
        return cells[..., 1] * self.size + cells[..., 0], valid


class KeypointLoss(Loss):
    """Cross-entropy over the pixels of a map, averaged over the keypoints that are valid.

    Called with maps `[M, S, S, J]` and what `KeypointTargets` returns.
    """

    def call(
        self, maps: keras.KerasTensor, targets: keras.KerasTensor, valid: keras.KerasTensor
    ) -> keras.KerasTensor:
        count = maps.shape[1] * maps.shape[2]
        logits = tf.reshape(tf.transpose(maps, [0, 3, 1, 2]), [-1, count])  # [M * J, S * S]
        losses = tf.nn.sparse_softmax_cross_entropy_with_logits(tf.reshape(targets, [-1]), logits)
        return self.record(losses, tf.reshape(valid, [-1]))


class DetectedKeypoints(keras.layers.Layer):
    """Maps `[M, S, S, J]` of `DetectedRoIs` -> keypoints `[B, D, J, 3]`: x, y in image pixels, and a score.

    Each map is enlarged to its box's size in whole pixels by cubic convolution, and the largest of its pixels taken, at
    the pixel's centre. Rows without a detection hold zeros.

    Args:
        probabilities: whether the score is the pixel's probability, in proportion to the small map's pixels
            (Detectron2), or its logit (torchvision).
    """

    def __init__(self, probabilities: bool, **kwargs):
        super().__init__(autocast=False, **kwargs)
        self.probabilities = probabilities

    def call(
        self, maps: keras.KerasTensor, rois: dict[str, keras.KerasTensor], classes: keras.KerasTensor
    ) -> keras.KerasTensor:
        # one RoI at a time: a large one's maps take as much memory as the image has pixels
        found = map_rows(self._of_roi, (maps, rois["boxes"]), (maps.shape[3], 3), at_once=2)  # [M, J, 3]
        found = tf.where(tf.reshape(rois["classes"], [-1, 1, 1]) > 0, found, 0.0)
        batch, detections, keypoints = tf.shape(classes)[0], classes.shape[1], maps.shape[3]
        scattered = tf.scatter_nd(tf.expand_dims(rois["rows"], 1), found, [batch * detections, keypoints, 3])
        return tf.reshape(scattered, [batch, detections, keypoints, 3])

    def _of_roi(self, roi: tuple[tf.Tensor, tf.Tensor]) -> tf.Tensor:
        maps, box = roi  # [S, S, J], [4]
        extent = tf.maximum(box[2:] - box[:2], 1.0)
        width, height = tf.unstack(tf.cast(tf.math.ceil(extent), tf.int32))
        rows, columns = _cubic_weights(maps.shape[0], height), _cubic_weights(maps.shape[1], width)
        tall = tf.einsum("hs,swj->hwj", rows, maps)
        enlarged = tf.einsum("ws,hsj->jhw", columns, tall)  # [J, height, width]
        flat = tf.reshape(enlarged, [-1, height * width])
        best, position = tf.reduce_max(flat, axis=1), tf.argmax(flat, axis=1, output_type=tf.int32)
        cells = tf.cast(tf.stack([position % width, position // width], axis=1), tf.float32)
        points = box[:2] + (cells + 0.5) * (extent / tf.math.ceil(extent))
        score = best
        if self.probabilities:
            score = 1 / tf.reduce_sum(tf.exp(maps - best), axis=[0, 1])
        return tf.concat([points, tf.expand_dims(score, 1)], axis=1)


def _cubic_weights(size: int, new_size: tf.Tensor) -> tf.Tensor:
    """Return `[new_size, size]`, the cubic convolution that resizes one axis, with its border repeated."""
    positions = (tf.range(tf.cast(new_size, tf.float32)) + 0.5) * (size / tf.cast(new_size, tf.float32)) - 0.5
    first = tf.floor(positions)
    offset = positions - first  # [new_size]
    near, far = _cubic_near, _cubic_far
    taps = tf.stack([far(offset + 1), near(offset), near(1 - offset), far(2 - offset)], axis=1)
    indices = tf.clip_by_value(tf.expand_dims(tf.cast(first, tf.int32), 1) + tf.range(-1, 3), 0, size - 1)
    return tf.reduce_sum(tf.expand_dims(taps, 2) * tf.one_hot(indices, size), axis=1)


def _cubic_near(x: tf.Tensor) -> tf.Tensor:
    return ((CUBIC + 2) * x - (CUBIC + 3)) * x * x + 1


def _cubic_far(x: tf.Tensor) -> tf.Tensor:
    return ((CUBIC * x - 5 * CUBIC) * x + 8 * CUBIC) * x - 4 * CUBIC
