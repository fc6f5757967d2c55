"""Residual networks (He et al. 2016) and ResNeXt (Xie et al. 2017), the bottom-up part of the backbone."""

import functools
import itertools
from collections.abc import Callable, Sequence
from typing import Any

import keras
from keras import ops

from keras_maskrcnn.layers.composite import Composite, Shape, build_in_turn
from keras_maskrcnn.layers.convolution import ConvNorm
from keras_maskrcnn.ops.convolution import CHANNELS

BLOCKS = {
    18: (2, 2, 2, 2),
    34: (3, 4, 6, 3),
    50: (3, 4, 6, 3),
    101: (3, 4, 23, 3),
    152: (3, 8, 36, 3),
}
TOGETHER = 6
"""Blocks of a stage that are recomputed at a time: a ResNet-50's longest stage at once, a third of a ResNet-101's."""


class BasicBlock(Composite):
    """Two 3x3 convolutions and a shortcut (ResNet-18 and -34): `[B, H, W, I] -> [B, H / strides, W / strides, O]`."""

    def __init__(
        self,
        filters: int,
        strides: int,
        project: bool,
        norm: str,
        epsilon: float,
        dilation: int = 1,
        **kwargs,
    ):
        super().__init__(**kwargs)
        self.filters, self.strides = filters, strides
        conv = functools.partial(ConvNorm, norm=norm, epsilon=epsilon)
        self.conv1 = conv(filters, 3, strides, dilation=dilation, name="conv1")
        self.conv2 = conv(filters, 3, dilation=dilation, name="conv2")
        self.shortcut = None
        if project:
            self.shortcut = conv(filters, 1, strides, relu=False, name="shortcut")

    def build(self, input_shape: Shape) -> None:
        """Build the convolutions in the order in which they run."""
        if self.shortcut is not None:
            self.shortcut.build(input_shape)
        build_in_turn((self.conv1, self.conv2), input_shape)

    def call(self, x: keras.KerasTensor, training: bool = False) -> keras.KerasTensor:
        residual = x if self.shortcut is None else self.shortcut(x, training=training)
        return self.conv2(self.conv1(x, training=training), residual, training=training)


class Bottleneck(Composite):
    """1x1, 3x3, 1x1 and a shortcut: `[B, H, W, I] -> [B, H / strides, W / strides, O]`.

    Args:
        filters: of the first two convolutions.
        out_filters: O.
        strides: of the block.
        project: whether the shortcut is a convolution.
        norm: of every convolution.
        epsilon: of the normalisation.
        stride_in_1x1: puts the stride in the first convolution, as the original paper and its weights do, instead
            of the second.
        groups: of the 3x3 convolution.
        dilation: of the 3x3 convolution.
        bias: whether convolutions have one beside the normalisation.
    """

    def __init__(
        self,
        filters: int,
        out_filters: int,
        strides: int,
        project: bool,
        norm: str,
        epsilon: float,
        stride_in_1x1: bool = False,
        groups: int = 1,
        dilation: int = 1,
        bias: bool = False,
        **kwargs,
    ):
        super().__init__(**kwargs)
        self.filters, self.strides = out_filters, strides
        first, second = (strides, 1) if stride_in_1x1 else (1, strides)
        conv = functools.partial(ConvNorm, norm=norm, epsilon=epsilon, bias=bias)
        self.conv1 = conv(filters, 1, first, name="conv1")
        self.conv2 = conv(filters, 3, second, groups=groups, dilation=dilation, name="conv2")
        self.conv3 = conv(out_filters, 1, name="conv3")
        self.shortcut = None
        if project:
            self.shortcut = conv(out_filters, 1, strides, relu=False, name="shortcut")

    def build(self, input_shape: Shape) -> None:
        """Build the convolutions in the order in which they run."""
        if self.shortcut is not None:
            self.shortcut.build(input_shape)
        build_in_turn((self.conv1, self.conv2, self.conv3), input_shape)

    def call(self, x: keras.KerasTensor, training: bool = False) -> keras.KerasTensor:
        residual = x if self.shortcut is None else self.shortcut(x, training=training)
        x = self.conv2(self.conv1(x, training=training), training=training)
        return self.conv3(x, residual, training=training)


