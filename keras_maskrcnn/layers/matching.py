"""Label assignment: which ground truth each anchor or proposal belongs to.

G ground-truth rows, class 0 where padded; N candidates (anchors or proposals).
"""

from collections.abc import Callable

import tensorflow as tf

from keras_maskrcnn.ops import boxes

POSITIVE, NEGATIVE, IGNORED = 1, 0, -1
BLOCK = 2**20
"""Overlaps that are computed at a time: in a crowd there are many millions, and an array of them is slow as well."""


def match(
    overlaps: Callable[[tf.Tensor, tf.Tensor], tf.Tensor],
    rows: tf.Tensor,
    count: tf.Tensor,
    positive_iou: float,
    negative_iou: float,
    low_quality: bool,
) -> tuple[tf.Tensor, tf.Tensor]:
    """Assign each candidate to the ground truth that it overlaps most, the first of several.

    Args:
        overlaps: called with the first row and the one after the last, it returns their IoUs `[rows, N]`, 0..1, with
            all candidates; rows that must not be matched hold zeros.
        rows: how many there are.
        count: N.
        positive_iou: candidates at or above are positive.
        negative_iou: candidates below are negative; those in between are ignored.
        low_quality: makes the best candidates of every ground truth positive too, whatever their IoU (Faster
            R-CNN section 3.1.2, rule i). Each keeps the ground truth that it overlaps most itself (Detectron).

    Returns:
        `matched [N]` int32, a row, and `labels [N]` int32: POSITIVE, NEGATIVE or IGNORED.
    """
    at_a_time = tf.maximum(BLOCK // tf.maximum(count, 1), 1)

    def add(start: tf.Tensor, *before: tf.Tensor) -> tuple[tf.Tensor, ...]:
        best, matched, is_best = before
        stop = tf.minimum(start + at_a_time, rows)
        iou = overlaps(start, stop)  # [rows, N]
        block_best = tf.reduce_max(iou, axis=0)
        better = block_best > best
        matched = tf.where(better, start + tf.argmax(iou, axis=0, output_type=tf.int32), matched)
        if low_quality:
            best_of_row = tf.reduce_max(iou, axis=1, keepdims=True)
            # an IoU of 0 is nobody's best, and no IoU is 2
            best_of_row = tf.where(best_of_row > 0, best_of_row, 2.0)
            is_best |= tf.reduce_any(iou == best_of_row, axis=0)
        return stop, tf.where(better, block_best, best), matched, is_best

    nothing = tf.zeros([count]), tf.zeros([count], tf.int32), tf.zeros([count], tf.bool)
    _, best, matched, is_best = tf.while_loop(
        lambda start, *_: start < rows, add, (tf.constant(0), *nothing), parallel_iterations=1
    )
    labels = tf.where(best >= positive_iou, POSITIVE, tf.where(best < negative_iou, NEGATIVE, IGNORED))
    return matched, tf.where(is_best, POSITIVE, labels)


def match_image(
    candidates: tf.Tensor,
    gt_boxes: tf.Tensor,
    gt_classes: tf.Tensor,
    gt_crowd: tf.Tensor,
    thresholds: tuple[float, float],
    low_quality: bool,
    crowd_overlap: float,
) -> tuple[tf.Tensor, tf.Tensor]:
    """`match` for one image: candidates `[N, 4]` against ground truth `[G, ...]`, crowds set apart.

    A candidate that is not positive and has a fraction of `crowd_overlap` of its own area inside a crowd is
    ignored; no candidate is matched to a crowd.
    """
    real = (gt_classes > 0) & ~gt_crowd
    # padding comes last, and may be most of what an image has beside a crowded one
    rows = tf.reduce_max(tf.where(real, tf.range(1, tf.size(real) + 1), 0))

    def overlaps(start: tf.Tensor, stop: tf.Tensor) -> tf.Tensor:
        return tf.where(real[start:stop, None], boxes.iou(gt_boxes[start:stop], candidates), 0.0)

    matched, labels = match(overlaps, rows, tf.shape(candidates)[0], *thresholds, low_quality)
    crowds = tf.boolean_mask(
        gt_boxes, gt_crowd
    )  # few or none: their overlaps with all anchors take little memory
    inside = boxes.intersection_over_area(candidates, crowds)  # [N, crowds]
    in_crowd = tf.reduce_any(inside >= crowd_overlap, axis=1)
    return matched, tf.where(in_crowd & (labels != POSITIVE), IGNORED, labels)
