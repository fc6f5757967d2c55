"""Mask scoring (Huang et al. 2019): the IoU that a predicted mask has with its object, learnt and predicted.

M RoIs; P pixels along a pooled RoI's side, 2P along a mask's; K classes; B images; D detections; G ground-truth rows.
"""

from typing import Any

import keras
import tensorflow as tf
from keras import ops

from keras_maskrcnn.layers.composite import Composite, build_flat, build_in_turn
from keras_maskrcnn.layers.convolution import ConvNorm
from keras_maskrcnn.layers.detections import class_masks
from keras_maskrcnn.layers.losses import Loss, select_class
from keras_maskrcnn.ops.convolution import CHANNELS

CONVS = 4
FCS = 2
STD = 0.01


class ClassMasks(keras.layers.Layer):
    """Mask logits `[M, 2P, 2P, masks]` and classes `[M]` -> the class's own mask `[M, 2P, 2P]`, 0..1.

    No gradient flows through: masks are not to become easy to score.

    Args:
        kind: as in `MaskLoss`.
        background: whether the background has a mask, at index 0.
    """

    def __init__(self, kind: str, background: bool, **kwargs):
        super().__init__(autocast=False, **kwargs)
        self.kind, self.background = kind, background

    def call(self, logits: keras.KerasTensor, classes: keras.KerasTensor) -> keras.KerasTensor:
        return tf.stop_gradient(class_masks(logits, classes, self.kind, self.background))


class MaskIoUHead(Composite):
    """Pooled RoIs `[M, P, P, C]` with their masks `[M, 2P, 2P]` -> the mask's IoU for each class `[M, K]`, float32.

    The mask, reduced to P x P by the maximum, joins the features; four 3x3 convolutions, the last with stride 2, and
    two fully connected layers follow (section 3.2).

    Args:
        num_classes: K.
        conv_channels: of the convolutions.
        fc_channels: of the fully connected layers.
        norm: of the convolutions.
        epsilon: of the normalisation.
    """

    def __init__(
        self,
        num_classes: int,
        conv_channels: int = 256,
        fc_channels: int = 1024,
        norm: str = "none",
        epsilon: float = 1e-5,
        **kwargs,
    ):
        super().__init__(**kwargs)
        self.convs = [
            ConvNorm(conv_channels, 3, 2 if i == CONVS else 1, norm=norm, epsilon=epsilon, name=f"conv{i}")
            for i in range(1, CONVS + 1)
        ]
        self.flatten = keras.layers.Flatten(data_format=CHANNELS)
        self.fcs = [
            keras.layers.Dense(fc_channels, activation="relu", kernel_initializer="he_normal", name=f"fc{i}")
            for i in range(1, FCS + 1)
        ]
        self.ious = keras.layers.Dense(
            num_classes,
            kernel_initializer=keras.initializers.RandomNormal(stddev=STD),
            dtype="float32",
            name="ious",
        )

    def build(self, input_shape: tuple[Any, ...]) -> None:
        """Build the layers for pooled RoIs of this shape, which masks join as one more channel."""
        *size, channels = input_shape
        shape = build_flat(self.flatten, build_in_turn(self.convs, (*size, channels + 1)))
        for fc in self.fcs:
            fc.build(shape)
            shape = (None, fc.units)
        self.ious.build(shape)

    def call(
        self, pooled: keras.KerasTensor, masks: keras.KerasTensor, training: bool = False
    ) -> keras.KerasTensor:
        masks = ops.expand_dims(ops.cast(masks, pooled.dtype), 3)
        small = ops.max_pool(masks, 2, 2, padding="valid", data_format=CHANNELS)  # [M, P, P, 1]
        x = ops.concatenate([pooled, small], axis=-1)
        for conv in self.convs:
            x = conv(x, training=training)
        x = self.flatten(x)
        for fc in self.fcs:
            x = fc(x)
        return self.ious(x)


class MaskIoUTargets(keras.layers.Layer):
    """Masks `[M, S, S]` and mask targets `[M, S, S]` of positive RoIs, and ground truth -> their IoUs `[M]`, 0..1.

    The mask is thresholded at 0.5. What of the object lies outside of its RoI counts as missed (section 3.2), so the
    object's whole area is taken from its crop, `gt_masks [B, G, C, C]` uint8 in the frame of `gt_boxes [B, G, 4]`.
    """

    def __init__(self, **kwargs):
        super().__init__(autocast=False, **kwargs)

    def call(
        self,
        masks: keras.KerasTensor,
        targets: keras.KerasTensor,
        rois: dict[str, keras.KerasTensor],
        gt_boxes: keras.KerasTensor,
        gt_masks: keras.KerasTensor,
    ) -> keras.KerasTensor:
        rows = tf.stack([rois["image_indices"], rois["matched"]], axis=1)
        crops = tf.cast(tf.gather_nd(gt_masks, rows), tf.float32) / 255  # [M, C, C]
        whole = tf.reduce_mean(crops, axis=[1, 2]) * _area(tf.gather_nd(gt_boxes, rows))  # [M], in pixels
        cell = _area(rois["boxes"]) / tf.cast(masks.shape[1] * masks.shape[2], tf.float32)
        predicted = tf.cast(masks >= 0.5, tf.float32)
        common = tf.reduce_sum(predicted * tf.cast(targets, tf.float32), axis=[1, 2]) * cell
        union = tf.reduce_sum(predicted, axis=[1, 2]) * cell + whole - common
        return tf.stop_gradient(tf.clip_by_value(common / tf.maximum(union, 1e-6), 0.0, 1.0))


def _area(boxes: tf.Tensor) -> tf.Tensor:
    return (boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1])


class MaskIoULoss(Loss):
    """Mean squared error of the IoU that is predicted for the true class of each positive RoI (section 3.2).

    Called with IoUs `[M, K]`, true ones `[M]` and what `PositiveRoIs` returns.
    """

    def call(
        self, ious: keras.KerasTensor, targets: keras.KerasTensor, rois: dict[str, keras.KerasTensor]
    ) -> keras.KerasTensor:
        own = select_class(ious, rois["classes"], background=False)
        return self.record(ops.square(own - targets), rois["valid"])


class MaskScores(keras.layers.Layer):
    """IoUs `[M, K]` of `DetectedRoIs` and class scores `[B, D]` -> mask scores `[B, D]`: their product (equation 1).

    Rows without a detection hold zeros.
    """

    def __init__(self, **kwargs):
        super().__init__(autocast=False, **kwargs)

    def call(
        self, ious: keras.KerasTensor, rois: dict[str, keras.KerasTensor], scores: keras.KerasTensor
    ) -> keras.KerasTensor:
        own = tf.clip_by_value(select_class(ious, rois["classes"], background=False), 0.0, 1.0)  # [M]
        own = tf.where(rois["classes"] > 0, own, 0.0)
        spread = tf.scatter_nd(tf.expand_dims(rois["rows"], 1), own, tf.reshape(tf.size(scores), [1]))
        return tf.reshape(spread, tf.shape(scores)) * scores
