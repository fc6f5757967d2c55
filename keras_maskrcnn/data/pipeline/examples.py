"""One training example from one record, in numpy: pixels, boxes of the resized image, mask crops."""

from typing import Any

import numpy as np

from keras_maskrcnn.config.config import Config
from keras_maskrcnn.data.checks import clipped_box, error_prefix
from keras_maskrcnn.data.records import Record, check_record
from keras_maskrcnn.images.io import read_image
from keras_maskrcnn.images.resize import resize_whole, resized_size
from keras_maskrcnn.masks.crop_paste import crop_mask
from keras_maskrcnn.masks.rle import rle_columns, segmentation_to_mask, segmentation_to_rle

_VANISHED = 1e-3
"""Boxes with a side below this, in pixels of the resized image, would be lost in float32 and divide by zero."""


def load_example(record: Record, config: Config, min_size: int, scale: float = 1.0) -> tuple[np.ndarray, ...]:
    """Read a record's image and bring its objects to the frame of the image resized as `scaled_size` says.

    Returns:
        image [H, W, C] float32, already resized unless config.resize is "bilinear", which is left to TensorFlow;
        size [2] int32, (height, width) to resize it to; boxes [N, 4] float32 in pixels of the resized image; class
        ids [N] int32; crowd [N] bool; unless config.mask_head is "none", masks [N, S, S] uint8, the coverage of
        each box (zeros for crowds); and, if config names any, keypoints [N, J, 3] float32: x, y in pixels of the
        resized image and visibility, zeros where not labelled.

    Raises:
        FileNotFoundError: the image file is missing.
        ValueError: the image is broken or of another size than the record says, or an object has vanished;
            the message names the image.
    """
    needs_masks, num_keypoints = config.mask_head != "none", len(config.keypoint_names)
    image = read_pixels(record, config)
    with error_prefix(record.name):
        size = scaled_size(record, config, min_size, scale)
        if config.resize != "bilinear":
            image = resize_whole(image, size, config.resize)
        fields = [
            image.astype(np.float32),
            np.array(size, np.int32),
            _scaled_boxes(record, size),
            record.class_ids.astype(np.int32),
            record.crowd.astype(bool),
        ]
        if needs_masks:
            fields.append(_mask_crops(record, config.mask_crop_size))
        if num_keypoints:
            fields.append(_scaled_keypoints(record, size, num_keypoints, config.keypoint_offset))
        return tuple(fields)


def read_pixels(record: Record, config: Config) -> np.ndarray:
    """Check that a record can be trained on, and read its image: [H, W, C] uint8 or float32.

    Raises:
        FileNotFoundError, ValueError: as `load_example`, but for objects that vanish.
    """
    check_record(record, config.num_classes, config.mask_head != "none", len(config.keypoint_names))
    with error_prefix(record.name):
        for index, box in enumerate(record.boxes.tolist()):
            with error_prefix(f"object {index}"):
                clipped_box(box, record.height, record.width)
    image = read_image(record.image, config.channels)
    with error_prefix(record.name):
        if image.shape[:2] != (record.height, record.width):
            found = f"{image.shape[1]} x {image.shape[0]} (width x height)"
            raise ValueError(f"the image is {found}; its record says {record.width} x {record.height}")
    return image


def scaled_size(record: Record, config: Config, min_size: int, scale: float = 1.0) -> tuple[int, int]:
    """Return (height, width) in pixels with the short side at `min_size` and the long one at most at config.max_size,
    both then times `scale`, which may exceed config.max_size only where a crop of config.crop_size follows."""
    height, width = resized_size(record.height, record.width, min_size, config.max_size, config.size_rounding)
    if scale == 1:
        return height, width
    if not config.crop_size:
        scale = min(scale, config.max_size / max(height, width))
    return max(1, round(height * scale)), max(1, round(width * scale))


def vanishing(record: Record, size: tuple[int, int]) -> np.ndarray:
    """Return the indices of the objects whose boxes have no area left in the image resized to (height, width)."""
    sides = (record.boxes[:, 2:] - record.boxes[:, :2]) * [size[1] / record.width, size[0] / record.height]
    return np.flatnonzero(~(sides >= _VANISHED).all(axis=1))


def crop_segmentation(segmentation: Any, box: np.ndarray, height: int, width: int, size: int) -> np.ndarray:
    """Return `crop_mask` of a COCO segmentation, without drawing the whole image.

    Args:
        segmentation: a list of polygons or an RLE dict, in an image of height x width pixels.
        box: [4] x1, y1, x2, y2 in pixels.
        size: S, cells per side.

    Returns:
        [S, S] uint8.
    """
    if isinstance(segmentation, dict):
        rle = segmentation_to_rle(segmentation, height, width)
        left, right = np.clip([np.floor(box[0]), np.ceil(box[2])], 0, width).astype(int).tolist()
        return crop_mask(rle_columns(rle, left, right), box - np.array([left, 0, left, 0]), size)
    corners = np.reshape(box, (2, 2)).tolist()
    points = np.array([*corners, *(xy for polygon in segmentation for xy in np.reshape(polygon, (-1, 2)))])
    # One pixel more at the far sides, because pycocotools rounds the points; moving by whole pixels changes nothing.
    start = np.floor(points.min(axis=0)).clip(0).astype(int)
    stop = np.minimum(np.ceil(points.max(axis=0)).astype(int) + 1, [width, height])
    moved = [(np.reshape(polygon, (-1, 2)) - start).ravel().tolist() for polygon in segmentation]
    mask = segmentation_to_mask(moved, int(stop[1] - start[1]), int(stop[0] - start[0]))
    return crop_mask(mask, box - np.tile(start, 2), size)


def _scaled_boxes(record: Record, size: tuple[int, int]) -> np.ndarray:
    scale = np.array([size[1] / record.width, size[0] / record.height] * 2)
    boxes = (record.boxes * scale).astype(np.float32).reshape(-1, 4)
    lost = vanishing(record, size)
    if len(lost):
        raise ValueError(
            f"object {lost[0]}: its box {record.boxes[lost[0]].tolist()} has no area left in the image resized to "
            f"{size[1]} x {size[0]}"
        )
    return boxes


def _scaled_keypoints(record: Record, size: tuple[int, int], count: int, offset: float) -> np.ndarray:
    if record.keypoints is None or not len(record.boxes):
        return np.zeros((0, count, 3), np.float32)
    visibility = record.keypoints[..., 2:]
    points = (record.keypoints[..., :2] + offset) * [size[1] / record.width, size[0] / record.height]
    return np.concatenate([np.where(visibility > 0, points, 0), visibility], axis=2).astype(np.float32)


def _mask_crops(record: Record, size: int) -> np.ndarray:
    """Crop mask after mask, so that only one is ever drawn: [N, S, S] uint8."""
    crops = np.zeros((len(record.boxes), size, size), np.uint8)
    for index, segmentation in enumerate(record.masks or ()):
        if not record.crowd[index]:
            crops[index] = crop_segmentation(
                segmentation, record.boxes[index], record.height, record.width, size
            )
    return crops
