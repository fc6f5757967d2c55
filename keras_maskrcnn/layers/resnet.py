"""Residual networks (He et al. 2016), the bottom-up part of the backbone."""

import functools

import keras
from keras import ops

from keras_maskrcnn.layers.convolution import ConvNorm

BLOCKS = {18: (2, 2, 2, 2), 34: (3, 4, 6, 3), 50: (3, 4, 6, 3), 101: (3, 4, 23, 3)}
STRIDES = {"C2": 4, "C3": 8, "C4": 16, "C5": 32}


class BasicBlock(keras.layers.Layer):
    """Two 3x3 convolutions and a shortcut (ResNet-18 and -34): `[B, H, W, I] -> [B, H / strides, W / strides, O]`."""

    def __init__(self, filters: int, strides: int, project: bool, norm: str, epsilon: float, **kwargs):
        super().__init__(**kwargs)
        conv = functools.partial(ConvNorm, norm=norm, epsilon=epsilon)
        self.conv1 = conv(filters, 3, strides, name="conv1")
        self.conv2 = conv(filters, 3, relu=False, name="conv2")
        self.shortcut = None
        if project:
            self.shortcut = conv(filters, 1, strides, relu=False, name="shortcut")

    def call(self, x: keras.KerasTensor, training: bool = False) -> keras.KerasTensor:
        residual = x if self.shortcut is None else self.shortcut(x, training=training)
        x = self.conv2(self.conv1(x, training=training), training=training)
        return ops.relu(x + residual)


class Bottleneck(keras.layers.Layer):
    """1x1, 3x3, 1x1 and a shortcut: `[B, H, W, I] -> [B, H / strides, W / strides, 4 * filters]`.

    `stride_in_1x1` puts the stride in the first convolution, as the original paper and its weights do, instead
    of the second.
    """

    def __init__(
        self,
        filters: int,
        strides: int,
        project: bool,
        norm: str,
        epsilon: float,
        stride_in_1x1: bool,
        **kwargs,
    ):
        super().__init__(**kwargs)
        first, second = (strides, 1) if stride_in_1x1 else (1, strides)
        conv = functools.partial(ConvNorm, norm=norm, epsilon=epsilon)
        self.conv1 = conv(filters, 1, first, name="conv1")
        self.conv2 = conv(filters, 3, second, name="conv2")
        self.conv3 = conv(4 * filters, 1, relu=False, name="conv3")
        self.shortcut = None
        if project:
            self.shortcut = conv(4 * filters, 1, strides, relu=False, name="shortcut")

    def call(self, x: keras.KerasTensor, training: bool = False) -> keras.KerasTensor:
        residual = x if self.shortcut is None else self.shortcut(x, training=training)
        x = self.conv2(self.conv1(x, training=training), training=training)
        return ops.relu(self.conv3(x, training=training) + residual)


class ResNet(keras.layers.Layer):
    """The bottom-up network: images `[B, H, W, C]` -> {"C2": `[B, H/4, W/4, .]`, ..., "C5": `[B, H/32, W/32, .]`}.

    Args:
        depth: 18, 34, 50 or 101.
        stride_in_1x1: where a bottleneck's stride sits.
        norm: normalisation of every convolution.
        epsilon: of the normalisation.
        frozen_stages: how many of stem, res2, ..., res5 are not trained.
    """

    def __init__(
        self,
        depth: int = 50,
        stride_in_1x1: bool = False,
        norm: str = "frozen_batch_norm",
        epsilon: float = 1e-5,
        frozen_stages: int = 2,
        **kwargs,
    ):
        super().__init__(**kwargs)
        self.depth, self.stride_in_1x1, self.frozen_stages = depth, stride_in_1x1, frozen_stages
        self.norm, self.epsilon = norm, epsilon
        self.stem = ConvNorm(64, 7, 2, norm=norm, epsilon=epsilon, name="stem")
        self.stages = [self._stage(level) for level in range(2, 6)]
        for stage in [[self.stem], *self.stages][:frozen_stages]:
            for layer in stage:
                layer.trainable = False

    def _stage(self, level: int) -> list[keras.layers.Layer]:
        filters = 64 * 2 ** (level - 2)
        bottleneck = self.depth >= 50
        blocks: list[keras.layers.Layer] = []
        for number in range(1, BLOCKS[self.depth][level - 2] + 1):
            strides = 2 if number == 1 and level > 2 else 1
            # res2 of the shallow networks keeps both size and channels, so nothing needs projecting
            project = number == 1 and (bottleneck or level > 2)
            name = f"res{level}_block{number}"
            if bottleneck:
                block = Bottleneck(
                    filters, strides, project, self.norm, self.epsilon, self.stride_in_1x1, name=name
                )
            else:
                block = BasicBlock(filters, strides, project, self.norm, self.epsilon, name=name)
            blocks.append(block)
        return blocks

    def call(self, images: keras.KerasTensor, training: bool = False) -> dict[str, keras.KerasTensor]:
        x = self.stem(images, training=training)
        # zeros pad as well as minus infinity would: x is not negative after ReLU
        x = ops.max_pool(ops.pad(x, [[0, 0], [1, 1], [1, 1], [0, 0]]), 3, 2, padding="valid")
        features = {}
        for level, stage in enumerate(self.stages, start=2):
            for block in stage:
                x = block(x, training=training)
            features[f"C{level}"] = x
        return features
