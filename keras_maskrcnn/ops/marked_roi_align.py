"""RoIAlign as a mark in the graph, of which a converter makes the operation of its format."""

import dataclasses
from collections.abc import Sequence
from typing import Self

import tensorflow as tf


@dataclasses.dataclass(frozen=True)
class Mark:
    """What the crop that stands for pooling boxes from one level says of it."""

    sampling_ratio: int
    aligned: bool

    @property
    def code(self) -> float:
        """As the crop's `extrapolation_value`, an attribute that every converter passes on; a usual crop has 0."""
        return 1.0 + 2 * self.sampling_ratio + self.aligned

    @classmethod
    def of(cls, code: float) -> Self:
        """Return the mark of a crop.

        Raises:
            ValueError: it is a crop, and no mark.
        """
        if code < 1:
            raise ValueError("a crop of the graph is no mark of RoIAlign")
        return cls(sampling_ratio=(int(code) - 1) // 2, aligned=int(code) % 2 == 0)


def roi_align(
    features: Sequence[tf.Tensor],
    boxes: tf.Tensor,
    image_indices: tf.Tensor,
    levels: tf.Tensor,
    *,
    strides: Sequence[float],
    output_size: int,
    sampling_ratio: int,
    aligned: bool,
) -> tf.Tensor:
    """Mark where every box is pooled from its own level by average; arguments and shapes are those of `ops.roi_align`.

    Each level has a `CropAndResize` with the code of its `Mark`, and boxes x1, y1, x2, y2 in the level's own pixels:
    what TensorFlow would compute of it is not RoIAlign.
    """
    if sampling_ratio == 0:
        # Runtimes make room for as many samples as an inverted box is large, which is less than none.
        boxes = tf.concat([boxes[:, :2], tf.maximum(boxes[:, 2:], boxes[:, :2])], axis=1)
    rows, pooled = [], []
    for number, (level, stride) in enumerate(zip(features, strides, strict=True)):
        here = tf.cast(tf.where(levels == number)[:, 0], tf.int32)
        rows.append(here)
        crops = tf.raw_ops.CropAndResize(
            image=level,
            boxes=tf.gather(boxes, here) * (1 / stride),
            box_ind=tf.gather(image_indices, here),
            crop_size=[output_size, output_size],
            extrapolation_value=Mark(sampling_ratio, aligned).code,
        )
        pooled.append(crops)
    return tf.gather(tf.concat(pooled, 0), tf.argsort(tf.concat(rows, 0)))
