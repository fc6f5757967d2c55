"""The heads of the second stage, each on pooled RoIs."""

import itertools
from typing import Any

import keras
import tensorflow as tf
from keras import ops

from keras_maskrcnn.layers.composite import Composite, Shape, build_flat, build_in_turn
from keras_maskrcnn.layers.convolution import ConvNorm, make_norm
from keras_maskrcnn.ops.convolution import CHANNELS
from keras_maskrcnn.ops.product import product

# He et al.: classifiers of 81 and 320 outputs start near zero, boxes nearer
CLASS_STD = 0.01
BOX_STD = 0.001


class BoxHead(Composite):
    """Pooled RoIs `[N, P, P, C]` -> class logits `[N, K + 1]` and box deltas `[N, boxes, 4]`, float32.

    Class 0 is the background. `boxes` is 1 when class-agnostic, else K + 1 with a row for the background, or K without.
    Two fully connected layers are the FPN's (section 4.2), four convolutions and one are Wu and He's (2018), and
    neither is for what res5 has made of the RoIs, which are averaged then.

    Args:
        num_classes: K, without the background.
        class_agnostic: one box for all classes.
        background: whether the background has a row of deltas.
        convs: 3x3 convolutions.
        conv_channels: of these.
        fcs: fully connected layers.
        channels: of these.
        norm: of the convolutions.
        epsilon: of the normalisation.
        fc_norm: whether it is also that of the fully connected layers.
    """

    def __init__(
        self,
        num_classes: int,
        class_agnostic: bool,
        background: bool,
        convs: int = 0,
        conv_channels: int = 256,
        fcs: int = 2,
        channels: int = 1024,
        norm: str = "none",
        epsilon: float = 1e-5,
        fc_norm: bool = False,
        **kwargs,
    ):
        super().__init__(autocast=False, **kwargs)
        self.convs = [
            ConvNorm(conv_channels, 3, norm=norm, epsilon=epsilon, name=f"conv{i + 1}") for i in range(convs)
        ]
        flat = keras.layers.Flatten if fcs else keras.layers.GlobalAveragePooling2D
        self.flatten = flat(data_format=CHANNELS)
        self.fcs = [
            keras.layers.Dense(channels, kernel_initializer="he_normal", name=f"fc{i + 1}")
            for i in range(fcs)
        ]
        self.fc_norms = [
            make_norm(norm, channels, epsilon, f"norm{i + 1}") for i in range(fcs if fc_norm else 0)
        ]
        self.logits = keras.layers.Dense(
            num_classes + 1,
            kernel_initializer=keras.initializers.RandomNormal(stddev=CLASS_STD),
            dtype="float32",
            name="logits",
        )
        self.num_boxes = 1 if class_agnostic else num_classes + int(background)
        self.deltas = keras.layers.Dense(
            4 * self.num_boxes,
            kernel_initializer=keras.initializers.RandomNormal(stddev=BOX_STD),
            dtype="float32",
            name="deltas",
        )

    def build(self, input_shape: Shape) -> None:
        """Build the layers in the order in which they run."""
        shape = build_flat(self.flatten, build_in_turn(self.convs, input_shape))
        for fc, norm in itertools.zip_longest(self.fcs, self.fc_norms):
            fc.build(shape)
            shape = (None, fc.units)
            if norm is not None:
                norm.build(shape)
        self.logits.build(shape)
        self.deltas.build(shape)

    def call(
        self, pooled: keras.KerasTensor, training: bool = False
    ) -> tuple[keras.KerasTensor, keras.KerasTensor]:
        x = pooled
        for conv in self.convs:
            x = conv(x, training=training)
        x = self.flatten(x)
        for number, fc in enumerate(self.fcs):
            x = _trained(fc, x) if training else fc(x)
            if self.fc_norms:
                norm: Any = self.fc_norms[number]
                x = norm(x, training=training)
            x = ops.relu(x)
        return self.logits(x), ops.reshape(self.deltas(x), (-1, self.num_boxes, 4))


def _trained(fc: keras.layers.Dense, x: keras.KerasTensor) -> keras.KerasTensor:
    """What a fully connected layer returns, with a gradient that needs less memory."""
    x = ops.cast(x, fc.compute_dtype)
    return tf.nn.bias_add(product(x, ops.cast(fc.kernel, x.dtype)), ops.cast(fc.bias, x.dtype))