class ResNet(Composite):
    """The bottom-up network: images `[B, H, W, C]` -> {"C2": `[B, H/4, W/4, .]`, ..., "C5": `[B, H/32, W/32, .]`}.

    Args:
        depth: 18, 34, 50 or 101.
        stem_channels: of the stem; res2, ..., res5 have 1, 2, 4, 8 times as many, and bottlenecks return 4 times those.
        stride_in_1x1: where a bottleneck's stride sits.
        norm: normalisation of every convolution.
        epsilon: of the normalisation.
        frozen_stages: how many of stem, res2, ..., res5 are not trained.
        groups: of a bottleneck's 3x3 convolution.
        group_width: channels of each of these groups in res2.
        bias: whether convolutions have one beside the normalisation.
        last_stage: 5, or 4 for a network without res5.
        dilated: keeps res5 at stride 16, by dilation.
        pool_padding: "symmetric", as torch pads the stem's pooling, or "end", as Keras' "same" does.
        recomputed_stages: how many of stem, res2, ..., res5 are computed again for the gradient instead of kept, as
            many blocks at a time as `TOGETHER` (Chen et al. 2016).
    """

    def __init__(
        self,
        depth: int = 50,
        stem_channels: int = 64,
        stride_in_1x1: bool = False,
        norm: str = "frozen_batch_norm",
        epsilon: float = 1e-5,
        frozen_stages: int = 2,
        groups: int = 1,
        group_width: int = 64,
        bias: bool = False,
        last_stage: int = 5,
        dilated: bool = False,
        pool_padding: str = "symmetric",
        recomputed_stages: int = 0,
        **kwargs,
    ):
        super().__init__(**kwargs)
        self.norm, self.pool_padding, self.recomputed_stages = norm, pool_padding, recomputed_stages
        self.stem = ConvNorm(
            stem_channels, 7, 2, norm=norm, epsilon=epsilon, relu=False, bias=bias, name="stem"
        )
        stage = functools.partial(
            residual_stage,
            depth=depth,
            stem_channels=stem_channels,
            stride_in_1x1=stride_in_1x1,
            norm=norm,
            epsilon=epsilon,
            groups=groups,
            group_width=group_width,
            bias=bias,
        )
        self.stages = [stage(level, dilated=dilated and level == 5) for level in range(2, last_stage + 1)]
        self.freeze(frozen_stages)

    def build(self, input_shape: Shape) -> None:
        """Build stem and stages for images of any size."""
        shape = build_in_turn([self.stem], (None, None, None, input_shape[-1]))
        build_in_turn(itertools.chain(*self.stages), shape)

    @property
    def channels(self) -> dict[str, int]:
        """The channels of each level that it returns."""
        return {f"C{level}": stage[-1].filters for level, stage in enumerate(self.stages, start=2)}

    def freeze(self, stages: int) -> None:
        """Train all but the first `stages` of stem, res2, ..., res5."""
        for number, layers in enumerate([[self.stem], *self.stages]):
            for layer in layers:
                layer.trainable = number >= stages

    def stem_features(self, images: keras.KerasTensor, training: bool = False) -> keras.KerasTensor:
        """Return what res2 is given, `[B, H/4, W/4, stem_channels]`."""
        x = self.stem(images, training=training)
        # The largest after ReLU is the ReLU of the largest, of which there are a quarter as many to compute and to keep
        # for the gradient; and zeros pad as well as minus infinity would.
        first = 1 if self.pool_padding == "symmetric" else 0
        x = ops.pad(x, [[0, 0], [first, 1], [first, 1], [0, 0]])
        return ops.relu(ops.max_pool(x, 3, 2, padding="valid", data_format=CHANNELS))

    def call(self, images: keras.KerasTensor, training: bool = False) -> dict[str, keras.KerasTensor]:
        recomputed = self.recomputed_stages if training else 0
        x = _run([self.stem_features], images, training, recomputed > 0 and self.stem.trainable)
        features = {}
        for number, stage in enumerate(self.stages, start=1):
            again = recomputed > number and stage[0].trainable
            for first in range(0, len(stage), TOGETHER):
                x = _run(stage[first : first + TOGETHER], x, training, again)
            features[f"C{number + 1}"] = x
        return features


def _run(
    parts: Sequence[Callable[..., Any]], x: keras.KerasTensor, training: bool, recomputed: bool
) -> keras.KerasTensor:
    """Run parts one after the other; recomputed ones keep nothing for the gradient but what they were given."""

    def run(x: keras.KerasTensor) -> keras.KerasTensor:
        for part in parts:
            x = part(x, training=training)
        return x

    return keras.remat(run)(x) if recomputed else run(x)


class Res5(Composite):
    """The last stage of a ResNet on each pooled RoI: `[N, P, P, I] -> [N, P / 2, P / 2, O]` (Mask R-CNN, figure 4).

    Arguments as in `ResNet`.
    """

    def __init__(
        self,
        depth: int,
        stride_in_1x1: bool,
        norm: str,
        epsilon: float,
        stem_channels: int = 64,
        groups: int = 1,
        group_width: int = 64,
        bias: bool = False,
        **kwargs,
    ):
        super().__init__(**kwargs)
        self.blocks = residual_stage(
            5,
            depth=depth,
            stem_channels=stem_channels,
            stride_in_1x1=stride_in_1x1,
            norm=norm,
            epsilon=epsilon,
            groups=groups,
            group_width=group_width,
            bias=bias,
        )

    def build(self, input_shape: Shape) -> None:
        """Build the blocks."""
        build_in_turn(self.blocks, input_shape)

    def call(self, pooled: keras.KerasTensor, training: bool = False) -> keras.KerasTensor:
        for block in self.blocks:
            pooled = block(pooled, training=training)
        return pooled


def residual_stage(
    level: int,
    *,
    depth: int,
    stem_channels: int,
    stride_in_1x1: bool,
    norm: str,
    epsilon: float,
    groups: int,
    group_width: int,
    bias: bool,
    dilated: bool = False,
) -> list[keras.layers.Layer]:
    """Return the blocks of res2, ..., res5 (`level`); `dilated` ones have dilation 2 instead of a stride."""
    scale, dilation = 2 ** (level - 2), 2 if dilated else 1
    channels = stem_channels * scale
    blocks: list[keras.layers.Layer] = []
    for number in range(1, BLOCKS[depth][level - 2] + 1):
        strides = 2 if number == 1 and level > 2 and not dilated else 1
        # res2 of the shallow networks keeps both size and channels, so nothing needs projecting
        project = number == 1 and (level > 2 or depth >= 50)
        name = f"res{level}_block{number}"
        if depth < 50:
            blocks.append(BasicBlock(channels, strides, project, norm, epsilon, dilation, name=name))
            continue
        width, out = groups * group_width * scale, 4 * channels
        blocks.append(
            Bottleneck(
                width, out, strides, project, norm, epsilon, stride_in_1x1, groups, dilation, bias, name=name
            )
        )
    return blocks
