"""Convolution with 3x3 kernels by Winograd's minimal filtering F(4x4, 3x3), in a quarter of the multiplications.

Lavin and Gray 2016, section 4.3; `custom_ops/winograd.cc`. On a CPU, where TensorFlow multiplies out, this takes a
third to two thirds of the time, forward and back; with maps of a few tiles and hundreds of channels nothing is gained.
Rounding errors are about eight times those of the direct sum: 1e-4 of the outputs' spread.
"""

from typing import Any

import tensorflow as tf

LANES = 16
"""Channels come in multiples of this."""


def conv3x3(
    library: Any, images: tf.Tensor, kernel: tf.Tensor, bias: tf.Tensor | None = None, relu: bool = False
) -> tf.Tensor:
    """Convolve with stride 1 and zeros around the images, as `tf.nn.conv2d(..., padding="SAME")` does.

    Args:
        library: what TensorFlow made of the compiled operations.
        images: [B, H, W, I] float32 or bfloat16, I a multiple of 16.
        kernel: [3, 3, I, O] float32, O a multiple of 16.
        bias: [O] float32, added to the result.
        relu: whether what is negative then becomes zero.

    Returns:
        [B, H, W, O] of the images' dtype; all between is computed in float32.
    """
    bias = tf.zeros([kernel.shape[3]]) if bias is None else bias
    # The gradient is that of the operation which joins the result to what it was made of.
    convolved = _convolve(library, *map(tf.stop_gradient, (images, kernel, bias)), relu=relu)
    convolved = library.maskrcnn_winograd_convolution(images, kernel, bias, convolved, relu=relu)
    return tf.ensure_shape(convolved, [*images.shape[:3], kernel.shape[3]])


def gradient(library: Any, convolution: tf.Operation, above: tf.Tensor) -> list[tf.Tensor | None]:
    """Return the gradients of `conv3x3` to images, kernel, bias and, with which nothing was done, the result.

    Args:
        library: what TensorFlow made of the compiled operations.
        convolution: the operation that joins images, kernel, bias and result.
        above: [B, H, W, O], the gradient to the result.
    """
    images, kernel, bias, _ = convolution.inputs
    if convolution.get_attr("relu"):
        above = tf.raw_ops.ReluGrad(gradients=above, features=convolution.outputs[0])
    of_images = _convolve(library, above, kernel, tf.zeros([kernel.shape[2]]), turned=True)
    of_kernel = library.maskrcnn_winograd_kernel_grad(images, above)
    of_bias = tf.cast(tf.raw_ops.BiasAddGrad(out_backprop=above), bias.dtype)
    return [of_images, of_kernel, of_bias, None]


def _convolve(
    library: Any,
    images: tf.Tensor,
    kernel: tf.Tensor,
    bias: tf.Tensor,
    relu: bool = False,
    turned: bool = False,
) -> tf.Tensor:
    # Without this all kernels would be transformed at the beginning of the step.
    with tf.control_dependencies([images]):
        weights = library.maskrcnn_winograd_weights(kernel, turned=turned)
    return library.maskrcnn_winograd_convolve(images, weights, bias, relu=relu)


def fits(channels: int, filters: int) -> bool:
    """Whether `conv3x3` can take so many channels."""
    return channels % LANES == 0 and filters % LANES == 0
