"""From the heads' outputs to the detections of an image.

B images; R proposals per image; K classes; D detections per image, the same for every image.
"""

import keras
import tensorflow as tf
from keras import ops

from keras_maskrcnn.layers.losses import select_mask
from keras_maskrcnn.ops import boxes
from keras_maskrcnn.ops.nms import suppress


class SelectDetections(keras.layers.Layer):
    """Class probabilities, deltas and boxes -> `boxes [B, D, 4]`, `scores [B, D]`, `classes [B, D]` int32, best first.

    Called with probabilities `[B * R, K + 1]`, deltas `[B * R, boxes, 4]`, the boxes `[B, R, 4]` they refine, `valid
    [B, R]`, `windows [B, 4]`, which they are clipped to, and perhaps a `score_threshold [B]` in place of the layer's.
    Rows that hold no detection have class 0 and zeros; a box without area is none.

    Args:
        score_threshold: detections must score more, 0..1, after what soft NMS takes from them.
        nms_iou: a detection that overlaps a better one by more than this is dropped.
        class_agnostic_nms: whether detections of other classes count as better ones too.
        max_detections: D.
        min_size: detections with a side below this, in pixels, are dropped.
        delta_weights: of `boxes.decode`, as are `clamp` and `clamp_shrinking`.
        background: whether the deltas have a row for the background, at index 0.
        one_class: whether a box is a detection of its most probable class only, and of none if that is the background.
        soft_nms_sigma: of soft NMS in place of `nms_iou`, see `suppress`; 0 for hard NMS.
    """

    def __init__(
        self,
        score_threshold: float,
        nms_iou: float,
        class_agnostic_nms: bool,
        max_detections: int,
        min_size: float,
        delta_weights: tuple[float, ...],
        background: bool,
        clamp: bool = True,
        clamp_shrinking: bool = False,
        one_class: bool = False,
        soft_nms_sigma: float = 0.0,
        **kwargs,
    ):
        super().__init__(autocast=False, **kwargs)
        self.score_threshold, self.nms_iou = score_threshold, nms_iou
        self.class_agnostic_nms, self.max_detections = class_agnostic_nms, max_detections
        self.min_size, self.delta_weights = min_size, tuple(delta_weights)
        self.background, self.one_class = background, one_class
        self.clamp, self.clamp_shrinking = clamp, clamp_shrinking
        self.soft_nms_sigma = soft_nms_sigma

    def call(
        self,
        probabilities: keras.KerasTensor,
        deltas: keras.KerasTensor,
        proposals: keras.KerasTensor,
        valid: keras.KerasTensor,
        windows: keras.KerasTensor,
        score_threshold: keras.KerasTensor | None = None,
    ) -> tuple[keras.KerasTensor, keras.KerasTensor, keras.KerasTensor]:
        decoded, scores = self.candidates(probabilities, deltas, proposals, valid, windows)
        threshold = self.score_threshold if score_threshold is None else score_threshold
        thresholds = tf.broadcast_to(threshold, tf.shape(scores)[:1])  # [B]
        return self.suppress(decoded, scores, thresholds)

    def suppress(
        self, candidates: tf.Tensor, scores: tf.Tensor, thresholds: tf.Tensor
    ) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
        """Return what the layer does, by NMS of candidates `[B, R, K or 1, 4]` with scores `[B, R, K]`, -1 for none.

        Those that do not exceed their image's threshold `[B]` are none either.
        """
        rules = self.max_detections, self.nms_iou, self.soft_nms_sigma, self.class_agnostic_nms
        return suppress(candidates, scores, thresholds, *rules)

    def candidates(
        self,
        probabilities: tf.Tensor,
        deltas: tf.Tensor,
        proposals: tf.Tensor,
        valid: tf.Tensor,
        windows: tf.Tensor,
    ) -> tuple[tf.Tensor, tf.Tensor]:
        """Return what NMS chooses from: boxes `[B, R, K or 1, 4]` and scores `[B, R, K]`, -1 for what cannot be."""
        batch, rows = tf.shape(proposals)[0], tf.shape(proposals)[1]
        if self.one_class:
            best = tf.reduce_max(probabilities, axis=-1, keepdims=True)
            probabilities = tf.where(probabilities == best, probabilities, -1.0)
        scores = tf.reshape(probabilities, [batch, rows, probabilities.shape[-1]])[..., 1:]  # [B, R, K]
        deltas = tf.reshape(deltas, [batch, rows, deltas.shape[1], 4])
        if self.background and deltas.shape[2] > 1:
            deltas = deltas[:, :, 1:]
        rules = self.delta_weights, self.clamp, self.clamp_shrinking
        decoded = boxes.decode(deltas, tf.expand_dims(proposals, 2), *rules)
        decoded = boxes.clip(decoded, windows)  # [B, R, K or 1, 4]
        sides = decoded[..., 2:] - decoded[..., :2]
        # one without area cannot be drawn, and would take the place of one that can
        large = tf.reduce_all((sides >= self.min_size) & (sides > 0), axis=-1)
        return decoded, tf.where(tf.expand_dims(valid, 2) & large, scores, -1.0)


