"""A matrix product whose gradients are computed one after the other, so that less memory is needed at a time."""

import tensorflow as tf

from keras_maskrcnn.ops.library import library


@tf.autograph.experimental.do_not_convert
def product(inputs: tf.Tensor, kernel: tf.Tensor) -> tf.Tensor:
    """Return `inputs [N, I]` times `kernel [I, O]`, `[N, O]`, all of one float dtype.

    On a CPU, by a compiled operation, its gradient to the kernel comes first, after which the inputs are needed no
    more, and then the one to the inputs, which has their size: 49 MiB of a thousand RoIs.
    """
    compiled = None if tf.config.list_physical_devices("GPU") else library()
    if compiled is None:
        return tf.matmul(inputs, kernel)
    computed = tf.matmul(tf.stop_gradient(inputs), tf.stop_gradient(kernel))
    return compiled.maskrcnn_product(inputs, kernel, computed)
