"""A function of one row after the other."""

from collections.abc import Callable, Sequence

import tensorflow as tf

from keras_maskrcnn.ops.dialect import elementary


def map_rows(
    function: Callable[[tuple[tf.Tensor, ...]], tf.Tensor],
    values: Sequence[tf.Tensor],
    shape: tuple[int, ...],
    at_once: int,
) -> tf.Tensor:
    """Return what a function makes of each row of some tensors.

    Args:
        function: takes a row of each of the values and returns one `[*shape]` float32.
        values: `[N, ...]` each.
        shape: of what it returns.
        at_once: rows that may be worked on at the same time, which bounds the memory.

    Returns:
        `[N, *shape]` float32.
    """
    if not elementary():
        return tf.map_fn(function, tuple(values), fn_output_signature=tf.float32, parallel_iterations=at_once)
    count = tf.shape(values[0])[0]
    numbers = tf.reshape(tf.range(count), [-1] + [1] * len(shape))

    def step(row: tf.Tensor, found: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        result = function(tuple(tf.gather(value, row) for value in values))
        return row + 1, tf.where(numbers == row, tf.reshape(result, [1, *shape]), found)

    start = tf.zeros(tf.stack([count, *shape]))
    return tf.while_loop(lambda row, _: row < count, step, (0, start))[1]
