"""RoIAlign over a feature pyramid (Mask R-CNN section 3; FPN section 4.2), or over a single level."""

import keras
import tensorflow as tf
from keras import ops

from keras_maskrcnn.ops import boxes as box_ops
from keras_maskrcnn.ops.roi_align import roi_align

CANONICAL_SIZE = 224  # a box of ImageNet's size is pooled from P4
CANONICAL_LEVEL = 4


def assign_levels(boxes: tf.Tensor, rule: str = "torchvision") -> tf.Tensor:
    """Return for boxes `[N, 4]` in pixels the index `[N]` int32 into P2..P5 that each is pooled from.

    FPN's equation 1, level = 4 + log2(sqrt(area) / 224), kept within 2..5, comes in four roundings: "torchvision"
    adds 1e-6 to it, "detectron2" 1e-8 to the ratio, "mmdetection" 1e-6 to the ratio to P2's size of 56, and all three
    truncate it; "matterport" rounds it to the nearest, half to even.
    """
    ratio = tf.sqrt(box_ops.area(boxes)) / CANONICAL_SIZE
    if rule == "detectron2":
        level = tf.floor(CANONICAL_LEVEL + _log2(ratio + 1e-8))
    elif rule == "torchvision":
        level = tf.floor(CANONICAL_LEVEL + _log2(tf.maximum(ratio, 1e-8)) + 1e-6)
    elif rule == "mmdetection":
        level = 2 + tf.floor(_log2(4 * ratio + 1e-6))
    else:
        level = CANONICAL_LEVEL + tf.round(_log2(tf.maximum(ratio, 1e-8)))
    return tf.cast(tf.clip_by_value(level, 2, 5), tf.int32) - 2


def _log2(x: tf.Tensor) -> tf.Tensor:
    return tf.math.log(x) / tf.math.log(2.0)


class RoIAlign(keras.layers.Layer):
    """Features by level, boxes `[N, 4]` in image pixels, image_indices `[N]` int32 -> `[N, size, size, C]`.

    Args:
        size: bins along each side.
        sampling_ratio: samples per bin and axis, 0 for ceil(roi size / bins).
        aligned: whether pixel centres lie at half coordinates.
        mode: "average" or "max" of a bin's samples; or "crop_and_resize", where the bins are single samples, the
            outer ones on the box's edges, and the map's corners are those of the image (Matterport).
        strides: image pixels per feature pixel of the first levels, the ones that are pooled from.
        level_rule: of `assign_levels`; without a choice of levels there is none.
    """

    def __init__(
        self,
        size: int,
        sampling_ratio: int,
        aligned: bool,
        mode: str,
        strides: tuple[int, ...] = (4, 8, 16, 32),
        level_rule: str = "torchvision",
        **kwargs,
    ):
        super().__init__(autocast=False, **kwargs)  # bfloat16 would turn a corner at 1001.5 into 1000
        self.size, self.sampling_ratio, self.aligned, self.mode = size, sampling_ratio, aligned, mode
        self.strides, self.level_rule = tuple(strides), level_rule
        self.supports_jit = False

    def call(
        self,
        features: dict[str, keras.KerasTensor],
        boxes: keras.KerasTensor,
        image_indices: keras.KerasTensor,
    ) -> keras.KerasTensor:
        boxes = tf.stop_gradient(boxes)
        maps = [
            ops.cast(x, self.compute_dtype)
            for _, x in zip(self.strides, features.values(), strict=False)  # P6 is for proposals only
        ]
        levels = self.levels(maps, boxes)
        settings = {"sampling_ratio": self.sampling_ratio, "aligned": self.aligned, "mode": self.mode}
        if self.mode == "crop_and_resize":
            boxes = self._bins_around_samples(boxes, levels, maps)
            settings = {"sampling_ratio": 1, "aligned": True, "mode": "average"}
        return roi_align(
            maps, boxes, image_indices, levels, strides=self.strides, output_size=self.size, **settings
        )

    def levels(self, maps: list[keras.KerasTensor], boxes: tf.Tensor) -> tf.Tensor:
        """Return for boxes `[N, 4]` the index `[N]` int32 of the map that each is pooled from."""
        if len(maps) == 1:
            return tf.zeros(tf.shape(boxes)[:1], tf.int32)
        return assign_levels(boxes * self._side_ratio(maps[0]), self.level_rule)

    def _side_ratio(self, finest: keras.KerasTensor) -> tf.Tensor | float:
        # Matterport measures boxes in the image's last index, and then takes that for its side
        side = tf.cast(self.strides[0] * tf.shape(finest)[1], tf.float32)
        return side / (side - 1) if self.level_rule == "matterport" else 1.0

    def _bins_around_samples(
        self, boxes: tf.Tensor, levels: tf.Tensor, maps: list[keras.KerasTensor]
    ) -> tf.Tensor:
        """Return the boxes whose bins have their centres where crop_and_resize takes its samples."""
        strides = tf.constant(self.strides, tf.float32)[:, None]  # [L, 1]
        shapes = tf.cast(
            tf.stack([tf.shape(x)[2:0:-1] for x in maps]), tf.float32
        )  # [L, 2], width and height
        scales = tf.gather((shapes - 1) / (shapes * strides - 1), levels)  # [N, 2]
        first, last = (
            boxes[:, :2] * scales,
            boxes[:, 2:] * scales,
        )  # in feature pixels, whose centres are whole
        step = (last - first) / max(self.size - 1, 1)
        bins = tf.concat([first - step / 2, last + step / 2], axis=1) + 0.5
        return bins * tf.gather(strides, levels)
