"""Convolutions that TensorFlow or Keras computes slowly on CPUs: 3x3 with stride 1, and of groups of channels."""

import functools

import keras
import tensorflow as tf

from keras_maskrcnn.ops import winograd
from keras_maskrcnn.ops.library import library

CHANNELS = "channels_last"
"""The order of all features here, whatever `keras.config.image_data_format` is."""


@tf.autograph.experimental.do_not_convert
def conv3x3(
    images: tf.Tensor, kernel: tf.Tensor, bias: tf.Tensor | None = None, relu: bool = False
) -> tf.Tensor:
    """Convolve with stride 1 and one pixel of zeros around the images, as `tf.nn.conv2d(..., padding="SAME")` does.

    On a CPU float32 and bfloat16 are convolved by Winograd's algorithm where the compiled operations are (see
    `winograd.py`), which takes a fifth to a half of the time; a GPU's own library chooses for itself.
    KERAS_MASKRCNN_OPS=plain turns it off.

    Args:
        images: [B, H, W, I].
        kernel: [3, 3, I, O] of the same dtype, or more exact.
        bias: [O] as the kernel, added to the result.
        relu: whether what is negative then becomes zero.

    Returns:
        [B, H, W, O] of the images' dtype.
    """
    fits = images.dtype in (tf.float32, tf.bfloat16) and winograd.fits(*kernel.shape[2:])
    compiled = None if not fits or tf.config.list_physical_devices("GPU") else library()
    if compiled is not None:
        kernel, bias = (None if x is None else tf.cast(x, tf.float32) for x in (kernel, bias))
        return winograd.conv3x3(compiled, images, kernel, bias, relu)
    x = tf.nn.conv2d(images, tf.cast(kernel, images.dtype), 1, "SAME")
    x = x if bias is None else x + tf.cast(bias, images.dtype)
    return tf.nn.relu(x) if relu else x


@tf.autograph.experimental.do_not_convert
def grouped_conv(
    images: tf.Tensor, kernel: tf.Tensor, strides: int, padding: str, dilation: int = 1
) -> tf.Tensor:
    """Convolve groups of channels apart from each other, as ResNeXt does (Xie et al. 2017).

    Keras compiles such a convolution with XLA, whose gradient on a CPU takes hundreds of times as long as TensorFlow's
    own. That has one on GPUs, and on CPUs for float32 and bfloat16 where oneDNN is on; elsewhere, and where the taps
    are apart, Keras' serves.

    Args:
        images: [B, H, W, I].
        kernel: [K, K, I / groups, O] of the same dtype.
        strides: step of the convolution.
        padding: "same" or "valid".
        dilation: step between the kernel's taps.

    Returns:
        [B, H', W', O].
    """
    if dilation == 1 and _has_grouped_gradient(images.dtype):
        return tf.nn.conv2d(images, kernel, strides, padding.upper())
    return keras.ops.conv(images, kernel, strides, padding, CHANNELS, dilation)


@functools.cache
def _has_grouped_gradient(dtype: tf.DType) -> bool:
    """Tell by trying whether TensorFlow's convolution of groups has a gradient on this machine."""
    with tf.init_scope():
        images, kernel = tf.ones([1, 2, 2, 4], dtype), tf.ones([1, 1, 2, 4], dtype)
        try:
            tf.raw_ops.Conv2DBackpropInput(
                input_sizes=[1, 2, 2, 4], filter=kernel, out_backprop=images, strides=[1] * 4, padding="SAME"
            )
            tf.raw_ops.Conv2DBackpropFilter(
                input=images, filter_sizes=[1, 1, 2, 4], out_backprop=images, strides=[1] * 4, padding="SAME"
            )
        except tf.errors.OpError:
            return False
    return True
