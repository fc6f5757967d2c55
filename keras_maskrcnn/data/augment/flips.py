"""Flips and 90-degree rotations of an example: pixels and ground truth change places, and no value changes."""

from collections.abc import Sequence

import tensorflow as tf

from keras_maskrcnn.data.fields import Field

Example = dict[str, tf.Tensor]
"""images [H, W, C], sizes [2] and the fields of ground truth, as in `make_dataset` but without the batch."""


def flip(example: Example, fields: Sequence[Field], axis: int = 1) -> Example:
    """Flip an example horizontally (axis 1) or vertically (axis 0); either makes left keypoints right ones."""
    flipped = _reversed(example, fields, axis)
    return flipped | {field.name: field.swap_sides(flipped[field.name]) for field in fields}


def rotate90(example: Example, fields: Sequence[Field], times: tf.Tensor) -> Example:
    """Rotate counter-clockwise by `times` (0..3) 90 degrees, as `numpy.rot90` does.

    A rotation is two flips, so left and right stay what they are.
    """

    def once(example: Example) -> Example:
        return _transposed(_reversed(example, fields, axis=1), fields)

    def twice(example: Example) -> Example:
        return _reversed(_reversed(example, fields, axis=1), fields, axis=0)

    rotations = [
        lambda: example,
        lambda: once(example),
        lambda: twice(example),
        lambda: twice(once(example)),
    ]
    return tf.switch_case(times, rotations)


def _reversed(example: Example, fields: Sequence[Field], axis: int) -> Example:
    length = tf.cast(example["sizes"][axis], tf.float32)
    moved = {field.name: field.flip(example[field.name], length, axis) for field in fields}
    return example | {"images": tf.reverse(example["images"], [axis])} | moved


def _transposed(example: Example, fields: Sequence[Field]) -> Example:
    """Flip at the diagonal, where x becomes y."""
    moved = {field.name: field.transpose(example[field.name]) for field in fields}
    return (
        example
        | {
            "images": tf.transpose(example["images"], [1, 0, 2]),
            "sizes": tf.reverse(example["sizes"], [0]),
        }
        | moved
    )
