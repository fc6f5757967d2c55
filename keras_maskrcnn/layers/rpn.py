"""Region proposal network (Ren et al. 2015) over a feature pyramid.

B images; A anchors per cell; N_l = H_l * W_l * A anchors of level l; R proposals.
"""

import functools

import keras
import tensorflow as tf
from keras import ops

from keras_maskrcnn.layers.composite import Composite, Shape, build_in_turn
from keras_maskrcnn.layers.convolution import ConvNorm
from keras_maskrcnn.ops import anchors, boxes
from keras_maskrcnn.ops.convolution import CHANNELS
from keras_maskrcnn.ops.nms import suppress_levels

Levels = dict[str, keras.KerasTensor]


def _small() -> keras.initializers.Initializer:
    return keras.initializers.RandomNormal(stddev=0.01)


class RPNHead(Composite):
    """One small network for every level: features -> objectness logits `[B, N_l]` and deltas `[B, N_l, 4]`, float32.

    Anchors run y, x, anchor.

    Args:
        channels: of the 3x3 convolutions.
        num_anchors: A, anchors per cell.
        num_convs: 3x3 convolutions before the predictors.
        softmax: whether anchors have two logits, for background and object; their difference is the one that a
            sigmoid takes.
    """

    def __init__(self, channels: int, num_anchors: int, num_convs: int = 1, softmax: bool = False, **kwargs):
        super().__init__(autocast=False, **kwargs)
        self.softmax = softmax
        self.convs = [
            ConvNorm(channels, 3, initializer="lecun_normal", name=f"conv{i + 1}") for i in range(num_convs)
        ]
        outputs = 2 * num_anchors if softmax else num_anchors
        last = functools.partial(keras.layers.Conv2D, kernel_size=1, data_format=CHANNELS)
        self.logits = last(outputs, kernel_initializer=_small(), name="logits")
        self.deltas = last(4 * num_anchors, kernel_initializer=_small(), name="deltas")

    def build(self, input_shape: dict[str, Shape]) -> None:
        """Build what all levels share, for the channels of the first."""
        _, _, _, channels = next(iter(input_shape.values()))
        shape = build_in_turn(self.convs, (None, None, None, channels))
        self.logits.build(shape)
        self.deltas.build(shape)

    def call(self, features: Levels, training: bool = False) -> tuple[Levels, Levels]:
        logits, deltas = {}, {}
        for level, x in features.items():
            for conv in self.convs:
                x = conv(x, training=training)
            batch = ops.shape(x)[0]
            logits[level] = self._one_logit(ops.cast(self.logits(x), "float32"), batch)
            deltas[level] = ops.cast(ops.reshape(self.deltas(x), (batch, -1, 4)), "float32")
        return logits, deltas

    def _one_logit(self, logits: keras.KerasTensor, batch: keras.KerasTensor) -> keras.KerasTensor:
        if not self.softmax:
            return ops.reshape(logits, (batch, -1))
        pairs = ops.reshape(logits, (batch, -1, 2))
        return pairs[..., 1] - pairs[..., 0]


class Anchors(keras.layers.Layer):
    """Features by level and the padded images they come from -> {"P2": `[N_l, 4]`, ...} in image pixels.

    Args:
        sizes: one tuple per level of square roots of areas in pixels.
        ratios: heights over widths.
        rounded: whether base anchors have whole corners.
        strides: pixels between the anchors of each level; none for the whole part of image size / level size.
        last_pixel: whether boxes end on their last pixel instead of behind it.
    """

    def __init__(
        self,
        sizes: tuple[tuple[float, ...], ...],
        ratios: tuple[float, ...],
        rounded: bool,
        strides: tuple[int, ...] = (),
        last_pixel: bool = False,
        **kwargs,
    ):
        super().__init__(autocast=False, **kwargs)
        self.sizes, self.ratios, self.rounded = sizes, ratios, rounded
        self.strides, self.last_pixel = strides, last_pixel

    def call(self, features: Levels, images: keras.KerasTensor) -> Levels:
        image_shape = tf.shape(images)[1:3]
        found = {}
        for number, (level, x) in enumerate(features.items()):
            shape = tf.shape(x)[1:3]
            strides = [self.strides[number]] * 2 if self.strides else image_shape // shape
            found[level] = anchors.level_anchors(
                shape, strides, self.sizes[number], self.ratios, self.rounded
            )
            if self.last_pixel:
                found[level] -= [0.0, 0.0, 1.0, 1.0]
        return found


