"""The ground truth of objects, a class per field: how it is loaded, flipped, rotated, composed and padded.

`fields_of(config)` are the fields that a model of the config is trained on, and all loops over ground truth go over
them. A field's values are arrays or tensors [N, ...] with a row per object, in pixels of the network's input image.
"""

import abc
from typing import ClassVar

import numpy as np
import tensorflow as tf

from keras_maskrcnn.config.config import Config
from keras_maskrcnn.config.keypoints import flip_indices
from keras_maskrcnn.data.augment.affine import AffineTransform
from keras_maskrcnn.data.augment.composed_image import ComposedImage
from keras_maskrcnn.data.records import Record
from keras_maskrcnn.masks.crop_paste import crop_mask, crop_segmentation

_VANISHED = 1e-3
"""Boxes with a side below this, in pixels of the resized image, would be lost in float32 and divide by zero."""


class Field(abc.ABC):
    """One field; padding rows are zeros."""

    name: ClassVar[str]
    """Its key in batches."""

    def __init__(self, config: Config) -> None:
        self.config = config

    @staticmethod
    def is_needed(config: Config) -> bool:
        """Whether a model of the config is trained on it."""
        return True

    @property
    @abc.abstractmethod
    def spec(self) -> tuple[tuple[int | None, ...], str]:
        """Shape of an image's values, with None for the number of objects, and dtype."""

    @abc.abstractmethod
    def load(self, record: Record, size: tuple[int, int]) -> np.ndarray:
        """Return a record's values in its image resized to (height, width).

        Raises:
            ValueError: an object vanishes; the message leaves the image to the caller.
        """

    def flip(self, values: tf.Tensor, length: tf.Tensor, axis: int) -> tf.Tensor:
        """Flip horizontally (axis 1) an image `length` pixels wide, or vertically (axis 0) one `length` pixels high."""
        return values

    def swap_sides(self, values: tf.Tensor) -> tf.Tensor:
        """Exchange left and right, as a flipped image shows them."""
        return values

    def transpose(self, values: tf.Tensor) -> tf.Tensor:
        """Exchange x and y."""
        return values

    def place(self, record: Record, transform: AffineTransform) -> np.ndarray | None:
        """Return a record's values on the canvas of a composed image; None if the shapes of its objects tell them."""
        return None

    def cover(self, values: np.ndarray, covered: np.ndarray, supersampling: int) -> np.ndarray:
        """Return what `place` returned, with what is [H * supersampling, W * supersampling] bool covered hidden."""
        return values

    def compose(self, composed: ComposedImage, boxes: np.ndarray) -> np.ndarray:
        """Return the values of a composed image's objects, around which are the boxes [N, 4] float64."""
        return composed.values[self.name].astype(self.spec[1])


class Boxes(Field):
    """[N, 4] float32: x1, y1, x2, y2."""

    name = "gt_boxes"
    spec = (None, 4), "float32"

    def load(self, record: Record, size: tuple[int, int]) -> np.ndarray:
        lost = vanishing(record, size)
        if len(lost):
            raise ValueError(
                f"object {lost[0]}: its box {record.boxes[lost[0]].tolist()} has no area left in the image resized to "
                f"{size[1]} x {size[0]}"
            )
        return (record.boxes * np.tile(_scale(record, size), 2)).astype(np.float32).reshape(-1, 4)

    def flip(self, values: tf.Tensor, length: tf.Tensor, axis: int) -> tf.Tensor:
        corners, low = tf.unstack(values, axis=1), 1 - axis
        corners[low], corners[low + 2] = length - corners[low + 2], length - corners[low]
        return tf.stack(corners, axis=1)

    def transpose(self, values: tf.Tensor) -> tf.Tensor:
        return tf.gather(values, [1, 0, 3, 2], axis=1)

    def compose(self, composed: ComposedImage, boxes: np.ndarray) -> np.ndarray:
        return boxes.astype(np.float32)


class Classes(Field):
    """[N] int32: 1..K; padding rows are those of class 0."""

    name = "gt_classes"
    spec = (None,), "int32"

    def load(self, record: Record, size: tuple[int, int]) -> np.ndarray:
        return record.class_ids.astype(np.int32)

    def place(self, record: Record, transform: AffineTransform) -> np.ndarray:
        return record.class_ids


class Crowd(Field):
    """[N] bool: regions of many objects."""

    name = "gt_crowd"
    spec = (None,), "bool"

    def load(self, record: Record, size: tuple[int, int]) -> np.ndarray:
        return record.crowd.astype(bool)

    def place(self, record: Record, transform: AffineTransform) -> np.ndarray:
        return record.crowd.astype(bool)


