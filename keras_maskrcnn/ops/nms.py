"""Non-maximum suppression of proposals and of detections, hard or soft (Bodla et al. 2017), by TensorFlow's operations.

B images; R boxes per image; K classes; D detections per image.
"""

from collections.abc import Sequence

import tensorflow as tf

from keras_maskrcnn.ops import greedy_nms
from keras_maskrcnn.ops.dialect import elementary


def suppress(
    boxes: tf.Tensor,
    scores: tf.Tensor,
    thresholds: tf.Tensor,
    limit: int,
    nms_iou: float,
    soft_sigma: float = 0.0,
    across_classes: bool = False,
) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
    """Return the detections that NMS leaves of candidates: boxes `[B, D, 4]`, scores `[B, D]` and classes `[B, D]`.

    Soft NMS takes the best candidate, multiplies the score of each other by `exp(-IoU ** 2 / soft_sigma)` (equation 3
    of the paper), and goes on with the best of those, until none scores more than the threshold. So, as with hard NMS,
    a worse candidate never changes a better one: a lower limit or a higher threshold leaves the first of the same.

    Args:
        boxes: `[B, R, K or 1, 4]`.
        scores: `[B, R, K]`, -1 for what is no candidate.
        thresholds: `[B]`, at least 0; detections score more, with soft NMS after what they have lost.
        limit: D.
        nms_iou: the IoU with a better candidate above which hard NMS drops one.
        soft_sigma: of soft NMS, which drops none by its IoU; 0 for hard NMS.
        across_classes: whether candidates of different classes suppress each other.

    Returns:
        Best first; class ids, int32, count from 1; rows without a detection hold zeros.
    """
    if elementary():
        return greedy_nms.suppress(boxes, scores, thresholds, limit, nms_iou, soft_sigma, across_classes)
    if across_classes or soft_sigma:
        return _suppress_one_by_one(boxes, scores, thresholds, limit, nms_iou, soft_sigma, across_classes)
    scores = tf.where(scores > thresholds[:, None, None], scores, -1.0)
    kept, kept_scores, classes, count = _combined(boxes, scores, limit, nms_iou)
    real = tf.range(limit)[None] < count[:, None]
    return kept, kept_scores, tf.where(real, tf.cast(classes, tf.int32) + 1, 0)


def suppress_levels(
    candidates: Sequence[tuple[tf.Tensor, tf.Tensor]], limit: int, nms_iou: float
) -> tuple[tf.Tensor, tf.Tensor]:
    """Return the boxes `[B, R, 4]` that NMS leaves of each level by itself, best first, and `valid [B, R]` bool.

    R is the largest number of boxes that an image of the batch has, at least 1; further rows are zeros.

    Args:
        candidates: of each level boxes `[B, N, 4]` and scores `[B, N]`, best first; any numbers, minus infinity for
            what is no candidate.
        limit: most boxes over all levels.
        nms_iou: the IoU with a better candidate of its level above which one is dropped.
    """
    if elementary():
        kept, count = greedy_nms.suppress_levels(candidates, limit, nms_iou)
    else:
        # the levels take the place of classes, so that each is suppressed by itself
        most = tf.reduce_max([tf.shape(scores)[1] for _, scores in candidates])
        level_boxes = tf.stack([_pad_rows(b, most, 0.0) for b, _ in candidates], axis=2)  # [B, N, L, 4]
        level_scores = tf.stack([_pad_rows(s, most, -float("inf")) for _, s in candidates], axis=2)
        kept, _, _, count = _combined(level_boxes, _ranks(level_scores), limit, nms_iou)
    rows = tf.maximum(tf.reduce_max(count), 1)
    valid = tf.range(rows) < tf.expand_dims(count, 1)  # [B, R]
    return kept[:, :rows], valid


def _combined(
    boxes: tf.Tensor, scores: tf.Tensor, limit: int, nms_iou: float
) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor, tf.Tensor]:
    return tf.image.combined_non_max_suppression(
        boxes,
        scores,
        max_output_size_per_class=limit,
        max_total_size=limit,
        iou_threshold=nms_iou,
        score_threshold=0.0,
        clip_boxes=False,
    )


