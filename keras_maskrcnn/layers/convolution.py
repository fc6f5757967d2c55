"""A convolution with its normalisation and activation, the block that backbone, FPN and heads are made of."""

import keras
from keras import ops

from keras_maskrcnn.config.checks import GROUPS
from keras_maskrcnn.layers.sync_batch_norm import SyncBatchNorm
from keras_maskrcnn.ops.convolution import convolve
from keras_maskrcnn.ops.group_norm import group_norm


class FrozenBatchNorm(keras.layers.Layer):
    """A batch normalisation whose statistics and affine never change.

    `model.trainable = True` does not thaw it: the weights themselves are not trainable.
    """

    def __init__(self, epsilon: float = 1e-5, **kwargs):
        super().__init__(**kwargs)
        self.epsilon = epsilon

    def build(self, input_shape: tuple) -> None:
        shape = (input_shape[-1],)
        self.gamma = self.add_weight(shape=shape, initializer="ones", trainable=False, name="gamma")
        self.beta = self.add_weight(shape=shape, initializer="zeros", trainable=False, name="beta")
        self.moving_mean = self.add_weight(
            shape=shape, initializer="zeros", trainable=False, name="moving_mean"
        )
        self.moving_variance = self.add_weight(
            shape=shape, initializer="ones", trainable=False, name="moving_variance"
        )

    def call(self, x: keras.KerasTensor, training: bool = False) -> keras.KerasTensor:
        scale, shift = folded(self)
        return x * ops.cast(scale, x.dtype) + ops.cast(shift, x.dtype)


class GroupNorm(keras.layers.GroupNormalization):
    """Keras' group normalisation of channels that come last, `[B, ..., C]`, to float32's precision."""

    def call(self, x: keras.KerasTensor) -> keras.KerasTensor:
        dtype = keras.backend.result_type(x.dtype, "float32")
        x, gamma, beta = (ops.cast(values, dtype) for values in (x, self.gamma, self.beta))
        return ops.cast(group_norm(x, gamma, beta, self.groups, self.epsilon), self.compute_dtype)


LEARNING = {"batch_norm": keras.layers.BatchNormalization, "sync_batch_norm": SyncBatchNorm}
"""Norms that learn statistics, of the images of a replica or of all."""


class ConvNorm(keras.layers.Layer):
    """A 2-D convolution, optionally normalised, optionally followed by ReLU: `[B, H, W, I] -> [B, H', W', O]`.

    Padding is symmetric, dilation * (kernel - 1) / 2 on every side, as in torch; Keras' "same" differs for stride 2.
    A batch normalisation that uses its moving statistics becomes a scale of the kernel and a bias, in float32 and
    differentiably, so that one fused convolution runs. A residual `[B, H', W', O]` that it is called with is added
    before the ReLU.

    Args:
        filters: output channels.
        kernel_size: odd side of the kernel.
        strides: step of the convolution.
        norm: "frozen_batch_norm", "batch_norm", "sync_batch_norm", "group_norm" or "none".
        epsilon: of the normalisation.
        relu: whether ReLU follows.
        initializer: Keras' name for the distribution of the initial kernel.
        groups: of channels that are convolved apart (ResNeXt).
        dilation: step between the kernel's taps.
        bias: whether there is a bias before the normalisation; without normalisation there always is.
    """

    def __init__(
        self,
        filters: int,
        kernel_size: int = 3,
        strides: int = 1,
        norm: str = "none",
        epsilon: float = 1e-5,
        relu: bool = True,
        initializer: str = "he_normal",
        groups: int = 1,
        dilation: int = 1,
        bias: bool = False,
        **kwargs,
    ):
        super().__init__(autocast=False, **kwargs)  # the fold below must not see rounded variables
        self.filters, self.kernel_size, self.strides = filters, kernel_size, strides
        self.norm, self.epsilon, self.relu, self.initializer = norm, epsilon, relu, initializer
        self.groups, self.dilation = groups, dilation
        self.normalization = make_norm(norm, filters, epsilon)
        self.has_bias = bias or self.normalization is None

    def build(self, input_shape: tuple) -> None:
        shape = (self.kernel_size, self.kernel_size, input_shape[-1] // self.groups, self.filters)
        self.kernel = self.add_weight(shape=shape, initializer=self.initializer, name="kernel")
        if self.has_bias:
            self.bias = self.add_weight(shape=(self.filters,), initializer="zeros", name="bias")
        if self.normalization is not None:
            self.normalization.build((*input_shape[:-1], self.filters))

    def call(
        self, x: keras.KerasTensor, residual: keras.KerasTensor | None = None, training: bool = False
    ) -> keras.KerasTensor:
        norm, bias = self.normalization, self.bias if self.has_bias else None
        if norm is None:
            return self._convolve(x, None, bias, residual, self.relu)
        if self.norm == "group_norm" or (self.norm in LEARNING and training and self.trainable):
            x = norm(self._convolve(x, None, bias, None, relu=False), training=training)
            x = x if residual is None else x + residual
            return ops.relu(x) if self.relu else x
        scale, shift = folded(norm)
        shift = shift if bias is None else shift + bias * scale
        return self._convolve(x, scale, shift, residual, self.relu)

    def _convolve(
        self,
        x: keras.KerasTensor,
        scale: keras.KerasTensor | None,
        bias: keras.KerasTensor | None,
        residual: keras.KerasTensor | None,
        relu: bool,
    ) -> keras.KerasTensor:
        x = ops.cast(x, self.compute_dtype)
        residual = None if residual is None else ops.cast(residual, self.compute_dtype)
        kernel = ops.convert_to_tensor(self.kernel)
        bias = None if bias is None else ops.convert_to_tensor(bias)
        return convolve(x, kernel, scale, bias, residual, relu, self.strides, self.dilation)


def folded(norm: keras.layers.Layer) -> tuple[keras.KerasTensor, keras.KerasTensor]:
    """Return scale and shift `[C]` that a batch norm with its moving statistics amounts to."""
    # torchvision's v1 weights go with an epsilon of 0, and a channel that never fires may have no variance
    scale = norm.gamma * ops.rsqrt(ops.maximum(norm.moving_variance + norm.epsilon, 1e-30))
    return scale, norm.beta - norm.moving_mean * scale


def make_norm(norm: str, channels: int, epsilon: float, name: str = "norm") -> keras.layers.Layer | None:
    """Return the layer that a name of `Config.norm` stands for, None for "none".

    Raises:
        ValueError: "group_norm" with channels that cannot be grouped.
    """
    if norm == "group_norm":
        if channels % GROUPS:
            raise ValueError(f"Group norm needs a multiple of {GROUPS} filters; got {channels}")
        return GroupNorm(GROUPS, epsilon=epsilon, name=name)
    if norm in LEARNING:
        return LEARNING[norm](momentum=0.9, epsilon=epsilon, name=name)
    return FrozenBatchNorm(epsilon, name=name) if norm == "frozen_batch_norm" else None
