"""Mirrors and quarter turns of an example: pixels, boxes, masks and keypoints change places, and no value changes."""

from collections.abc import Sequence

import tensorflow as tf

from keras_maskrcnn.config.keypoints import flip_indices

Example = dict[str, tf.Tensor]


def mirrored(example: Example, keypoint_names: Sequence[str], axis: int = 1) -> Example:
    """Mirror whatever lies in the image's frame; left keypoints become right ones, in any mirror.

    Args:
        example: images [H, W, C], sizes [2] and the objects' `gt_` fields, as in `make_dataset` but without the batch.
        keypoint_names: J names; none leaves left and right alone.
        axis: 1 mirrors left and right, 0 top and bottom.
    """
    length, along = tf.cast(example["sizes"][axis], tf.float32), 1 - axis
    corners = tf.unstack(example["gt_boxes"], axis=1)
    corners[along], corners[along + 2] = length - corners[along + 2], length - corners[along]
    moved = example | {
        "images": tf.reverse(example["images"], [axis]),
        "gt_boxes": tf.stack(corners, axis=1),
    }
    if "gt_masks" in example:
        moved["gt_masks"] = tf.reverse(example["gt_masks"], [axis + 1])
    if "gt_keypoints" in example:
        values = tf.unstack(example["gt_keypoints"], axis=2)  # x, y, visibility
        values[along] = tf.where(values[2] > 0, length - values[along], 0.0)
        points = tf.stack(values, axis=2)
        moved["gt_keypoints"] = _sides_swapped(points, keypoint_names)
    return moved


def turned(example: Example, quarters: tf.Tensor) -> Example:
    """Turn counter-clockwise by `quarters` (0..3) times 90 degrees, as `numpy.rot90` does.

    A turn is two mirrors, so left and right stay what they are.
    """

    def quarter(example: Example) -> Example:
        return _transposed(mirrored(example, ()))

    def half(example: Example) -> Example:
        return mirrored(mirrored(example, ()), (), axis=0)

    turns = [
        lambda: example,
        lambda: quarter(example),
        lambda: half(example),
        lambda: half(quarter(example)),
    ]
    return tf.switch_case(quarters, turns)


def _transposed(example: Example) -> Example:
    """Mirror at the diagonal, where x becomes y."""
    moved = example | {
        "images": tf.transpose(example["images"], [1, 0, 2]),
        "sizes": tf.reverse(example["sizes"], [0]),
        "gt_boxes": tf.gather(example["gt_boxes"], [1, 0, 3, 2], axis=1),
    }
    if "gt_masks" in example:
        moved["gt_masks"] = tf.transpose(example["gt_masks"], [0, 2, 1])
    if "gt_keypoints" in example:
        moved["gt_keypoints"] = tf.gather(example["gt_keypoints"], [1, 0, 2], axis=2)
    return moved


def _sides_swapped(points: tf.Tensor, names: Sequence[str]) -> tf.Tensor:
    return tf.gather(points, flip_indices(names), axis=1) if names else points
