"""Group normalisation (Wu and He 2018) with its gradient written out.

What TensorFlow derives from the sums and products takes twice the time on a CPU: it differentiates each by itself. The
compiled operation, `custom_ops/group_norm.cc`, reads an image twice instead of a dozen times.
"""

import tensorflow as tf

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
    compiled = library() if x.dtype == tf.float32 and not tf.config.list_physical_devices("GPU") else None
    if compiled is None:
        return _normalised(groups, epsilon)(x, gamma, beta)
    return compiled.maskrcnn_group_norm(x, gamma, beta, groups=groups, epsilon=epsilon).y


def _normalised(groups: int, epsilon: float):
    @tf.custom_gradient
    def normalise(x: tf.Tensor, gamma: tf.Tensor, beta: tf.Tensor):
        def group_mean(values: tf.Tensor) -> tf.Tensor:
            return _over_groups(_channel_means(values), groups)

        center = group_mean(x)  # [B, 1, ..., C], as all that an image's pixels share
        inverse = tf.math.rsqrt(group_mean(tf.math.squared_difference(x, center)) + epsilon)
        scale = inverse * gamma

        def gradient(above: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
            centered = x - center
            plain, along = _channel_means(above), _channel_means(above * centered) * inverse
            pixels = tf.cast(tf.reduce_prod(tf.shape(x)[1:-1]), x.dtype)
            shared = list(range(len(x.shape) - 1))
            of_gamma, of_beta = (pixels * tf.reduce_sum(means, shared) for means in (along, plain))
            # what moves the group's mean or its variance has no effect
            mean, slope = (_over_groups(means * gamma, groups) * inverse for means in (plain, along))
            return above * scale - (centered * (inverse * slope) + mean), of_gamma, of_beta

        return x * scale + (beta - center * scale), gradient

    return normalise


def _channel_means(values: tf.Tensor) -> tf.Tensor:
    """[B, ..., C] -> [B, 1, ..., C], the mean over an image's pixels.

    TensorFlow adds up a whole map at once, and on a CPU so plainly that a single image's variance is wrong in the
    fourth digit. Adding up one axis after the other is right, and faster.
    """
    for axis in range(len(values.shape) - 2, 0, -1):
        values = tf.reduce_mean(values, axis, keepdims=True)
    return values


def _over_groups(values: tf.Tensor, groups: int) -> tf.Tensor:
    """The mean over each group's channels, in the place of each of them."""
    size = values.shape[-1] // groups
    if size == 1:
        return values
    grouped = tf.reshape(values, [-1, groups, size])
    means = tf.broadcast_to(tf.reduce_mean(grouped, -1, keepdims=True), tf.shape(grouped))
    return tf.reshape(means, tf.shape(values))
