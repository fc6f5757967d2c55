"""Box arithmetic: boxes are x1, y1, x2, y2 in continuous pixels, float32, in the last axis of any shape."""

import math

import keras
from keras import ops

MAX_LOG_SCALE = math.log(1000.0 / 16)
"""Largest predicted log size ratio, so that exp() cannot overflow (Detectron's rule)."""


def area(boxes: keras.KerasTensor) -> keras.KerasTensor:
    """Return the areas `[...]` in square pixels of boxes `[..., 4]`; inverted boxes count as empty."""
    width = ops.maximum(boxes[..., 2] - boxes[..., 0], 0)
    height = ops.maximum(boxes[..., 3] - boxes[..., 1], 0)
    return width * height


def intersection(boxes: keras.KerasTensor, others: keras.KerasTensor) -> keras.KerasTensor:
    """Return the areas `[..., N, M]` that boxes `[..., N, 4]` share with others `[..., M, 4]`."""
    x1, y1, x2, y2 = (ops.expand_dims(boxes[..., i], -1) for i in range(4))
    other_x1, other_y1, other_x2, other_y2 = (ops.expand_dims(others[..., i], -2) for i in range(4))
    width = ops.maximum(ops.minimum(x2, other_x2) - ops.maximum(x1, other_x1), 0)
    height = ops.maximum(ops.minimum(y2, other_y2) - ops.maximum(y1, other_y1), 0)
    return width * height


def iou(boxes: keras.KerasTensor, others: keras.KerasTensor) -> keras.KerasTensor:
    """Return intersection over union `[..., N, M]`, 0..1, of boxes `[..., N, 4]` with others `[..., M, 4]`.

    Two empty boxes have IoU 0, never NaN.
    """
    shared = intersection(boxes, others)
    union = ops.expand_dims(area(boxes), -1) + ops.expand_dims(area(others), -2) - shared
    return shared / ops.where(union > 0, union, 1)


def intersection_over_area(boxes: keras.KerasTensor, others: keras.KerasTensor) -> keras.KerasTensor:
    """Return the fraction `[..., N, M]`, 0..1, of each box `[..., N, 4]` that lies inside each other `[..., M, 4]`.

    This is COCO's overlap with a crowd region, whose own size says nothing about the match.
    """
    own = ops.expand_dims(area(boxes), -1)
    return ops.where(own > 0, intersection(boxes, others) / ops.where(own > 0, own, 1), 0)


def clip(boxes: keras.KerasTensor, windows: keras.KerasTensor) -> keras.KerasTensor:
    """Return boxes `[B, ..., 4]` clipped to their images' `windows [B, 4]`, boxes as well."""
    for _ in range(len(boxes.shape) - 2):
        windows = ops.expand_dims(windows, 1)
    low = ops.concatenate([windows[..., :2], windows[..., :2]], axis=-1)
    high = ops.concatenate([windows[..., 2:], windows[..., 2:]], axis=-1)
    return ops.minimum(ops.maximum(boxes, low), high)


def _center_size(boxes: keras.KerasTensor) -> tuple[keras.KerasTensor, keras.KerasTensor]:
    size = boxes[..., 2:] - boxes[..., :2]
    return boxes[..., :2] + 0.5 * size, size


def encode(
    boxes: keras.KerasTensor, references: keras.KerasTensor, weights: tuple[float, ...] = (1, 1, 1, 1)
) -> keras.KerasTensor:
    """Return the deltas `[..., 4]` (dx, dy, dw, dh) that carry `references [..., 4]` to `boxes [..., 4]`.

    Shifts are in units of the reference's size, sizes are log ratios, all times `weights` (R-CNN, appendix C).
    Rows where either box is empty give zeros, so that padded rows stay finite.
    """
    center, size = _center_size(boxes)
    reference_center, reference_size = _center_size(references)
    usable = ops.all((size > 0) & (reference_size > 0), axis=-1, keepdims=True)
    size = ops.where(usable, size, 1)
    reference_size = ops.where(usable, reference_size, 1)
    deltas = ops.concatenate(
        [(center - reference_center) / reference_size, ops.log(size / reference_size)], axis=-1
    )
    return ops.where(usable, deltas * ops.convert_to_tensor(weights, deltas.dtype), 0)


def decode(
    deltas: keras.KerasTensor,
    references: keras.KerasTensor,
    weights: tuple[float, ...] = (1, 1, 1, 1),
    clamp: bool = True,
    clamp_shrinking: bool = False,
) -> keras.KerasTensor:
    """Return the boxes `[..., 4]` that `deltas [..., 4]` make of `references [..., 4]`; the inverse of `encode`.

    `clamp` cuts log sizes at `MAX_LOG_SCALE`, `clamp_shrinking` at its negative.
    """
    # Cut before they are scaled: OpenVINO takes a scale of whole numbers behind a slice, and does not cut it.
    weights = ops.convert_to_tensor(weights, deltas.dtype)
    shift, log_size = deltas[..., :2] / weights[:2], deltas[..., 2:] / weights[2:]
    reference_center, reference_size = _center_size(references)
    center = reference_center + shift * reference_size
    log_size = ops.minimum(log_size, MAX_LOG_SCALE) if clamp else log_size
    log_size = ops.maximum(log_size, -MAX_LOG_SCALE) if clamp_shrinking else log_size
    half = 0.5 * reference_size * ops.exp(log_size)
    return ops.concatenate([center - half, center + half], axis=-1)
