"""Group normalisation (Wu and He 2018), by the compiled operation or in plain TensorFlow.

The compiled one, `custom_ops/group_norm.cc`, reads an image twice, and twice more for the gradient, where TensorFlow's
sums and products do so a dozen times.
"""

import tensorflow as tf

from keras_maskrcnn.ops import marked_group_norm
from keras_maskrcnn.ops.dialect import dialect
from keras_maskrcnn.ops.library import library


@tf.autograph.experimental.do_not_convert
def group_norm(x: tf.Tensor, gamma: tf.Tensor, beta: tf.Tensor, groups: int, epsilon: float) -> tf.Tensor:
    """Normalise each group of an image's channels to mean 0 and variance 1, then scale and shift.

    Args:
        x: [B, ..., C] float32 or float64, C a multiple of `groups`.
        gamma: [C] of the same dtype, as `beta`.
        groups: of neighbouring channels.
        epsilon: added to the variances.

    Returns:
        [B, ..., C], as x.
    """
    if dialect() == "marked" and len(x.shape) == 4:
        return marked_group_norm.group_norm(x, gamma, beta, groups, epsilon)
    compiled = library() if x.dtype == tf.float32 and not tf.config.list_physical_devices("GPU") else None
    if compiled is not None:
        return compiled.maskrcnn_group_norm(x, gamma, beta, groups=groups, epsilon=epsilon).y
    center = _group_means(x, groups)  # [B, 1, ..., C], as all that an image's pixels share
    variance = _group_means(tf.math.squared_difference(x, center), groups)
    scale = tf.math.rsqrt(variance + epsilon) * gamma
    return (x - center) * scale + beta


def _group_means(values: tf.Tensor, groups: int) -> tf.Tensor:
    """[B, ..., C] -> [B, 1, ..., C], the mean over an image's pixels and a group's channels, for each of these.

    TensorFlow adds up a whole map at once, and on a CPU so plainly that a single image's variance is wrong in the
    fourth digit. Adding up one axis after the other is right, and faster.
    """
    for axis in range(len(values.shape) - 2, 0, -1):
        values = tf.reduce_mean(values, axis, keepdims=True)
    size = values.shape[-1] // groups
    if size == 1:
        return values
    grouped = tf.reshape(values, [-1, groups, size])
    means = tf.broadcast_to(tf.reduce_mean(grouped, -1, keepdims=True), tf.shape(grouped))
    return tf.reshape(means, tf.shape(values))
