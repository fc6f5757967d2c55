"""Convolution with 3x3 kernels by Winograd's minimal filtering F(4x4, 3x3), in a quarter of the multiplications.

Lavin and Gray 2016, section 4.3; `custom_ops/winograd.cc`. On a CPU, where TensorFlow multiplies out, this takes a
third to two thirds of the time, forward and back; with maps of a few tiles and hundreds of channels nothing is gained.
Rounding errors are about eight times those of the direct sum: 1e-4 of the outputs' spread.
"""

from typing import Any

import numpy as np
import tensorflow as tf

LANES = 16
"""Channels come in multiples of this."""

# The kernel as a polynomial at 0, 1, -1, 2, -2 and infinity, scaled to the transforms of custom_ops/winograd.cc.
_POINTS = np.array(
    [[6, 0, 0], [-4, -4, -4], [-4, 4, -4], [1, 2, 4], [1, -2, 4], [0, 0, 24]], np.float32
) / np.float32(24)
_KERNEL = np.kron(_POINTS, _POINTS)  # [36, 9]


def conv3x3(library: Any, images: tf.Tensor, kernel: tf.Tensor) -> tf.Tensor:
    """Convolve with stride 1 and zeros around the images, as `tf.nn.conv2d(..., padding="SAME")` does.

    Args:
        library: what TensorFlow made of the compiled operations.
        images: [B, H, W, I] float32, I a multiple of 16.
        kernel: [3, 3, I, O] float32, O a multiple of 16.

    Returns:
        [B, H, W, O] float32.
    """
    # The gradient is that of the operation which joins the result to what it was made of.
    convolved = _convolve(library, tf.stop_gradient(images), tf.stop_gradient(kernel))
    convolved = library.maskrcnn_winograd_convolution(images, kernel, convolved)
    return tf.ensure_shape(convolved, [*images.shape[:3], kernel.shape[3]])


def gradient(library: Any, convolution: tf.Operation, above: tf.Tensor) -> list[tf.Tensor | None]:
    """Return the gradients of `conv3x3` to images, kernel and, with which nothing was done, the result.

    Args:
        library: what TensorFlow made of the compiled operations.
        convolution: the operation that joins images, kernel and result.
        above: [B, H, W, O] float32, the gradient to the result.
    """
    images, kernel, _ = convolution.inputs
    of_images = _convolve(library, above, tf.transpose(tf.reverse(kernel, [0, 1]), [0, 1, 3, 2]))
    # Without this all tiles would be made at the beginning of the backward pass.
    with tf.control_dependencies([above]):
        tiles = library.maskrcnn_winograd_gather(images, kind="input")  # [36, tiles, I]
    back = library.maskrcnn_winograd_gather(above, kind="output")  # [36, tiles, O]
    of_weights = tf.reshape(tf.matmul(tiles, back, transpose_a=True), [36, -1])
    of_kernel = tf.matmul(_KERNEL, of_weights, transpose_a=True)
    return [of_images, tf.reshape(of_kernel, kernel.shape), None]


def _convolve(library: Any, images: tf.Tensor, kernel: tf.Tensor) -> tf.Tensor:
    # Without this all kernels would be transformed at the beginning of the step.
    with tf.control_dependencies([images]):
        weights = _transformed(kernel)
    return library.maskrcnn_winograd_convolve(images, weights)


def _transformed(kernel: tf.Tensor) -> tf.Tensor:
    """[3, 3, I, O] -> [36, O / 16, I, 16]: 16 outputs side by side, as the products take them."""
    inputs, outputs = kernel.shape[2:]
    panels = tf.transpose(tf.reshape(kernel, [9, inputs, outputs // LANES, LANES]), [0, 2, 1, 3])
    weights = tf.matmul(_KERNEL, tf.reshape(panels, [9, -1]))
    return tf.reshape(weights, [36, outputs // LANES, inputs, LANES])


def fits(channels: int, filters: int) -> bool:
    """Whether `conv3x3` can take so many channels."""
    return channels % LANES == 0 and filters % LANES == 0
