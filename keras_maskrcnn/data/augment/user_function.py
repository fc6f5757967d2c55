"""Calls a user's own augmentation function, and makes a record of what it returns only if that can be trained on."""

import dataclasses
from typing import Any

import numpy as np

from keras_maskrcnn.config.config import Config
from keras_maskrcnn.data.augment.sample import Augment, Sample, sample_of
from keras_maskrcnn.data.checks import check_mask_meets_box, clipped_box, error_prefix, has_area
from keras_maskrcnn.data.record_values import (
    areas_of,
    checked_class_ids,
    checked_crowd,
    checked_keypoints,
    mask_extents,
    segmentations_of,
)
from keras_maskrcnn.data.records import Record, check_record
from keras_maskrcnn.images.io import read_with_doubts
from keras_maskrcnn.masks.rle import segmentation_to_rle
from keras_maskrcnn.utils.display import message


def call_augment(
    augment: Augment, record: Record, image: np.ndarray, config: Config, random: np.random.Generator
) -> tuple[Record, np.ndarray, np.ndarray]:
    """Return what a user's function makes of a record and its image.

    Args:
        augment: the function.
        record: it keeps its image's file or array, by which it is called in messages.
        image: [H, W, C] uint8 or float32, as read.
        config: says what can be trained on.
        random: what the function is given to choose by.

    Returns:
        The record of the objects left, of the new image's size; the new image; and rows [M] of the objects left in
        the given record, -1 for those that were added. Objects that have no pixel left (no area, where there are no
        masks) are not among them.

    Raises:
        ValueError: the function raised, or returned what cannot be trained on; the message names the image.
    """
    given = sample_of(record, image)
    try:
        returned = augment(given, random)
    except Exception as error:  # whatever a function of a user's raises
        reason = f"{record.name}: augment raised {type(error).__name__}: {error}"
        raise ValueError(message(reason)) from error
    with error_prefix(f"{record.name}: what augment returned"):
        pixels = _checked_image(returned, image.shape[2])
        rows = _checked_rows(returned, len(record.boxes))
        made, left = _record_of(returned, rows, pixels.shape[:2], record)
    with error_prefix("what augment returned"):
        check_record(made, config.num_classes, config.mask_head != "none", len(config.keypoint_names))
    return made, pixels, rows[left]


def _checked_image(returned: Any, channels: int) -> np.ndarray:
    if not isinstance(returned, Sample):
        raise ValueError(f"it must be a km.Sample; got {type(returned).__name__}")
    shape = np.shape(returned.image)
    if len(shape) != 3 or shape[2] != channels or 0 in shape:
        raise ValueError(f"its image must be [H, W, {channels}]; got shape {shape}")
    return read_with_doubts(np.asarray(returned.image), channels)[0]


def _checked_rows(returned: Sample, count: int) -> np.ndarray:
    """Return the rows [N] int64 of the objects given that the returned ones are, if all else has as many."""
    rows = np.asarray(returned.rows, np.float64).reshape(-1)
    own = rows[rows != -1]
    if len(np.unique(own)) < len(own) or not np.isin(own, np.arange(count)).all():
        raise ValueError(
            f"its rows must be those of the {count} objects given, each once at most, or -1 for what was added; "
            f"got {rows.tolist()}"
        )
    for name in ("boxes", "class_ids", "masks", "keypoints", "crowd"):
        values = getattr(returned, name)
        if values is not None and np.shape(values)[:1] != (len(rows),):
            raise ValueError(f"it has {len(rows)} rows, but {name} of shape {np.shape(values)}")
    if returned.boxes is None and returned.masks is None:
        raise ValueError("its boxes are None, but there are no masks whose extents they could be")
    return rows.astype(np.int64)


def _record_of(
    returned: Sample, rows: np.ndarray, size: tuple[int, int], record: Record
) -> tuple[Record, np.ndarray]:
    """Return a record of the objects of which something is left, and which these are: [N] bool."""
    masks = None if returned.masks is None else _segmentations(returned.masks, rows, size, record)
    boxes = _boxes(returned.boxes, masks, size)
    if masks is None:
        areas = areas_of([], boxes)
        left = np.array([has_area(box) for box in boxes], bool)
    else:
        rles = [segmentation_to_rle(mask, *size) for mask in masks]
        areas = areas_of(rles, boxes)
        left = areas > 0
        for index in np.flatnonzero(left):
            with error_prefix(f"object {index}"):
                check_mask_meets_box(rles[index], boxes[index])
    class_ids = checked_class_ids(returned.class_ids)
    crowd = checked_crowd(returned.crowd, len(rows))
    keypoints = None if returned.keypoints is None else _keypoints(returned.keypoints, size)
    return dataclasses.replace(
        record,
        height=size[0],
        width=size[1],
        boxes=boxes[left],
        class_ids=class_ids[left],
        masks=None
        if masks is None
        else tuple(mask for mask, is_left in zip(masks, left, strict=True) if is_left),
        crowd=crowd[left],
        areas=areas[left],
        keypoints=None if keypoints is None else keypoints[left],
    ), left


def _segmentations(masks: Any, rows: np.ndarray, size: tuple[int, int], record: Record) -> tuple[Any, ...]:
    """Return masks [N, H, W] as segmentations; those that came back as they went are the record's own, polygons too."""
    if not len(rows):
        return ()  # an empty list says nothing of its elements
    found = list(segmentations_of(np.asarray(masks), *size))
    for index, row in enumerate(rows.tolist()):
        if row >= 0 and record.masks is not None and size == (record.height, record.width):
            counts = segmentation_to_rle(record.masks[row], *size)["counts"]
            if found[index]["counts"].encode() == counts:
                found[index] = record.masks[row]
    return tuple(found)


def _boxes(boxes: Any, masks: tuple[Any, ...] | None, size: tuple[int, int]) -> np.ndarray:
    """Return boxes [N, 4] float32, clipped to the image: those given, or else the extents of the masks."""
    if boxes is None:
        return mask_extents(masks or (), *size)
    values = np.asarray(boxes, np.float64)
    if values.size and values.shape[1:] != (4,):
        raise ValueError(f"its boxes must be [N, 4]; got shape {values.shape}")
    clipped = []
    for index, box in enumerate(values.reshape(-1, 4).tolist()):
        with error_prefix(f"object {index}"):
            clipped.append(clipped_box(box, *size))
    return np.array(clipped, np.float32).reshape(-1, 4)


def _keypoints(keypoints: Any, size: tuple[int, int]) -> np.ndarray:
    """Return keypoints [N, J, 3] float32, of which those outside of the image are not labelled."""
    values = checked_keypoints(keypoints)
    if values.ndim != 3 or values.shape[2] != 3:
        raise ValueError(f"its keypoints must be [N, J, 3]; got shape {values.shape}")
    points = values[..., :2]
    inside = ((points >= 0) & (points <= [size[1], size[0]])).all(axis=2, keepdims=True)  # [N, J, 1]
    return np.where(inside, values, np.float32(0))