class Proposals(keras.layers.Layer):
    """RPN outputs -> proposals `[B, R, 4]` float32 in image pixels, best first, and `valid [B, R]` bool.

    R is the largest number of proposals that an image of the batch has, at least 1; further rows are zeros.
    No gradient flows through (approximate joint training, Faster R-CNN section 3.2). `windows [B, 4]` are what boxes
    are clipped to.

    Args:
        pre_nms_top_k: best anchors kept per level.
        post_nms_top_k: proposals kept over all levels.
        nms_iou: a proposal that overlaps a better one of its level by more than this is dropped.
        min_size: proposals with a side below this, in pixels, are dropped.
        delta_weights: of `boxes.decode`, as are `clamp` and `clamp_shrinking`.
        joint: whether all levels are one.
        rank_probabilities: whether anchors rank by probability instead of logit: those near 1, which float32 cannot
            tell apart, by position, the last first.
    """

    def __init__(
        self,
        pre_nms_top_k: int,
        post_nms_top_k: int,
        nms_iou: float,
        min_size: float,
        delta_weights: tuple[float, ...] = (1.0, 1.0, 1.0, 1.0),
        clamp: bool = True,
        clamp_shrinking: bool = False,
        joint: bool = False,
        rank_probabilities: bool = False,
        **kwargs,
    ):
        super().__init__(autocast=False, **kwargs)
        self.pre_nms_top_k, self.post_nms_top_k = pre_nms_top_k, post_nms_top_k
        self.nms_iou, self.min_size = nms_iou, min_size
        self.delta_weights, self.joint = tuple(delta_weights), joint
        self.clamp, self.clamp_shrinking = clamp, clamp_shrinking
        self.rank_probabilities = rank_probabilities

    def call(
        self, logits: Levels, deltas: Levels, anchors: Levels, windows: keras.KerasTensor
    ) -> tuple[keras.KerasTensor, keras.KerasTensor]:
        candidates = [found[1:] for found in self.candidates(logits, deltas, anchors, windows)]
        proposals, valid = suppress_levels(candidates, self.post_nms_top_k, self.nms_iou)
        return tf.stop_gradient(proposals), valid

    def candidates(
        self, logits: Levels, deltas: Levels, anchors: Levels, windows: tf.Tensor
    ) -> list[tuple[tf.Tensor, tf.Tensor, tf.Tensor]]:
        """Return what NMS chooses from, of each level, best first.

        That is the best anchors `[B, N, 4]`, the boxes `[B, N, 4]` that their deltas make of them, and scores `[B, N]`:
        logits or probabilities, minus infinity for boxes that are too small.
        """
        if self.joint:
            logits = {"all": tf.concat(list(logits.values()), axis=1)}
            deltas = {"all": tf.concat(list(deltas.values()), axis=1)}
            anchors = {"all": tf.concat(list(anchors.values()), axis=0)}
        return [self._best_of_level(logits[k], deltas[k], anchors[k], windows) for k in logits]

    def _best_of_level(
        self, logits: tf.Tensor, deltas: tf.Tensor, anchors: tf.Tensor, windows: tf.Tensor
    ) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
        count = tf.minimum(self.pre_nms_top_k, tf.shape(logits)[1])
        scores = logits
        if self.rank_probabilities:
            # as a softmax computes them, in steps of 1e-7; of equal ones TensorFlow 1's NMS takes the last first
            scores = tf.reverse(1 / (1 + tf.exp(-logits)), [1])
            deltas, anchors = tf.reverse(deltas, [1]), tf.reverse(anchors, [0])
        scores, indices = tf.math.top_k(scores, count)  # [B, K]
        chosen = tf.gather(anchors, indices)
        best = tf.gather(deltas, indices, batch_dims=1)
        best = boxes.decode(best, chosen, self.delta_weights, self.clamp, self.clamp_shrinking)
        best = boxes.clip(best, windows)  # [B, K, 4]
        large = tf.reduce_all(best[..., 2:] - best[..., :2] >= self.min_size, axis=-1)
        return chosen, best, tf.where(large, scores, -float("inf"))
