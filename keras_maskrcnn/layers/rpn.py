"""Region proposal network (Ren et al. 2015) over a feature pyramid.

B images; A anchors per cell; N_l = H_l * W_l * A anchors of level l; R proposals.
"""

import keras
import tensorflow as tf
from keras import ops

from keras_maskrcnn import anchors, boxes
from keras_maskrcnn.layers.convolution import ConvNorm

Levels = dict[str, keras.KerasTensor]


def _small() -> keras.initializers.Initializer:
    return keras.initializers.RandomNormal(stddev=0.01)


class RPNHead(keras.layers.Layer):
    """One small network for every level: features -> objectness logits `[B, N_l]` and deltas `[B, N_l, 4]`, float32.

    Anchors run y, x, anchor.

    Args:
        channels: of the 3x3 convolutions.
        num_anchors: A, anchors per cell.
        num_convs: 3x3 convolutions before the predictors.
        norm: their normalisation.
    """

    def __init__(self, channels: int, num_anchors: int, num_convs: int = 1, norm: str = "none", **kwargs):
        super().__init__(autocast=False, **kwargs)
        self.channels, self.num_anchors, self.norm = channels, num_anchors, norm
        self.convs = [
            ConvNorm(channels, 3, norm=norm, initializer="lecun_normal", name=f"conv{i + 1}")
            for i in range(num_convs)
        ]
        self.logits = keras.layers.Conv2D(num_anchors, 1, kernel_initializer=_small(), name="logits")
        self.deltas = keras.layers.Conv2D(4 * num_anchors, 1, kernel_initializer=_small(), name="deltas")

    def call(self, features: Levels, training: bool = False) -> tuple[Levels, Levels]:
        logits, deltas = {}, {}
        for level, x in features.items():
            for conv in self.convs:
                x = conv(x, training=training)
            batch = ops.shape(x)[0]
            logits[level] = ops.cast(ops.reshape(self.logits(x), (batch, -1)), "float32")
            deltas[level] = ops.cast(ops.reshape(self.deltas(x), (batch, -1, 4)), "float32")
        return logits, deltas


class Anchors(keras.layers.Layer):
    """Features by level and the padded images they come from -> {"P2": `[N_l, 4]`, ...} in image pixels.

    Args:
        sizes: one tuple per level of square roots of areas in pixels.
        ratios: heights over widths.
        rounded: whether base anchors have whole corners.
    """

    def __init__(
        self, sizes: tuple[tuple[float, ...], ...], ratios: tuple[float, ...], rounded: bool, **kwargs
    ):
        super().__init__(autocast=False, **kwargs)
        self.sizes, self.ratios, self.rounded = sizes, ratios, rounded

    def call(self, features: Levels, images: keras.KerasTensor) -> Levels:
        image_shape = tf.shape(images)[1:3]
        return {
            level: anchors.level_anchors(tf.shape(x)[1:3], image_shape, sizes, self.ratios, self.rounded)
            for (level, x), sizes in zip(features.items(), self.sizes, strict=True)
        }


class Proposals(keras.layers.Layer):
    """RPN outputs -> proposals `[B, R, 4]` float32 in image pixels, best first, and `valid [B, R]` bool.

    R is the largest number of proposals that an image of the batch has, at least 1; further rows are zeros.
    No gradient flows through (approximate joint training, Faster R-CNN section 3.2).

    Args:
        pre_nms_top_k: best anchors kept per level.
        post_nms_top_k: proposals kept over all levels.
        nms_iou: a proposal that overlaps a better one of its level by more than this is dropped.
        min_size: proposals with a side below this, in pixels, are dropped.
    """

    def __init__(self, pre_nms_top_k: int, post_nms_top_k: int, nms_iou: float, min_size: float, **kwargs):
        super().__init__(autocast=False, **kwargs)
        self.pre_nms_top_k, self.post_nms_top_k = pre_nms_top_k, post_nms_top_k
        self.nms_iou, self.min_size = nms_iou, min_size

    def call(
        self, logits: Levels, deltas: Levels, anchors: Levels, sizes: keras.KerasTensor
    ) -> tuple[keras.KerasTensor, keras.KerasTensor]:
        candidates = [self._best_of_level(logits[k], deltas[k], anchors[k], sizes) for k in logits]
        # the levels take the place of classes, so that each is suppressed by itself
        most = tf.reduce_max([tf.shape(scores)[1] for _, scores in candidates])
        level_boxes = tf.stack([_pad_rows(b, most, 0.0) for b, _ in candidates], axis=2)  # [B, K, L, 4]
        level_scores = tf.stack([_pad_rows(s, most, -float("inf")) for _, s in candidates], axis=2)
        proposals, _, _, count = tf.image.combined_non_max_suppression(
            level_boxes,
            level_scores,
            max_output_size_per_class=self.post_nms_top_k,
            max_total_size=self.post_nms_top_k,
            iou_threshold=self.nms_iou,
            score_threshold=-float("inf"),
            clip_boxes=False,
        )
        rows = tf.maximum(tf.reduce_max(count), 1)
        valid = tf.range(rows)[None] < count[:, None]  # [B, R]
        return tf.stop_gradient(proposals[:, :rows]), valid

    def _best_of_level(
        self, logits: tf.Tensor, deltas: tf.Tensor, anchors: tf.Tensor, sizes: tf.Tensor
    ) -> tuple[tf.Tensor, tf.Tensor]:
        count = tf.minimum(self.pre_nms_top_k, tf.shape(logits)[1])
        scores, indices = tf.math.top_k(logits, count)  # [B, K]
        best = boxes.decode(tf.gather(deltas, indices, batch_dims=1), tf.gather(anchors, indices))
        best = boxes.clip(best, sizes)  # [B, K, 4]
        large = tf.reduce_all(best[..., 2:] - best[..., :2] >= self.min_size, axis=-1)
        return best, tf.where(large, scores, -float("inf"))


def _pad_rows(x: tf.Tensor, rows: tf.Tensor, value: float) -> tf.Tensor:
    paddings = [[0, 0], [0, rows - tf.shape(x)[1]]] + [[0, 0]] * (len(x.shape) - 2)
    return tf.pad(x, paddings, constant_values=value)
