"""A convolution with its normalisation and activation, the block that backbone, FPN and heads are made of."""

import keras
from keras import ops

GROUPS = 32  # of group normalisation (Wu and He 2018, section 4)


class FrozenBatchNorm(keras.layers.Layer):
    """Holds a batch normalisation whose statistics and affine never change.

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


class ConvNorm(keras.layers.Layer):
    """A 2-D convolution, optionally normalised, optionally followed by ReLU: `[B, H, W, I] -> [B, H', W', O]`.

    Padding is symmetric, (kernel - 1) / 2 on every side, as in torch; Keras' "same" differs for stride 2.
    A batch normalisation that uses its moving statistics is folded into the kernel, in float32 and
    differentiably, so that one fused convolution runs.

    Args:
        filters: output channels.
        kernel_size: odd side of the kernel.
        strides: step of the convolution.
        norm: "frozen_batch_norm", "batch_norm", "group_norm" or "none".
        epsilon: of the normalisation.
        relu: whether ReLU follows.
        initializer: Keras' name for the distribution of the initial kernel.
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
        **kwargs,
    ):
        super().__init__(autocast=False, **kwargs)  # the fold below must not see rounded variables
        self.filters, self.kernel_size, self.strides = filters, kernel_size, strides
        self.norm, self.epsilon, self.relu, self.initializer = norm, epsilon, relu, initializer
        if norm == "group_norm":
            if filters % GROUPS:
                raise ValueError(f"Group norm needs a multiple of {GROUPS} filters; got {filters}")
            self.normalization = keras.layers.GroupNormalization(GROUPS, epsilon=epsilon, name="norm")
        elif norm == "batch_norm":
            self.normalization = keras.layers.BatchNormalization(momentum=0.9, epsilon=epsilon, name="norm")
        elif norm == "frozen_batch_norm":
            self.normalization = FrozenBatchNorm(epsilon, name="norm")
        else:
            self.normalization = None

    def build(self, input_shape: tuple) -> None:
        shape = (self.kernel_size, self.kernel_size, input_shape[-1], self.filters)
        self.kernel = self.add_weight(shape=shape, initializer=self.initializer, name="kernel")
        if self.normalization is None:
            self.bias = self.add_weight(shape=(self.filters,), initializer="zeros", name="bias")
        else:
            self.normalization.build((*input_shape[:-1], self.filters))

    def call(self, x: keras.KerasTensor, training: bool = False) -> keras.KerasTensor:
        if self.norm == "group_norm" or (self.norm == "batch_norm" and training and self.trainable):
            x = self.normalization(self._convolve(x, self.kernel), training=training)
        elif self.normalization is None:
            x = self._convolve(x, self.kernel) + ops.cast(self.bias, self.compute_dtype)
        else:
            kernel, bias = self._folded()
            x = self._convolve(x, kernel) + ops.cast(bias, self.compute_dtype)
        return ops.relu(x) if self.relu else x

    def _convolve(self, x: keras.KerasTensor, kernel: keras.KerasTensor) -> keras.KerasTensor:
        x = ops.cast(x, self.compute_dtype)
        padding = "same"
        if self.strides > 1 and self.kernel_size > 1:
            side = self.kernel_size // 2
            x = ops.pad(x, [[0, 0], [side, side], [side, side], [0, 0]])
            padding = "valid"
        return ops.conv(x, ops.cast(kernel, self.compute_dtype), strides=self.strides, padding=padding)

    def _folded(self) -> tuple[keras.KerasTensor, keras.KerasTensor]:
        norm = self.normalization
        scale = norm.gamma * ops.rsqrt(norm.moving_variance + self.epsilon)
        return self.kernel * scale, norm.beta - norm.moving_mean * scale
