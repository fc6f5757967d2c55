"""RoIAlign over a feature pyramid (Mask R-CNN section 3; FPN section 4.2)."""

import keras
import tensorflow as tf
from keras import ops

from keras_maskrcnn import boxes as box_ops
from keras_maskrcnn.ops import roi_align

LEVELS = ("P2", "P3", "P4", "P5")
STRIDES = (4, 8, 16, 32)
CANONICAL_SIZE = 224  # a box of ImageNet's size is pooled from P4
CANONICAL_LEVEL = 4


def assign_levels(boxes: tf.Tensor) -> tf.Tensor:
    """Return for boxes `[N, 4]` in pixels the index `[N]` int32 into P2..P5 that each is pooled from.

    level = floor(4 + log2(sqrt(area) / 224) + 1e-6), kept within 2..5: FPN's equation 1 with torchvision's epsilon.
    """
    scale = tf.maximum(tf.sqrt(box_ops.area(boxes)) / CANONICAL_SIZE, 1e-8)
    level = tf.floor(CANONICAL_LEVEL + tf.math.log(scale) / tf.math.log(2.0) + 1e-6)
    return tf.cast(tf.clip_by_value(level, 2, 5), tf.int32) - 2


class RoIAlign(keras.layers.Layer):
    """{"P2", ..., "P5"}, boxes `[N, 4]` in image pixels, image_indices `[N]` int32 -> `[N, size, size, C]`.

    Args:
        size: bins along each side.
        sampling_ratio: samples per bin and axis, 0 for ceil(roi size / bins).
        aligned: whether pixel centres lie at half coordinates.
        mode: "average" or "max" of a bin's samples.
    """

    def __init__(self, size: int, sampling_ratio: int, aligned: bool, mode: str, **kwargs):
        super().__init__(autocast=False, **kwargs)  # bfloat16 would turn a corner at 1001.5 into 1000
        self.size, self.sampling_ratio, self.aligned, self.mode = size, sampling_ratio, aligned, mode
        self.supports_jit = False

    def call(
        self,
        features: dict[str, keras.KerasTensor],
        boxes: keras.KerasTensor,
        image_indices: keras.KerasTensor,
    ) -> keras.KerasTensor:
        boxes = tf.stop_gradient(boxes)
        return roi_align(
            [ops.cast(features[level], self.compute_dtype) for level in LEVELS],
            boxes,
            image_indices,
            assign_levels(boxes),
            strides=STRIDES,
            output_size=self.size,
            sampling_ratio=self.sampling_ratio,
            aligned=self.aligned,
            mode=self.mode,
        )
