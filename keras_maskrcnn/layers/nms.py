"""Non-maximum suppression where TensorFlow's combined one does not do: across classes, or soft (Bodla et al. 2017).

B images; R boxes per image; K classes; D detections per image.
"""

import tensorflow as tf


def suppress(
    boxes: tf.Tensor,
    scores: tf.Tensor,
    thresholds: tf.Tensor,
    limit: int,
    nms_iou: float,
    soft_sigma: float,
    across_classes: bool,
) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
    """Return the detections that NMS leaves of candidates: boxes `[B, D, 4]`, scores `[B, D]` and classes `[B, D]`.

    Soft NMS takes the best candidate, multiplies the score of each other by `exp(-IoU ** 2 / soft_sigma)` (equation 3
    of the paper), and goes on with the best of those, until none scores more than the threshold. So, as with hard NMS,
    a worse candidate never changes a better one: a lower limit or a higher threshold leaves the first of the same.

    Args:
        boxes: `[B, R, K or 1, 4]`.
        scores: `[B, R, K]`.
        thresholds: `[B]`, at least 0; detections score more, with soft NMS after what they have lost.
        limit: D.
        nms_iou: the IoU with a better candidate above which hard NMS drops one.
        soft_sigma: of soft NMS, which drops none by its IoU; 0 for hard NMS.
        across_classes: whether candidates of different classes suppress each other.

    Returns:
        Best first; class ids, int32, count from 1; rows without a detection hold zeros.
    """
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
