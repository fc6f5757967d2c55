"""The heads of the second stage, each on pooled RoIs."""

import keras
from keras import ops

from keras_maskrcnn.layers.convolution import ConvNorm

# He et al.: classifiers of 81 and 320 outputs start near zero, boxes nearer
CLASS_STD = 0.01
BOX_STD = 0.001


class BoxHead(keras.layers.Layer):
    """Pooled RoIs `[N, P, P, C]` -> class logits `[N, K + 1]` and box deltas `[N, boxes, 4]`, float32.

    Two hidden layers (FPN, section 4.2). Class 0 is the background. `boxes` is 1 when class-agnostic, else K + 1
    with a row for the background, or K without.

    Args:
        num_classes: K, without the background.
        channels: of the hidden layers.
        class_agnostic: one box for all classes.
        background: whether the background has a row of deltas.
    """

    def __init__(self, num_classes: int, channels: int, class_agnostic: bool, background: bool, **kwargs):
        super().__init__(autocast=False, **kwargs)
        self.num_classes, self.channels = num_classes, channels
        self.class_agnostic, self.background = class_agnostic, background
        self.flatten = keras.layers.Flatten()
        hidden = {"activation": "relu", "kernel_initializer": "he_normal"}
        self.fc1 = keras.layers.Dense(channels, name="fc1", **hidden)
        self.fc2 = keras.layers.Dense(channels, name="fc2", **hidden)
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

    def call(self, pooled: keras.KerasTensor) -> tuple[keras.KerasTensor, keras.KerasTensor]:
        x = self.fc2(self.fc1(self.flatten(pooled)))
        return self.logits(x), ops.reshape(self.deltas(x), (-1, self.num_boxes, 4))


class MaskHead(keras.layers.Layer):
    """Pooled RoIs `[M, P, P, C]` -> mask logits `[M, 2P, 2P, masks]`, float32.

    The default of the paper (figure 4, right): four 3x3 convolutions, a 2x2 deconvolution and a 1x1 predictor.

    Args:
        num_masks: output channels.
        channels: of the hidden convolutions.
        norm: of the hidden convolutions.
    """

    def __init__(self, num_masks: int, channels: int, norm: str = "none", **kwargs):
        super().__init__(**kwargs)
        self.num_masks, self.channels, self.norm = num_masks, channels, norm
        self.convs = [ConvNorm(channels, 3, norm=norm, name=f"conv{i + 1}") for i in range(4)]
        self.deconv = keras.layers.Conv2DTranspose(
            channels, 2, 2, activation="relu", kernel_initializer="he_normal", name="deconv"
        )
        self.logits = keras.layers.Conv2D(
            num_masks, 1, kernel_initializer=keras.initializers.RandomNormal(stddev=BOX_STD), name="logits"
        )

    def call(self, pooled: keras.KerasTensor, training: bool = False) -> keras.KerasTensor:
        x = pooled
        for conv in self.convs:
            x = conv(x, training=training)
        return ops.cast(self.logits(self.deconv(x)), "float32")


class MLPMaskHead(keras.layers.Layer):
    """Pooled RoIs `[M, P, P, C]` -> mask logits `[M, 2P, 2P, masks]`, float32, through two hidden layers.

    The paper's ablation of table 2e: fully connected layers forget where a pixel lies.
    """

    def __init__(self, num_masks: int, channels: int, **kwargs):
        super().__init__(**kwargs)
        self.num_masks, self.channels = num_masks, channels
        self.flatten = keras.layers.Flatten()
        hidden = {"activation": "relu", "kernel_initializer": "he_normal"}
        self.fc1 = keras.layers.Dense(channels, name="fc1", **hidden)
        self.fc2 = keras.layers.Dense(channels, name="fc2", **hidden)

    def build(self, input_shape: tuple) -> None:
        self.size = 2 * input_shape[1]
        self.fc1.build((None, input_shape[1] * input_shape[2] * input_shape[3]))
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
