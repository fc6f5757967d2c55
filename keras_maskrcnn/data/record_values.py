"""What `make_record` is given, checked and brought to the types of a `Record`; the caller names the image."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pycocotools.mask as coco_mask

from keras_maskrcnn.data.checks import check_keypoints, clipped_box, error_prefix, has_area
from keras_maskrcnn.data.extents import segmentation_extent
from keras_maskrcnn.masks.rle import mask_to_rle, segmentation_to_rle


def segmentations_of(masks: Any, height: int, width: int) -> tuple[Any, ...]:
    """Return N COCO segmentations of a bool array [N, H, W], a list of masks, or of segmentations as they are."""
    if isinstance(masks, (list, tuple)) and masks and all(isinstance(mask, np.ndarray) for mask in masks):
        masks = np.stack(masks)
    if isinstance(masks, np.ndarray):
        if masks.ndim != 3 or masks.shape[1:] != (height, width):
            raise ValueError(f"masks have shape {masks.shape}; the image needs [N, {height}, {width}]")
        if masks.dtype != np.bool_ and not np.isin(masks, (0, 1)).all():
            raise ValueError("masks given as an array must be boolean, or hold only 0 and 1")
        return tuple(mask_to_rle(mask) for mask in masks)
    if isinstance(masks, dict) or not isinstance(masks, Sequence):
        raise ValueError(
            f"masks must be an array [N, H, W] or a list of segmentations; got {type(masks).__name__}"
        )
    return tuple(masks)


def encoded_masks(segmentations: tuple[Any, ...], height: int, width: int) -> list[dict[str, Any]]:
    """Return segmentations as N compressed RLEs, of which none is empty."""
    encoded = []
    for index, segmentation in enumerate(segmentations):
        with error_prefix(f"object {index}"):
            encoded.append(segmentation_to_rle(segmentation, height, width))
            if coco_mask.area(encoded[-1]) == 0:
                raise ValueError("its mask is empty")
    return encoded


def mask_extents(segmentations: Sequence[Any], height: int, width: int) -> np.ndarray:
    """Return boxes [N, 4] float32 around the masks: around the points of polygons, around the pixels of RLEs."""
    rows = [segmentation_extent(segmentation, height, width) for segmentation in segmentations]
    return np.array(rows, np.float32).reshape(-1, 4)


def checked_boxes(boxes: Any, height: int, width: int) -> np.ndarray:
    """Return boxes [N, 4] float32, clipped to their image."""
    boxes = np.asarray(boxes, np.float64)
    if boxes.size == 0:
        return np.zeros((0, 4), np.float32)
    if boxes.ndim != 2 or boxes.shape[1] != 4:
        raise ValueError(f"boxes must be [N, 4]; got shape {boxes.shape}")
    clipped = np.zeros(boxes.shape, np.float32)
    for index, box in enumerate(boxes.tolist()):
        with error_prefix(f"object {index}"):
            clipped[index] = clipped_box(box, height, width)
            if not has_area(clipped[index]):
                raise ValueError(f"box {box} has no area inside the image")
    return clipped


def checked_keypoints(keypoints: Any) -> np.ndarray:
    """Return keypoints [N, J, 3] float32."""
    values = np.asarray(keypoints, np.float64)
    if values.ndim == 3 and values.shape[2] == 3:  # or else the counts are refused
        for index, points in enumerate(values):
            with error_prefix(f"object {index}"):
                check_keypoints(points)
    return values.astype(np.float32)


def checked_class_ids(class_ids: Any) -> np.ndarray:
    """Return class ids [N] int32, from 1."""
    values = np.asarray(class_ids)
    if values.size and not (np.issubdtype(values.dtype, np.integer) and values.min() >= 1):
        raise ValueError(f"class_ids must be integers from 1 (0 is the background); got {class_ids!r}")
    if values.size and values.max() > np.iinfo(np.int32).max:  # which the cast would make another class of
        raise ValueError(f"class_ids must be integers of 32 bits; got {values.max()}")
    return values.astype(np.int32)


def checked_crowd(crowd: Any, count: int) -> np.ndarray:
    """Return crowd flags [N] bool; none of `count` objects is a crowd if they are None."""
    if crowd is None:
        return np.zeros(count, bool)
    values = np.asarray(crowd)
    if values.size and (values.dtype.kind not in "biuf" or not np.isin(values, (0, 1)).all()):
        raise ValueError(
            f"crowd must be booleans, or 0 and 1; got {crowd!r}"
        )  # "0" and "False" would be true
    return values.astype(bool)


def checked_areas(areas: Any, height: int, width: int) -> np.ndarray:
    """Return areas [N] float32 in square pixels, of objects in an image."""
    values = np.asarray(areas, np.float64)
    for index, area in enumerate(values.reshape(-1).tolist()):
        if not 0 <= area <= height * width:
            reason = f"its area must lie in 0..{height * width}, the pixels of the image; got {area:g}"
            raise ValueError(f"object {index}: {reason}")
    return values.astype(np.float32)


def areas_of(encoded: list[dict[str, Any]], boxes: np.ndarray) -> np.ndarray:
    """Return areas [N] in square pixels, of masks or else of boxes."""
    if encoded:
        # One by one: given a list of more than 255, pycocotools overflows.
        return np.array([coco_mask.area(rle) for rle in encoded], np.float32)
    return (boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1])
