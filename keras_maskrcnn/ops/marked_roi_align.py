"""RoIAlign as a mark in the graph, which the converter to ONNX makes an operation of ONNX of."""

import dataclasses
import re
from collections.abc import Sequence
from typing import Self

import tensorflow as tf


@dataclasses.dataclass(frozen=True)
class Mark:
    """What a name says of the crop that stands for pooling boxes from one level."""

    stride: float
    """Image pixels per feature pixel."""
    sampling_ratio: int
    aligned: bool

    @property
    def name(self) -> str:
        return f"marked_roi_align.{self.stride}.{self.sampling_ratio}.{int(self.aligned)}."

    @classmethod
    def of(cls, name: str) -> Self | None:
        """Return the mark in an operation's name, None if there is none."""
        found = re.search(r"marked_roi_align\.([0-9.]+)\.([0-9]+)\.([01])\.", name)
        return cls(float(found[1]), int(found[2]), found[3] == "1") if found else None


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

    Each level has a `CropAndResize` that is called by its `Mark`, and whose boxes are x1, y1, x2, y2 in pixels of the
    image: what TensorFlow would compute of it is not RoIAlign.
    """
    rows, pooled = [], []
    for number, (level, stride) in enumerate(zip(features, strides, strict=True)):
        here = tf.cast(tf.where(levels == number)[:, 0], tf.int32)
        rows.append(here)
        crops = tf.raw_ops.CropAndResize(
            image=level,
            boxes=tf.gather(boxes, here),
            box_ind=tf.gather(image_indices, here),
            crop_size=[output_size, output_size],
            name=Mark(stride, sampling_ratio, aligned).name,
        )
        pooled.append(crops)
    return tf.gather(tf.concat(pooled, 0), tf.argsort(tf.concat(rows, 0)))
