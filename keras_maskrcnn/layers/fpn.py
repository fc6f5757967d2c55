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

    Args:
        channels: of each level.
        norm: of the convolutions.
        epsilon: of the normalisation.
        recomputed: whether what is inside is computed again for the gradient instead of kept.
    """

    def __init__(
        self,
        channels: int = 256,
        norm: str = "none",
        epsilon: float = 1e-5,
        recomputed: bool = False,
        **kwargs,
    ):
        super().__init__(**kwargs)
        self.recomputed = recomputed
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
        run = functools.partial(self._levels, training=training)
        if self.recomputed and training:
            run = keras.remat(run)
        maps = run(*(features[f"C{level}"] for level in range(2, 6)))
        pyramid = {f"P{level}": one for level, one in enumerate(maps, start=2)}
        # A pool, as in the originals: OpenVINO mistakes the size before a slice with strides for that behind it.
        pyramid["P6"] = ops.max_pool(pyramid["P5"], 1, 2, padding="valid", data_format=CHANNELS)
        return pyramid

    def _levels(self, *features: keras.KerasTensor, training: bool) -> tuple[keras.KerasTensor, ...]:
        """Return P2 to P5 of C2 to C5."""
        inner: keras.KerasTensor | None = None
        maps = []
        for x, lateral, output in zip(
            reversed(features), reversed(self.laterals), reversed(self.outputs), strict=True
        ):
            inner = lateral(x, None if inner is None else _upsample_to(inner, x), training=training)
            maps.append(output(inner, training=training))
        return tuple(reversed(maps))


def _upsample_to(coarse: keras.KerasTensor, fine: keras.KerasTensor) -> keras.KerasTensor:
    # Sides are multiples of 32, so that nearest neighbour upsampling is exactly a doubling, wherever pixels have their
    # centres; other formats than TensorFlow's know it so.
    return tf.raw_ops.ResizeNearestNeighbor(images=coarse, size=tf.shape(fine)[1:3], half_pixel_centers=False)
