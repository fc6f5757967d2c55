"""Group normalisation as a mark in the graph, of which a converter makes the operation of its format."""

import tensorflow as tf


def group_norm(x: tf.Tensor, gamma: tf.Tensor, beta: tf.Tensor, groups: int, epsilon: float) -> tf.Tensor:
    """Mark where `x [B, H, W, C]` is normalised; arguments are those of `ops.group_norm`.

    The mark is a batch norm of training, of which an inference graph has no other, with the number of groups as
    the factor of its moving averages: what TensorFlow would compute of it is not group normalisation.
    """
    nothing = tf.zeros([x.shape[-1]])
    return tf.raw_ops.FusedBatchNormV3(
        x=x,
        scale=gamma,
        offset=beta,
        mean=nothing,
        variance=nothing,
        epsilon=epsilon,
        exponential_avg_factor=float(groups),
        is_training=True,
    ).y


def marked_groups(is_training: bool, factor: float) -> int:
    """Return the number of groups that a batch norm says.

    Raises:
        ValueError: it is a batch norm, and no mark.
    """
    if not is_training:
        raise ValueError("a batch norm of the graph is no mark of group normalisation")
    return int(factor)
