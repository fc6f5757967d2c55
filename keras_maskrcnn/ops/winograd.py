"""Convolution with 3x3 kernels by Winograd's minimal filtering F(4x4, 3x3), in a quarter of the multiplications.

Lavin and Gray 2016, section 4.3. On a CPU, where TensorFlow multiplies out, this takes a third to a half of the time,
forward and back. Rounding errors are about eight times those of the direct sum: 1e-4 of the outputs' spread.
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
    # What TensorFlow differentiates, it keeps, and the tiles take more than twice the images' memory. So the gradient
    # is that of the operation which joins the result to what it was made of.
    fixed_images, fixed_kernel = tf.stop_gradient(images), tf.stop_gradient(kernel)
    # Without this all kernels would be transformed at the beginning of the step.
    with tf.control_dependencies([images]):
        weights = _transformed(fixed_kernel)
    tiles = library.maskrcnn_winograd_gather(fixed_images, kind="input")  # [36, tiles, I]
    products = tf.matmul(tiles, weights)  # [36, tiles, O]
    convolved = library.maskrcnn_winograd_scatter(products, tf.shape(images)[:3], kind="output")
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
    # Without this all tiles would be made at the beginning of the backward pass.
    with tf.control_dependencies([above]):
        tiles, weights = library.maskrcnn_winograd_gather(images, kind="input"), _transformed(kernel)
    back = library.maskrcnn_winograd_gather(above, kind="output")  # [36, tiles, O]
    of_tiles = tf.matmul(back, weights, transpose_b=True)
    of_images = library.maskrcnn_winograd_scatter(of_tiles, tf.shape(images)[:3], kind="input")
    of_weights = tf.reshape(tf.matmul(tiles, back, transpose_a=True), [36, -1])
    of_kernel = tf.matmul(_KERNEL, of_weights, transpose_a=True)
    return [of_images, tf.reshape(of_kernel, kernel.shape), None]


def _transformed(kernel: tf.Tensor) -> tf.Tensor:
    """[3, 3, I, O] -> [36, I, O]."""
    return tf.reshape(tf.matmul(_KERNEL, tf.reshape(kernel, [9, -1])), [36, *kernel.shape[2:]])


def fits(channels: int, filters: int) -> bool:
    """Whether `conv3x3` can take so many channels."""
    return channels % LANES == 0 and filters % LANES == 0
