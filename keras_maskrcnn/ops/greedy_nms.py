"""Non-maximum suppression in elementary operations, for runtimes that have none of their own.

B images; R boxes per image; K classes; D detections per image.
"""

from collections.abc import Sequence

import tensorflow as tf

from keras_maskrcnn.ops import boxes as box_ops


def suppress(
    boxes: tf.Tensor,
    scores: tf.Tensor,
    thresholds: tf.Tensor,
    limit: int,
    nms_iou: float,
    soft_sigma: float,
    across_classes: bool,
) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
    """Do what `nms.suppress` does, one detection of each image after the other.

    The best of all candidates is always kept. So one loop over the detections serves all classes at once, and hard and
    soft suppression alike. It goes over those that score more than the threshold, which others never do.
    """
    batch, classes = tf.shape(scores)[0], scores.shape[2]
    thresholds = tf.reshape(thresholds, [-1, 1])  # [B, 1]
    left, order = _candidates(tf.reshape(scores, [batch, -1]), thresholds)  # [B, N]
    class_of = order % classes
    candidates = tf.gather(
        tf.reshape(boxes, [batch, -1, 4]),
        order if boxes.shape[2] == classes else order // classes,
        batch_dims=1,
    )  # [B, N, 4]
    numbers = tf.range(tf.shape(left)[1])  # [N]

    def goes_on(row: tf.Tensor, left: tf.Tensor, *_: tf.Tensor) -> tf.Tensor:
        return (row < limit) & tf.reduce_any(tf.reduce_max(left, axis=1, keepdims=True) > thresholds)

    def take_best(
        row: tf.Tensor, left: tf.Tensor, kept: tf.Tensor, kept_scores: tf.Tensor, kept_classes: tf.Tensor
    ) -> tuple[tf.Tensor, ...]:
        best = tf.reshape(tf.argmax(left, axis=1, output_type=tf.int32), [-1, 1])  # [B, 1]
        score = tf.reduce_max(left, axis=1, keepdims=True)
        real = score > thresholds  # [B, 1]
        box = tf.gather(candidates, best, batch_dims=1)  # [B, 1, 4]
        its_class = tf.gather(class_of, best, batch_dims=1)  # [B, 1]
        overlaps = tf.reshape(box_ops.iou(box, candidates), tf.shape(left))
        if soft_sigma:
            lowered = left * tf.exp(-tf.square(overlaps) / soft_sigma)
        else:
            lowered = tf.where(overlaps > nms_iou, -1.0, left)
        concerned = real if across_classes else real & (class_of == its_class)
        left = tf.where(concerned, lowered, left)
        left = tf.where(numbers == best, -1.0, left)
        here = (tf.range(limit) == row) & real  # [B, D]
        kept = tf.where(tf.reshape(here, [batch, limit, 1]), box, kept)
        kept_scores = tf.where(here, score, kept_scores)
        return row + 1, left, kept, kept_scores, tf.where(here, its_class + 1, kept_classes)

    zeros = tf.zeros(tf.stack([batch, limit]))
    start = 0, left, tf.zeros(tf.stack([batch, limit, 4])), zeros, tf.cast(zeros, tf.int32)
    _, _, kept, kept_scores, kept_classes = tf.while_loop(goes_on, take_best, start)
    return kept, kept_scores, kept_classes


def _candidates(scores: tf.Tensor, thresholds: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """Return the N best of scores `[B, R * K]`, best first, and their places; N is the most that an image has above its
    threshold `[B, 1]`, at least 1."""
    above = tf.reduce_sum(tf.cast(scores > thresholds, tf.int32), axis=1)  # [B]
    return tf.math.top_k(scores, tf.maximum(tf.reduce_max(above), 1))


def suppress_levels(
    candidates: Sequence[tuple[tf.Tensor, tf.Tensor]], limit: int, nms_iou: float
) -> tuple[tf.Tensor, tf.Tensor]:
    """Return boxes `[B, limit, 4]`, zeros where there are no more, and their number `[B]`; as `nms.suppress_levels`."""
    kept = [
        tf.where(_unsuppressed(boxes, scores, nms_iou), scores, -float("inf")) for boxes, scores in candidates
    ]
    batch = tf.shape(kept[0])[0]
    boxes = tf.concat([boxes for boxes, _ in candidates] + [tf.zeros(tf.stack([batch, limit, 4]))], axis=1)
    nothing = tf.fill(tf.stack([batch, limit]), -float("inf"))
    scores, best = tf.math.top_k(tf.concat([*kept, nothing], axis=1), limit)  # [B, limit]
    real = scores > -float("inf")
    chosen = tf.gather(boxes, best, batch_dims=1)
    count = tf.reduce_sum(tf.cast(real, tf.int32), axis=1)
    return chosen * tf.expand_dims(tf.cast(real, tf.float32), 2), count


def _unsuppressed(boxes: tf.Tensor, scores: tf.Tensor, nms_iou: float) -> tf.Tensor:
    """Return which of boxes `[B, N, 4]`, best first, greedy suppression leaves: `[B, N]` bool.

    A box is kept if none before it that is kept overlaps it. Asked of all boxes at once, again and again, the answers
    are right for the first, then for those that only the first can suppress, and so on, until they stay the same.
    """
    possible = scores > -float("inf")  # [B, N]
    numbers = tf.range(tf.shape(scores)[1])
    before = tf.reshape(numbers, [1, -1]) < tf.reshape(numbers, [-1, 1])  # [N, N]
    suppresses = tf.cast((box_ops.iou(boxes, boxes) > nms_iou) & before, tf.float32)  # [B, N, N]

    def ask(kept: tf.Tensor, _: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        better = tf.linalg.matvec(suppresses, tf.cast(kept, tf.float32))  # [B, N], how many that are kept
        now = possible & (better < 0.5)
        return now, tf.reduce_any(tf.not_equal(now, kept))

    return tf.while_loop(lambda _, changed: changed, ask, (possible, tf.constant(True)))[0]