class DetectedRoIs(keras.layers.Layer):
    """Detections -> the rows that hold one, of all images in one list, for the mask head.

    Returns a dict: `boxes [M, 4]`, `image_indices [M]` int32, `classes [M]` int32, `rows [M]` int32 into the B * D
    detections. M is at least 1, so that convolutions always have something to do.
    """

    def __init__(self, **kwargs):
        super().__init__(autocast=False, **kwargs)

    def call(self, boxes: keras.KerasTensor, classes: keras.KerasTensor) -> dict[str, keras.KerasTensor]:
        flat = tf.reshape(classes, [-1])
        rows = tf.cast(tf.where(flat > 0)[:, 0], tf.int32)
        rows = tf.pad(rows, [[0, tf.maximum(1 - tf.shape(rows)[0], 0)]])  # [M]
        return {
            "boxes": tf.gather(tf.reshape(boxes, [-1, 4]), rows),
            "image_indices": rows // tf.shape(classes)[1],
            "classes": tf.gather(flat, rows),
            "rows": rows,
        }


def class_masks(
    logits: keras.KerasTensor, classes: keras.KerasTensor, kind: str, background: bool
) -> keras.KerasTensor:
    """Return from mask logits `[M, P, P, masks]` the probabilities `[M, P, P]` of each row's class `[M]`.

    `kind` and `background` are those of `MaskLoss`.
    """
    if kind == "softmax":
        return select_mask(ops.softmax(logits, axis=-1), classes, background=True)
    return ops.sigmoid(select_mask(logits, classes, background))


class MaskProbabilities(keras.layers.Layer):
    """Mask logits `[M, P, P, masks]` of `DetectedRoIs` -> the masks `[B, D, P, P]`, 0..1, of the detected classes.

    Rows without a detection hold zeros.

    Args:
        kind: as in `MaskLoss`.
        background: whether the background has a mask, at index 0.
    """

    def __init__(self, kind: str, background: bool, **kwargs):
        super().__init__(autocast=False, **kwargs)
        self.kind, self.background = kind, background

    def call(
        self, logits: keras.KerasTensor, rois: dict[str, keras.KerasTensor], classes: keras.KerasTensor
    ) -> keras.KerasTensor:
        masks = class_masks(logits, rois["classes"], self.kind, self.background)
        masks = tf.where(tf.reshape(rois["classes"], [-1, 1, 1]) > 0, masks, 0.0)
        batch, detections = tf.shape(classes)[0], classes.shape[1] or tf.shape(classes)[1]
        side = masks.shape[1]
        scattered = tf.scatter_nd(tf.expand_dims(rois["rows"], 1), masks, [batch * detections, side, side])
        return tf.reshape(scattered, [batch, detections, side, side])