def _ranks(scores: tf.Tensor) -> tf.Tensor:
    """Return `[B, N, L]` in the order of the scores, above 0 but for those that are minus infinity.

    The NMS takes its own padding for candidates whose score is -1: better than many logits.
    """
    flat = tf.reshape(scores, [tf.shape(scores)[0], -1])
    order = tf.argsort(flat, direction="DESCENDING", stable=True)
    ranks = tf.shape(flat)[1] - tf.argsort(order)
    return tf.reshape(tf.where(flat > -float("inf"), tf.cast(ranks, tf.float32), -1.0), tf.shape(scores))


def _pad_rows(x: tf.Tensor, rows: tf.Tensor, value: float) -> tf.Tensor:
    paddings = [[0, 0], [0, rows - tf.shape(x)[1]]] + [[0, 0]] * (len(x.shape) - 2)
    return tf.pad(x, paddings, constant_values=value)


def _suppress_one_by_one(
    boxes: tf.Tensor,
    scores: tf.Tensor,
    thresholds: tf.Tensor,
    limit: int,
    nms_iou: float,
    soft_sigma: float,
    across_classes: bool,
) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
    """As `suppress`, one image or one of its classes after the other."""
    batch, rows, classes = tf.shape(scores)[0], tf.shape(scores)[1], scores.shape[2]
    boxes = tf.broadcast_to(boxes, [batch, rows, classes, 4])
    if across_classes:
        kept_scores, kept = _suppress_groups(
            tf.reshape(boxes, [batch, -1, 4]),
            tf.reshape(scores, [batch, -1]),
            *(thresholds, limit, nms_iou, soft_sigma),
        )
    else:
        kept_scores, kept = _suppress_groups(
            tf.reshape(tf.transpose(boxes, [0, 2, 1, 3]), [-1, rows, 4]),
            tf.reshape(tf.transpose(scores, [0, 2, 1]), [-1, rows]),
            *(tf.repeat(thresholds, classes), limit, nms_iou, soft_sigma),
        )  # [B * K, D]
        kept = kept * classes + tf.tile(tf.range(classes), [batch])[:, None]
    # [B, groups * D], of all R * K candidates of an image -> [B, D]
    kept_scores, best = tf.math.top_k(tf.reshape(kept_scores, [batch, -1]), limit)
    kept = tf.gather(tf.reshape(kept, [batch, -1]), best, batch_dims=1)
    kept_boxes = tf.gather(tf.reshape(boxes, [batch, -1, 4]), kept, batch_dims=1)
    real = kept_scores > 0
    return tf.where(real[..., None], kept_boxes, 0.0), kept_scores, tf.where(real, kept % classes + 1, 0)


def _suppress_groups(
    boxes: tf.Tensor, scores: tf.Tensor, thresholds: tf.Tensor, limit: int, nms_iou: float, soft_sigma: float
) -> tuple[tf.Tensor, tf.Tensor]:
    """Return the scores `[N, D]` of what is kept of N groups `[N, R, ...]`, best first, and the rows `[N, D]` in R."""

    def one_group(group: tuple[tf.Tensor, tf.Tensor, tf.Tensor]) -> tuple[tf.Tensor, tf.Tensor]:
        candidates, candidate_scores, threshold = group
        rows, kept = tf.image.non_max_suppression_with_scores(
            candidates,
            candidate_scores,
            limit,
            iou_threshold=1.0 if soft_sigma else nms_iou,
            score_threshold=threshold,
            soft_nms_sigma=soft_sigma / 2,  # TensorFlow's weight is exp(-IoU ** 2 / (2 * sigma))
        )
        padding = [[0, limit - tf.shape(rows)[0]]]
        return tf.pad(kept, padding), tf.pad(rows, padding)

    kept, rows = tf.map_fn(one_group, (boxes, scores, thresholds), fn_output_signature=(tf.float32, tf.int32))
    return tf.ensure_shape(kept, (None, limit)), tf.ensure_shape(rows, (None, limit))
