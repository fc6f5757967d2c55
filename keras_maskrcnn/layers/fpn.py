"""Feature pyramid network (Lin et al. 2017)."""

import functools

import keras
import tensorflow as tf
from keras import ops

from keras_maskrcnn.layers.composite import Composite, Shape
from keras_maskrcnn.layers.convolution import ConvNorm
from keras_maskrcnn.ops.convolution import CHANNELS


class FPN(Composite):
    """The top-down network: {"C2", ..., "C5"} -> {"P2", ..., "P6"}, each `[B, H / stride, W / stride, channels]`.

    Strides are 4, 8, 16, 32 and 64. P6, every second pixel of P5, is for the proposals only (section 4.1).
    """

    def __init__(self, channels: int = 256, norm: str = "none", epsilon: float = 1e-5, **kwargs):
        super().__init__(**kwargs)
        conv = functools.partial(
            ConvNorm, norm=norm, epsilon=epsilon, relu=False, initializer="lecun_uniform"
        )
        self.laterals = [conv(channels, 1, name=f"lateral{i}") for i in range(2, 6)]
        self.outputs = [conv(channels, 3, name=f"output{i}") for i in range(2, 6)]

    def build(self, input_shape: dict[str, Shape]) -> None:
        """Build the convolutions from the coarsest level to the finest, as they run."""
        for level in range(5, 1, -1):
            lateral, output = self.laterals[level - 2], self.outputs[level - 2]
            lateral.build(input_shape[f"C{level}"])
            output.build((None, None, None, lateral.filters))

    def call(
        self, features: dict[str, keras.KerasTensor], training: bool = False
    ) -> dict[str, keras.KerasTensor]:
        inner: keras.KerasTensor | None = None
        pyramid = {}
        for level in range(5, 1, -1):
            x = features[f"C{level}"]
            above = None if inner is None else _upsample_to(inner, x)
            inner = self.laterals[level - 2](x, above, training=training)
            pyramid[f"P{level}"] = self.outputs[level - 2](inner, training=training)
        # A pool, as in the originals: OpenVINO mistakes the size before a slice with strides for that behind it.
        pyramid["P6"] = ops.max_pool(pyramid["P5"], 1, 2, padding="valid", data_format=CHANNELS)
        return dict(sorted(pyramid.items()))


def _upsample_to(coarse: keras.KerasTensor, fine: keras.KerasTensor) -> keras.KerasTensor:
    # Sides are multiples of 32, so that nearest neighbour upsampling is exactly a doubling, wherever pixels have their
    # centres; other formats than TensorFlow's know it so.
    return tf.raw_ops.ResizeNearestNeighbor(images=coarse, size=tf.shape(fine)[1:3], half_pixel_centers=False)
