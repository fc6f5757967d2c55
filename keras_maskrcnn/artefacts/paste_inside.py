"""Masks pasted within the graph, as `masks.crop_paste` does with numpy."""

import tensorflow as tf


def paste_inside(
    masks: tf.Tensor, boxes: tf.Tensor, height: tf.Tensor, width: tf.Tensor, rule: str
) -> tf.Tensor:
    """Paste the masks of one image; see `crop_paste.paste_masks`, but all at once: 4 * D * H * W bytes and more.

    Args:
        masks: `[D, S, S]` probabilities.
        boxes: `[D, 4]` in pixels of the image.
        height, width: of the image.
        rule: `Config.paste`.

    Returns:
        `[D, height, width]` bool; nothing of a box without area.
    """
    size = masks.shape[1]
    frames = boxes
    if rule == "torchvision":
        frames = _torchvision_frames(boxes, size)
    elif rule == "matterport":
        fills = tf.reduce_min(masks, axis=[1, 2], keepdims=True) >= 0.5
        masks, frames = tf.where(fills, 4 * masks, masks), tf.round(boxes)
    x1, y1, x2, y2 = (frames[:, i : i + 1] for i in range(4))  # [D, 1]
    rows, columns = _weights(y1, y2, size, height), _weights(x1, x2, size, width)  # [D, H, S], [D, W, S]
    pasted = tf.matmul(tf.matmul(rows, masks), columns, transpose_b=True)
    return pasted >= 0.5


def _weights(start: tf.Tensor, stop: tf.Tensor, cells: int, length: tf.Tensor) -> tf.Tensor:
    """Weights `[D, length, cells]` of the cells of start..stop at the centres of pixels; none outside."""
    size = stop - start
    centres = tf.reshape(tf.range(length), [1, -1])
    centres = tf.cast(centres, tf.float32) + 0.5
    positions = (centres - start) * (cells / tf.where(size > 0, size, 1.0)) - 0.5
    inside = tf.cast((centres >= start) & (centres <= stop) & (size > 0), tf.float32)
    distances = tf.abs(tf.expand_dims(positions, 2) - tf.range(cells, dtype=tf.float32))
    return tf.maximum(1 - distances, 0.0) * tf.expand_dims(inside, 2)


def _torchvision_frames(boxes: tf.Tensor, size: int) -> tf.Tensor:
    """See `crop_paste.torchvision_paste_boxes`; in double precision, on which truncation depends."""
    boxes = tf.cast(boxes, tf.float64)
    centres = (boxes[:, :2] + boxes[:, 2:]) / 2
    half_sizes = (boxes[:, 2:] - boxes[:, :2]) / 2 * (1 + 2 / size)
    starts = _truncated(centres - half_sizes)
    stops = _truncated(centres + half_sizes) + 1
    margin = (stops - starts) / (size + 2)
    return tf.cast(tf.concat([starts + margin, stops - margin], axis=1), tf.float32)


def _truncated(values: tf.Tensor) -> tf.Tensor:
    return tf.cast(tf.cast(values, tf.int32), values.dtype)