class Masks(Field):
    """[N, S, S] uint8: coverage 0..255 of the S x S cells of each box; zeros for crowds."""

    name = "gt_masks"

    @staticmethod
    def is_needed(config: Config) -> bool:
        return config.mask_head != "none"

    @property
    def spec(self) -> tuple[tuple[int | None, ...], str]:
        return (None, self.config.mask_crop_size, self.config.mask_crop_size), "uint8"

    def load(self, record: Record, size: tuple[int, int]) -> np.ndarray:
        side = self.config.mask_crop_size
        crops = np.zeros((len(record.boxes), side, side), np.uint8)
        for index, segmentation in enumerate(record.masks or ()):
            if not record.crowd[index]:  # one after the other, so that only one mask is ever drawn
                crops[index] = crop_segmentation(
                    segmentation, record.boxes[index], record.height, record.width, side
                )
        return crops

    def flip(self, values: tf.Tensor, length: tf.Tensor, axis: int) -> tf.Tensor:
        return tf.reverse(values, [axis + 1])

    def transpose(self, values: tf.Tensor) -> tf.Tensor:
        return tf.transpose(values, [0, 2, 1])

    def compose(self, composed: ComposedImage, boxes: np.ndarray) -> np.ndarray:
        side = self.config.mask_crop_size
        crops = np.zeros((len(boxes), side, side), np.uint8)
        for index in np.flatnonzero(~composed.crowd):
            shape = composed.shapes[index]
            frame = boxes[index] * composed.supersampling - [shape.left, shape.top, shape.left, shape.top]
            crops[index] = crop_mask(shape.mask, frame, side)
        return crops


class Keypoints(Field):
    """[N, J, 3] float32: x, y, `Config.keypoint_offset` added before, and visibility 0 (not labelled, x and y 0), 1
    (hidden) or 2."""

    name = "gt_keypoints"

    @staticmethod
    def is_needed(config: Config) -> bool:
        return bool(config.keypoint_names)

    @property
    def spec(self) -> tuple[tuple[int | None, ...], str]:
        return (None, len(self.config.keypoint_names), 3), "float32"

    def load(self, record: Record, size: tuple[int, int]) -> np.ndarray:
        points, visibility = self._points(record)
        return _labelled(points * _scale(record, size), visibility).astype(np.float32)

    def flip(self, values: tf.Tensor, length: tf.Tensor, axis: int) -> tf.Tensor:
        columns, along = tf.unstack(values, axis=2), 1 - axis  # x, y, visibility
        columns[along] = tf.where(columns[2] > 0, length - columns[along], 0.0)
        return tf.stack(columns, axis=2)

    def swap_sides(self, values: tf.Tensor) -> tf.Tensor:
        return tf.gather(values, flip_indices(self.config.keypoint_names), axis=1)

    def transpose(self, values: tf.Tensor) -> tf.Tensor:
        return tf.gather(values, [1, 0, 2], axis=2)

    def place(self, record: Record, transform: AffineTransform) -> np.ndarray:
        points, visibility = self._points(record)
        points = transform.points(points)
        inside = ((points >= 0) & (points < [transform.width, transform.height])).all(axis=2)
        moved = _labelled(points, np.where(inside, visibility, 0))
        return moved[:, flip_indices(self.config.keypoint_names)] if transform.flips else moved

    def cover(self, values: np.ndarray, covered: np.ndarray, supersampling: int) -> np.ndarray:
        x, y = (values[..., :2] * supersampling).astype(int).reshape(-1, 2).T
        below = covered[y, x].reshape(values.shape[:2])
        hidden = np.where(below, np.minimum(values[..., 2], 1), values[..., 2])
        return np.concatenate([values[..., :2], hidden[..., None]], axis=2)

    def _points(self, record: Record) -> tuple[np.ndarray, np.ndarray]:
        """A record's keypoints [N, J, 2] float64 with the offset, and their visibility [N, J]."""
        shape = len(record.boxes), len(self.config.keypoint_names), 3
        keypoints = np.zeros(shape) if record.keypoints is None else record.keypoints.reshape(shape)
        return keypoints[..., :2].astype(np.float64) + self.config.keypoint_offset, keypoints[..., 2]


FIELDS = (Boxes, Classes, Crowd, Masks, Keypoints)


def fields_of(config: Config) -> tuple[Field, ...]:
    """Return the fields of ground truth that a model of the config is trained on."""
    return tuple(field(config) for field in FIELDS if field.is_needed(config))


def vanishing(record: Record, size: tuple[int, int]) -> np.ndarray:
    """Return the indices of the objects whose boxes have no area left in the image resized to (height, width)."""
    sides = (record.boxes[:, 2:] - record.boxes[:, :2]) * _scale(record, size)
    return np.flatnonzero(~(sides >= _VANISHED).all(axis=1))


def _scale(record: Record, size: tuple[int, int]) -> np.ndarray:
    """By how much x and y grow when the image is resized: [2] float64."""
    return np.array([size[1] / record.width, size[0] / record.height])


def _labelled(points: np.ndarray, visibility: np.ndarray) -> np.ndarray:
    """Points [N, J, 2] with their visibility [N, J], zeros where they are not labelled: [N, J, 3]."""
    seen = visibility[..., None]
    return np.concatenate([np.where(seen > 0, points, 0), seen], axis=2)
