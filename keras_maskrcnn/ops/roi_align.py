"""RoIAlign: the compiled operation where there is one, the reference in plain TensorFlow elsewhere.

In graphs for other runtimes it is what their dialect has (`dialect.py`).
"""

from collections.abc import Sequence
from typing import Any

import tensorflow as tf

from keras_maskrcnn.ops import elementary_roi_align, marked_roi_align, reference
from keras_maskrcnn.ops.dialect import dialect, elementary
from keras_maskrcnn.ops.library import library


@tf.autograph.experimental.do_not_convert
def roi_align(
    features: Sequence[tf.Tensor],
    boxes: tf.Tensor,
    image_indices: tf.Tensor,
    levels: tf.Tensor,
    *,
    strides: Sequence[float],
    output_size: int,
    sampling_ratio: int = 0,
    aligned: bool = True,
    mode: str = "average",
) -> tf.Tensor:
    """Pool each box into a square of bins from its own level of a feature pyramid.

    Every bin joins `sampling_ratio` x `sampling_ratio` samples (0: as many as the bin has feature pixels,
    rounded up), each interpolated between four pixels. Up to one pixel outside the map a sample has the
    border's value, further away zero. Boxes are clamped to 2**20 feature pixels; one with a NaN pools zeros.
    The gradient goes to the features only. The environment variable KERAS_MASKRCNN_OPS chooses what computes
    it: "compiled", "plain" (equal to 1e-4), or "auto", the compiled op where it exists or can be built. On a GPU
    boxes with an index out of range pool zeros, since finding them would make the program wait.

    Args:
        features: L tensors [B, H_l, W_l, C], float32, float16, bfloat16 or float64.
        boxes: [N, 4] float32, x1, y1, x2, y2 in pixels of the image.
        image_indices: [N] int32, 0..B-1, the image each box lies on.
        levels: [N] int32, 0..L-1, the level each box is pooled from.
        strides: L values, image pixels per feature pixel.
        output_size: P, bins on a side.
        sampling_ratio: samples per bin and axis; 0 is adaptive.
        aligned: whether pixel centres lie at half coordinates (Detectron2's `ROIAlignV2`); if not, as in the
            first RoIAlign and torchvision's default, boxes are also at least one feature pixel wide and high.
        mode: "average" or "max" of the samples.

    Returns:
        [N, P, P, C] of the features' dtype.

    Raises:
        ValueError: an argument is outside its choices or range, or KERAS_MASKRCNN_OPS is.
        RuntimeError: KERAS_MASKRCNN_OPS is "compiled" and the op cannot be built.
        tf.errors.InvalidArgumentError: an image index or level is out of range.
    """
    _check(features, strides, output_size, sampling_ratio, mode)
    boxes = tf.stop_gradient(tf.cast(boxes, tf.float32))
    image_indices, levels = tf.cast(image_indices, tf.int32), tf.cast(levels, tf.int32)
    settings: dict[str, Any] = {"strides": [float(stride) for stride in strides], "output_size": output_size}
    settings |= {"sampling_ratio": sampling_ratio, "aligned": aligned}
    if dialect() == "marked" and mode == "average":
        return marked_roi_align.roi_align(features, boxes, image_indices, levels, **settings)
    settings["mode"] = mode
    if elementary():
        return elementary_roi_align.roi_align(features, boxes, image_indices, levels, **settings)
    compiled = library()
    if compiled is None:
        return reference.roi_align(list(features), boxes, image_indices, levels, **settings)
    return compiled.maskrcnn_roi_align(
        features=list(features), boxes=boxes, image_indices=image_indices, levels=levels, **settings
    )


def _check(
    features: Sequence[tf.Tensor], strides: Sequence[float], output_size: int, sampling_ratio: int, mode: str
) -> None:
    if len(features) == 0 or len(strides) != len(features):
        raise ValueError(
            f"strides must have one value per feature level, found {len(strides)} for {len(features)}"
        )
    if not all(0 < stride < float("inf") for stride in strides):
        raise ValueError(f"strides must be positive, found {list(strides)}")
    if output_size < 1:
        raise ValueError(f"output_size must be at least 1, found {output_size}")
    if sampling_ratio < 0:
        raise ValueError(f"sampling_ratio must be 0 (adaptive) or positive, found {sampling_ratio}")
    if mode not in ("average", "max"):
        raise ValueError(f'mode must be "average" or "max", found {mode!r}')
