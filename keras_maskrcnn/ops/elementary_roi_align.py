"""RoIAlign in elementary operations, for runtimes that have none of their own: a fixed number of samples per bin."""

from collections.abc import Sequence

import tensorflow as tf

from keras_maskrcnn.ops.reference import FAR_AWAY


def roi_align(
    features: Sequence[tf.Tensor],
    boxes: tf.Tensor,
    image_indices: tf.Tensor,
    levels: tf.Tensor,
    *,
    strides: Sequence[float],
    output_size: int,
    sampling_ratio: int,
    aligned: bool,
    mode: str,
) -> tf.Tensor:
    """Pool every box from its own level; arguments and result are those of `ops.roi_align`.

    The pixels of all levels stand in one table. Of the samples of a bin, one after the other is read for all bins at
    once, so that no more than the result's size is held. Indices are not checked.

    Raises:
        ValueError: `sampling_ratio` is 0: how many samples there are would depend on the box.
    """
    if sampling_ratio == 0:
        raise ValueError("RoIAlign in elementary operations needs a fixed sampling_ratio; got 0 (adaptive)")
    channels = features[0].shape[3]
    table = tf.concat([tf.reshape(level, [-1, channels]) for level in features], axis=0)  # [pixels, C]
    shapes = tf.stack([tf.shape(level)[:3] for level in features])  # [L, 3]: batch, height, width
    heights, widths = tf.gather(shapes[:, 1], levels), tf.gather(shapes[:, 2], levels)  # [N]
    first = tf.cumsum(tf.reduce_prod(shapes, axis=1), exclusive=True)  # [L]
    first = tf.gather(first, levels) + image_indices * heights * widths  # [N], of the box's image
    scales = tf.gather(tf.constant([1 / stride for stride in strides], tf.float32), levels)
    boxes = boxes * tf.reshape(scales, [-1, 1])
    x = _Axis(boxes[:, 0], boxes[:, 2], widths, output_size, sampling_ratio, aligned)
    y = _Axis(boxes[:, 1], boxes[:, 3], heights, output_size, sampling_ratio, aligned)

    samples = [
        _sample(table, first, widths, y.at(row), x.at(column))
        for row in range(sampling_ratio)
        for column in range(sampling_ratio)
    ]
    pooled = samples[0]
    for sample in samples[1:]:
        pooled = tf.maximum(pooled, sample) if mode == "max" else pooled + sample
    return pooled if mode == "max" else pooled / len(samples)


class _Axis:
    """Where one axis of N boxes, in feature pixels, is sampled."""

    def __init__(
        self, low: tf.Tensor, high: tf.Tensor, length: tf.Tensor, bins: int, ratio: int, aligned: bool
    ):
        self.length, self.bins, self.ratio = tf.cast(tf.reshape(length, [-1, 1]), tf.float32), bins, ratio
        offset = 0.5 if aligned else 0.0
        start = tf.clip_by_value(low - offset, -FAR_AWAY, FAR_AWAY)
        size = tf.clip_by_value(high - offset, -FAR_AWAY, FAR_AWAY) - start
        self.start = tf.reshape(start, [-1, 1])  # [N, 1]
        self.bin = tf.reshape(size if aligned else tf.maximum(size, 1.0), [-1, 1]) / bins  # [N, 1]

    def at(self, number: int) -> list[tuple[tf.Tensor, tf.Tensor]]:
        """Return the two pixels `[N, P]` int32, and their weights, between which a sample of each bin lies."""
        steps = tf.range(self.bins, dtype=tf.float32) + (number + 0.5) / self.ratio  # [P]
        position = self.start + self.bin * tf.reshape(steps, [1, -1])
        inside = tf.cast((position >= -1.0) & (position <= self.length), tf.float32)
        position = tf.minimum(tf.maximum(position, 0.0), self.length - 1)
        low = tf.floor(position)
        high = tf.minimum(low + 1, self.length - 1)
        fraction = position - low
        return [
            (tf.cast(low, tf.int32), (1 - fraction) * inside),
            (tf.cast(high, tf.int32), fraction * inside),
        ]


def _sample(
    table: tf.Tensor,
    first: tf.Tensor,
    widths: tf.Tensor,
    rows: list[tuple[tf.Tensor, tf.Tensor]],
    columns: list[tuple[tf.Tensor, tf.Tensor]],
) -> tf.Tensor:
    """Interpolate one sample of each bin: `[N, P, P, C]`."""
    total = None
    first, widths = tf.reshape(first, [-1, 1, 1]), tf.reshape(widths, [-1, 1, 1])
    for row, row_weight in rows:
        for column, column_weight in columns:
            pixels = first + tf.expand_dims(row, 2) * widths + tf.expand_dims(column, 1)  # [N, P, P]
            weights = tf.expand_dims(row_weight, 2) * tf.expand_dims(column_weight, 1)
            read = tf.gather(table, pixels) * tf.expand_dims(weights, 3)
            total = read if total is None else total + read
    return total
