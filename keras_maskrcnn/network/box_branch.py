"""The box stages: RoIAlign, box head and, in a cascade, the boxes that the next stage is given."""

from typing import Any

import keras
from keras import KerasTensor, ops

from keras_maskrcnn.config.config import Config
from keras_maskrcnn.layers.cascade import RefineBoxes, ScaleGradient
from keras_maskrcnn.network.network import Network
from keras_maskrcnn.network.pooling import roi_align_layer
from keras_maskrcnn.network.stage_name import stage_name


def stage_weights(config: Config) -> list[tuple[float, ...]]:
    """Return the delta weights of each box stage."""
    return [config.box_delta_weights, *config.cascade_delta_weights]


def box_branch(
    network: Network, features: dict[str, Any], boxes: Any, stage: int = 0
) -> tuple[KerasTensor, KerasTensor, KerasTensor]:
    """Run a stage's box head on boxes `[B, R, 4]`.

    Returns:
        Class logits `[B * R, K + 1]`, deltas `[B * R, boxes, 4]`, and what the head was given, `[B * R, P, P, C]`.
    """
    config, heads = network.config, network.box_heads
    image_indices = _ImageIndices(name=stage_name("image_indices", stage))(boxes)
    align = roi_align_layer(config, config.box_pool_size, stage_name("box_roi_align", stage))
    pooled = align(features, ops.reshape(boxes, (-1, 4)), image_indices)
    if len(heads) > 1:
        pooled = ScaleGradient(factor=1 / len(heads), name=stage_name("scale_gradient", stage))(pooled)
    if network.res5 is not None:
        pooled = network.res5(pooled)
    return *heads[stage](pooled), pooled


def refine_layer(config: Config, stage: int) -> RefineBoxes:
    """Return the layer that makes a cascade's next boxes of what `stage` predicts."""
    return RefineBoxes(
        delta_weights=stage_weights(config)[stage],
        clamp=config.clamp_deltas,
        clamp_shrinking=config.clamp_shrinking,
        name=stage_name("refine_boxes", stage),
    )


class _ImageIndices(keras.layers.Layer):
    """Boxes `[B, R, 4]` -> for each of the B * R rows the index of its image, int32."""

    def __init__(self, **kwargs):
        super().__init__(autocast=False, **kwargs)

    def call(self, boxes: KerasTensor) -> KerasTensor:
        batch, rows = ops.shape(boxes)[0], ops.shape(boxes)[1]
        return ops.repeat(ops.arange(batch, dtype="int32"), rows)
