"""A matrix product whose gradients are computed one after the other, so that less memory is needed at a time."""

from collections.abc import Callable

import tensorflow as tf


@tf.custom_gradient
def product(inputs: tf.Tensor, kernel: tf.Tensor) -> tuple[tf.Tensor, Callable[..., tuple[tf.Tensor, ...]]]:
    """Return `inputs [N, I]` times `kernel [I, O]`, `[N, O]`.

    Its gradient to the kernel comes first, after which the inputs are needed no more, and then the one to the inputs,
    which has their size: of 1000 RoIs that is 49 MiB.
    """

    def gradient(above: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        of_kernel = tf.matmul(inputs, above, transpose_a=True)
        with tf.control_dependencies([of_kernel]):
            above = tf.identity(above)
        return tf.matmul(above, kernel, transpose_b=True), of_kernel

    return tf.matmul(inputs, kernel), gradient
