"""Anchors: the boxes that the region proposal network starts from (Faster R-CNN, section 3.1.1)."""

import numpy as np
import tensorflow as tf


def base_anchors(sizes: tuple[float, ...], ratios: tuple[float, ...], rounded: bool) -> np.ndarray:
    """Return the anchors `[A, 4]` float32, in pixels, of one cell, centred on the origin.

    `sizes` are square roots of areas in pixels, `ratios` height over width. A size with all its ratios comes
    before the next size. `rounded` brings corners to whole pixels, half to even (torchvision's rule).
    """
    size = np.repeat(np.asarray(sizes, np.float32), len(ratios))
    root = np.sqrt(np.tile(np.asarray(ratios, np.float32), len(sizes)))
    half_width, half_height = size / root / 2, size * root / 2
    anchors = np.stack([-half_width, -half_height, half_width, half_height], axis=-1)
    return np.round(anchors) if rounded else anchors


def level_anchors(
    feature_shape: tf.Tensor,
    strides: tf.Tensor,
    sizes: tuple[float, ...],
    ratios: tuple[float, ...],
    rounded: bool,
) -> tf.Tensor:
    """Return the anchors `[H * W * A, 4]` float32, in image pixels, of a feature level of H x W cells.

    Args:
        feature_shape: `[2]` int32, (H, W) of the level.
        strides: `[2]`, pixels from one cell to the next (down, across).
        sizes: square roots of areas in pixels.
        ratios: heights over widths.
        rounded: as in `base_anchors`.

    Order is y, x, anchor. Cell (0, 0) is centred on the origin (torchvision's and Detectron2's offset 0).
    """
    base = base_anchors(sizes, ratios, rounded)  # [A, 4]
    strides = tf.cast(strides, tf.float32)
    y = tf.range(feature_shape[0], dtype=tf.float32) * strides[0]
    x = tf.range(feature_shape[1], dtype=tf.float32) * strides[1]
    grid_x, grid_y = tf.meshgrid(x, y)  # [H, W]
    # Each row of A boxes in one: TensorFlow adds a long last axis fast, and two short ones slowly.
    shifts = tf.stack([grid_x, grid_y] * (2 * len(base)), axis=-1)  # [H, W, A * 4]
    return tf.reshape(shifts + base.reshape(-1), [-1, 4])
