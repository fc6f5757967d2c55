"""The mask heads of a cascade in which each box stage has one (Cai and Vasconcelos 2018, section 6.2)."""

import keras
from keras import ops

from keras_maskrcnn.layers.composite import Composite, Shape
from keras_maskrcnn.layers.heads import MaskHead


class CascadeMaskHeads(Composite):
    """Pooled RoIs `[M, P, P, C]` -> logits `[M, 2P, 2P, masks]` of the mean of the heads' probabilities, float32.

    Called with `entries [M]` it returns one mask of each RoI, as `MaskHead` does; with a `stage`, counted from 0, the
    logits of its head alone, as in training, where each head has RoIs of its own.

    Args:
        stages: number of heads.
        num_masks: output channels of each.
        channels: as the other arguments, of `MaskHead`.
    """

    def __init__(
        self,
        stages: int,
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
        self.heads = [
            MaskHead(num_masks, channels, convs, norm, epsilon, bias, name=f"stage{stage + 1}")
            for stage in range(stages)
        ]

    def build(self, input_shape: Shape) -> None:
        """Build the heads, which all take the same."""
        for head in self.heads:
            head.build(input_shape)

    def call(
        self,
        pooled: keras.KerasTensor,
        training: bool = False,
        entries: keras.KerasTensor | None = None,
        stage: int | None = None,
    ) -> keras.KerasTensor:
        if stage is not None:
            return self.heads[stage](pooled, training=training, entries=entries)
        logits = ops.stack([head(pooled, training=training, entries=entries) for head in self.heads])
        # Of probabilities near 1 float32 keeps little: what is left of them is summed by itself.
        present, absent = (ops.sum(ops.sigmoid(x), axis=0) for x in (logits, -logits))
        return ops.log(present) - ops.log(absent)