class MaskHead(Composite):
    """Pooled RoIs `[M, P, P, C]` -> mask logits `[M, 2P, 2P, masks]`, float32.

    The paper's (figure 4): four 3x3 convolutions, or none after res5, a 2x2 deconvolution and a 1x1 predictor. Called
    with `entries [M]` int32 it returns of each RoI's masks that one alone, `[M, 2P, 2P, 1]`, in less time.

    Args:
        num_masks: output channels.
        channels: of the hidden convolutions.
        convs: 3x3 convolutions.
        norm: of these.
        epsilon: of the normalisation.
        bias: whether they have one beside the normalisation.
    """

    def __init__(
        self,
        num_masks: int,
        channels: int,
        convs: int = 4,
        norm: str = "none",
        epsilon: float = 1e-5,
        bias: bool = False,
        **kwargs,
    ):
        super().__init__(**kwargs)
        self.num_masks = num_masks
        self.convs = [
            ConvNorm(channels, 3, norm=norm, epsilon=epsilon, bias=bias, name=f"conv{i + 1}")
            for i in range(convs)
        ]
        self.deconv = keras.layers.Conv2DTranspose(
            channels,
            2,
            2,
            activation="relu",
            kernel_initializer="he_normal",
            data_format=CHANNELS,
            name="deconv",
        )
        self.logits = keras.layers.Conv2D(
            num_masks,
            1,
            kernel_initializer=keras.initializers.RandomNormal(stddev=BOX_STD),
            data_format=CHANNELS,
            name="logits",
        )

    def build(self, input_shape: Shape) -> None:
        """Build the layers in the order in which they run."""
        shape = build_in_turn(self.convs, input_shape)
        self.deconv.build(shape)
        self.logits.build((None, None, None, self.deconv.filters))

    def call(
        self,
        pooled: keras.KerasTensor,
        training: bool = False,
        entries: keras.KerasTensor | None = None,
    ) -> keras.KerasTensor:
        x = pooled
        for conv in self.convs:
            x = conv(x, training=training)
        logits = self.logits(self.deconv(x)) if entries is None else self._entry_logits(x, entries)
        return ops.cast(logits, "float32")

    def _entry_logits(self, x: keras.KerasTensor, entries: keras.KerasTensor) -> keras.KerasTensor:
        side, channels, filters = x.shape[1], x.shape[3], self.deconv.filters
        # The four pixels that the deconvolution makes of one do not overlap: it is a product, and the predictor
        # need not know where they lie.
        kernel = ops.reshape(ops.transpose(self.deconv.kernel, (3, 0, 1, 2)), (channels, 4 * filters))
        four = ops.matmul(ops.reshape(x, (-1, channels)), ops.cast(kernel, x.dtype))
        four = ops.relu(tf.nn.bias_add(four, ops.tile(ops.cast(self.deconv.bias, x.dtype), [4])))
        weights = ops.take(ops.transpose(self.logits.kernel[0, 0]), entries, axis=0)  # [M, filters]
        logits = ops.matmul(
            ops.reshape(four, (-1, 4 * side * side, filters)), ops.cast(weights, x.dtype)[..., None]
        )
        logits += ops.cast(ops.take(self.logits.bias, entries), x.dtype)[:, None, None]
        logits = ops.transpose(ops.reshape(logits, (-1, side, side, 2, 2)), (0, 1, 3, 2, 4))
        return ops.reshape(logits, (-1, 2 * side, 2 * side, 1))


class MLPMaskHead(keras.layers.Layer):
    """Pooled RoIs `[M, P, P, C]` -> mask logits `[M, 2P, 2P, masks]`, float32, through two hidden layers.

    The paper's ablation of table 2e: fully connected layers forget where a pixel lies.
    """

    def __init__(self, num_masks: int, channels: int, **kwargs):
        super().__init__(**kwargs)
        self.num_masks, self.channels = num_masks, channels
        self.flatten = keras.layers.Flatten(data_format=CHANNELS)
        hidden = {"activation": "relu", "kernel_initializer": "he_normal"}
        self.fc1 = keras.layers.Dense(channels, name="fc1", **hidden)
        self.fc2 = keras.layers.Dense(channels, name="fc2", **hidden)

    def build(self, input_shape: tuple) -> None:
        self.size = 2 * input_shape[1]
        self.fc1.build(build_flat(self.flatten, input_shape))
        self.fc2.build((None, self.channels))
        self.logits = keras.layers.Dense(
            self.size * self.size * self.num_masks,
            kernel_initializer=keras.initializers.RandomNormal(stddev=BOX_STD),
            name="logits",
        )
        self.logits.build((None, self.channels))

    def call(self, pooled: keras.KerasTensor) -> keras.KerasTensor:
        logits = self.logits(self.fc2(self.fc1(self.flatten(pooled))))
        return ops.cast(ops.reshape(logits, (-1, self.size, self.size, self.num_masks)), "float32")


class KeypointHead(Composite):
    """Pooled RoIs `[M, P, P, C]` -> a map of logits for each keypoint, `[M, 4P, 4P, keypoints]`, float32.

    Eight 3x3 convolutions, a deconvolution and bilinear upscaling (Mask R-CNN section 5).

    Args:
        num_keypoints: output channels.
        channels: of the hidden convolutions.
        convs: 3x3 convolutions.
        norm: of these.
        epsilon: of the normalisation.
    """

    def __init__(
        self,
        num_keypoints: int,
        channels: int = 512,
        convs: int = 8,
        norm: str = "none",
        epsilon: float = 1e-5,
        **kwargs,
    ):
        super().__init__(**kwargs)
        self.convs = [
            ConvNorm(channels, 3, norm=norm, epsilon=epsilon, name=f"conv{i + 1}") for i in range(convs)
        ]
        self.logits = keras.layers.Conv2DTranspose(
            num_keypoints,
            4,
            2,
            padding="same",
            data_format=CHANNELS,
            kernel_initializer=keras.initializers.RandomNormal(stddev=BOX_STD),
            name="logits",
        )

    def build(self, input_shape: Shape) -> None:
        """Build the layers in the order in which they run."""
        self.logits.build(build_in_turn(self.convs, input_shape))

    def call(self, pooled: keras.KerasTensor, training: bool = False) -> keras.KerasTensor:
        x = pooled
        for conv in self.convs:
            x = conv(x, training=training)
        x = ops.cast(self.logits(x), "float32")
        return ops.image.resize(
            x, (2 * x.shape[1], 2 * x.shape[2]), "bilinear", antialias=False, data_format=CHANNELS
        )
