"""Convolution with what is done to its result, by whatever computes it fast on this machine."""

import functools

import keras
import tensorflow as tf

from keras_maskrcnn.ops import cpu_convolution
from keras_maskrcnn.ops.library import library

CHANNELS = "channels_last"
"""The order of all features here, whatever `keras.config.image_data_format` is."""


@tf.autograph.experimental.do_not_convert
def convolve(
    images: tf.Tensor,
    kernel: tf.Tensor,
    scale: tf.Tensor | None = None,
    bias: tf.Tensor | None = None,
    residual: tf.Tensor | None = None,
    relu: bool = False,
    stride: int = 1,
    dilation: int = 1,
) -> tf.Tensor:
    """Return relu(images * (kernel times scale) + bias + residual).

    Around the images are dilation * (K - 1) / 2 zeros on every side, as in torch. On a CPU kernels of 1x1 and 3x3 are
    convolved by the compiled operations where these are (see `cpu_convolution.py`), which takes a third to nine tenths
    of TensorFlow's time; a GPU's own library chooses for itself. KERAS_MASKRCNN_OPS=plain turns them off.

    Args:
        images: [B, H, W, I].
        kernel: [K, K, I / groups, O] of the same dtype or a more exact one, K odd; groups are as many as fit.
        scale: [O] of the kernel's dtype, or none.
        bias: [O] of the kernel's dtype, or none.
        residual: [B, H', W', O] of the images' dtype, or none.
        relu: whether what is negative becomes zero.
        stride: step of the kernel.
        dilation: step between the kernel's taps.

    Returns:
        [B, H', W', O] of the images' dtype.
    """
    groups = images.shape[3] // kernel.shape[2]
    fits = groups == dilation == 1 and cpu_convolution.fits(images.dtype, tuple(kernel.shape), stride)
    compiled = None if not fits or tf.config.list_physical_devices("GPU") else library()
    if compiled is not None:
        scale, bias = (None if values is None else tf.cast(values, tf.float32) for values in (scale, bias))
        kernel = tf.cast(kernel, tf.float32)
        return cpu_convolution.convolve(compiled, images, kernel, scale, bias, residual, relu, stride)
    kernel = tf.cast(kernel if scale is None else kernel * scale, images.dtype)
    x = _convolve(images, kernel, stride, dilation, groups)
    # Not `x + bias`: TensorFlow would add that and the residual up by themselves, and fuse neither.
    x = x if bias is None else tf.nn.bias_add(x, tf.cast(bias, images.dtype))
    x = x if residual is None else x + residual
    return tf.nn.relu(x) if relu else x


def _convolve(images: tf.Tensor, kernel: tf.Tensor, stride: int, dilation: int, groups: int) -> tf.Tensor:
    padding, side = "same", dilation * (kernel.shape[0] // 2)
    if stride > 1 and side:  # where "same" puts more zeros at the end
        images = tf.pad(images, [[0, 0], [side, side], [side, side], [0, 0]])
        padding = "valid"
    if groups > 1:
        return grouped_conv(images, kernel, stride, padding, dilation)
    return keras.ops.conv(images, kernel, stride, padding, CHANNELS, dilation)


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
