"""The further box stages of Cascade R-CNN (Cai and Vasconcelos 2018), each trained on what the one before refined."""

import keras
import tensorflow as tf

from keras_maskrcnn.layers.matching import IGNORED, POSITIVE, match_image
from keras_maskrcnn.ops import boxes as box_ops


class RefineBoxes(keras.layers.Layer):
    """Boxes `[B, R, 4]` and their deltas `[B * R, 1, 4]` -> refined boxes `[B, R, 4]`, within windows `[B, 4]`.

    No gradient flows through.

    Args:
        delta_weights: of `boxes.decode`, as are `clamp` and `clamp_shrinking`.
    """

    def __init__(
        self, delta_weights: tuple[float, ...], clamp: bool, clamp_shrinking: bool = False, **kwargs
    ):
        super().__init__(autocast=False, **kwargs)
        self.rules = tuple(delta_weights), clamp, clamp_shrinking

    def call(
        self, boxes: keras.KerasTensor, deltas: keras.KerasTensor, windows: keras.KerasTensor
    ) -> keras.KerasTensor:
        refined = box_ops.decode(tf.reshape(deltas, tf.shape(boxes)), boxes, *self.rules)
        return tf.stop_gradient(box_ops.clip(refined, windows))


class StageTargets(keras.layers.Layer):
    """Refined boxes `[B, S, 4]` of a sample with `valid [B, S]`, and ground truth -> the next stage's sample.

    Returns what `ProposalTargets` does, of the same rows: none is sampled anew. Boxes without area and boxes in a crowd
    are not valid.

    Args:
        positive_iou: boxes at or above belong to their ground truth's class, others are background.
        crowd_overlap: fraction of a box inside a crowd from which it is not taken as background.
        delta_weights: of `boxes.encode`.
    """

    def __init__(self, positive_iou: float, crowd_overlap: float, delta_weights: tuple[float, ...], **kwargs):
        super().__init__(autocast=False, **kwargs)
        self.positive_iou, self.crowd_overlap = positive_iou, crowd_overlap
        self.delta_weights = tuple(delta_weights)

    def call(
        self,
        boxes: keras.KerasTensor,
        valid: keras.KerasTensor,
        gt_boxes: keras.KerasTensor,
        gt_classes: keras.KerasTensor,
        gt_crowd: keras.KerasTensor,
    ) -> dict[str, keras.KerasTensor]:
        thresholds = (self.positive_iou, self.positive_iou)

        def one_image(image: tuple[tf.Tensor, ...]) -> tuple[tf.Tensor, ...]:
            rows, count, gt, classes, crowd = image
            matched, labels = match_image(rows, gt, classes, crowd, thresholds, False, self.crowd_overlap)
            count = count & (labels != IGNORED) & (box_ops.area(rows) > 0)
            positive = (labels == POSITIVE) & count
            deltas = box_ops.encode(tf.gather(gt, matched), rows, self.delta_weights)
            return (
                count,
                tf.where(positive, tf.gather(classes, matched), 0),
                tf.where(positive[:, None], deltas, 0.0),
                matched,
            )

        counted, classes, deltas, matched = tf.map_fn(
            one_image,
            (boxes, valid, gt_boxes, gt_classes, gt_crowd),
            fn_output_signature=(tf.bool, tf.int32, tf.float32, tf.int32),
        )
        deltas = tf.ensure_shape(deltas, (None, None, 4))
        return {"boxes": boxes, "valid": counted, "classes": classes, "deltas": deltas, "matched": matched}


class ScaleGradient(keras.layers.Layer):
    """Passes values on and multiplies their gradient, so that several stages together weigh as much as one."""

    def __init__(self, factor: float, **kwargs):
        super().__init__(autocast=False, **kwargs)
        self.factor = factor

    def call(self, x: keras.KerasTensor) -> keras.KerasTensor:
        scaled = x * tf.cast(self.factor, x.dtype)
        return scaled + tf.stop_gradient(x - scaled)
