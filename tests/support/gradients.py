"""What a convolution and its gradients come to."""

import tensorflow as tf


def values_and_gradients(convolve, images, kernel, above):
    """convolve(images, kernel), and the gradients of sum(that * above) to images and kernel."""
    images, kernel = tf.constant(images), tf.constant(kernel)
    with tf.GradientTape() as tape:
        tape.watch([images, kernel])
        convolved = convolve(images, kernel)
        total = tf.reduce_sum(convolved * above)
    return [convolved, *tape.gradient(total, [images, kernel])]
