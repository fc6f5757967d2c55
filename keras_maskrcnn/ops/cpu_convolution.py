"""Convolution on a CPU by the compiled operations, with all that is done to its result on the way.

3x3 kernels go by Winograd's minimal filtering F(4x4, 3x3), in a quarter of the multiplications (Lavin and Gray 2016,
section 4.3; `custom_ops/winograd.cc`); rounding errors are about eight times those of the direct sum, 1e-4 of the
outputs' spread. 1x1 kernels, and 3x3 ones with a stride, are matrix products (`custom_ops/direct.cc`).
"""

from typing import Any

import tensorflow as tf

LANES = 16
"""Channels come in multiples of this."""
WINOGRAD, DIRECT = "MaskrcnnConvolve3x3", "MaskrcnnConvolveDirect"
"""The operations that convolve."""


def convolve(
    library: Any,
    images: tf.Tensor,
    kernel: tf.Tensor,
    scale: tf.Tensor | None = None,
    bias: tf.Tensor | None = None,
    residual: tf.Tensor | None = None,
    relu: bool = False,
    stride: int = 1,
) -> tf.Tensor:
    """Return relu(images * (kernel times scale) + bias + residual), with zeros around the images.

    Args:
        library: what TensorFlow made of the compiled operations.
        images: [B, H, W, I], float32 or, with 3x3 kernels of stride 1, bfloat16.
        kernel: [3, 3, I, O] or [1, 1, I, O] float32.
        scale: [O] float32.
        bias: [O] float32.
        residual: [B, H', W', O] of the images' dtype.
        relu: whether what is negative becomes zero.
        stride: step of the kernel.

    Returns:
        [B, H', W', O] of the images' dtype; all between is computed in float32.
    """
    nothing = tf.zeros([0])
    extras = [nothing if values is None else values for values in (scale, bias)]
    extras.append(tf.zeros([0], images.dtype) if residual is None else residual)
    return _run(library, (images, kernel, *extras), relu, turned=False, stride=stride)


def gradient(library: Any, convolution: tf.Operation, above: tf.Tensor) -> list[tf.Tensor]:
    """Return the gradients of `convolve` to its tensors: images, kernel, scale, bias and residual.

    Args:
        library: what TensorFlow made of the compiled operations.
        convolution: the operation that made the result of them.
        above: [B, H', W', O], the gradient to the result.

    Raises:
        LookupError: the operation is itself part of a gradient.
    """
    if convolution.get_attr("turned"):
        raise LookupError("a gradient of a convolution's gradient is not computed by the compiled operations")
    images, kernel, scale, bias, residual = convolution.inputs
    stride = convolution.get_attr("stride") if convolution.type == DIRECT else 1
    if convolution.get_attr("relu"):
        above = tf.raw_ops.ReluGrad(gradients=above, features=convolution.outputs[0])
    of_scaled = _kernel_gradient(library, images, above, kernel.shape[0], stride)
    of_kernel, of_scale = of_scaled, scale
    if _is_there(scale):
        of_kernel, of_scale = of_scaled * scale, tf.reduce_sum(of_scaled * kernel, [0, 1, 2])
    of_bias = bias
    if _is_there(bias):
        of_bias = tf.cast(tf.raw_ops.BiasAddGrad(out_backprop=above), tf.float32)
    of_images = _image_gradient(library, images, kernel, scale, above, stride)
    return [of_images, of_kernel, of_scale, of_bias, above if _is_there(residual) else residual]


def _run(library: Any, inputs: tuple[tf.Tensor, ...], relu: bool, turned: bool, stride: int) -> tf.Tensor:
    """Convolve by the operation for this kernel; inputs are images, kernel, scale, bias and residual."""
    if inputs[1].shape[0] == 3 and stride == 1:
        return library.maskrcnn_convolve3x3(*inputs, relu=relu, turned=turned)
    return library.maskrcnn_convolve_direct(*inputs, relu=relu, turned=turned, stride=stride)


def _image_gradient(
    library: Any, images: tf.Tensor, kernel: tf.Tensor, scale: tf.Tensor, above: tf.Tensor, stride: int
) -> tf.Tensor:
    if stride == 1:
        inputs = above, kernel, scale, tf.zeros([0]), tf.zeros([0], above.dtype)
        return _run(library, inputs, relu=False, turned=True, stride=1)
    around = kernel.shape[0] // 2
    shape = tf.shape(images)
    if _is_there(scale):
        # Else it would be made before the forward pass, and wait until the end of the backward one.
        with tf.control_dependencies([above]):
            kernel = kernel * scale
    padded = tf.raw_ops.Conv2DBackpropInput(
        input_sizes=shape + [0, 2 * around, 2 * around, 0],
        filter=kernel,
        out_backprop=above,
        strides=[1, stride, stride, 1],
        padding="VALID",
    )
    return tf.slice(padded, [0, around, around, 0], shape) if around else padded


def _kernel_gradient(library: Any, images: tf.Tensor, above: tf.Tensor, side: int, stride: int) -> tf.Tensor:
    if side == 3 and stride == 1:
        return library.maskrcnn_convolve3x3_kernel_grad(images, above)
    return library.maskrcnn_convolve_direct_kernel_grad(images, above, stride=stride, taps=side)


def _is_there(values: tf.Tensor) -> bool:
    return values.shape.rank != 1 or values.shape[0] != 0


def fits(dtype: tf.DType, kernel_shape: tuple[int, ...], stride: int) -> bool:
    """Whether `convolve` takes such images and kernels `[K, K, I, O]`."""
    side, channels = kernel_shape[0], kernel_shape[2:]
    if any(count % LANES for count in channels) or side not in (1, 3):
        return False
    return dtype == tf.float32 or (dtype == tf.bfloat16 and side == 3 and stride == 1)
