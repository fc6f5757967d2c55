"""What `make_record` is given, checked and brought to the types of a `Record`; the caller names the image."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pycocotools.mask as coco_mask

from keras_maskrcnn.data.checks import check_keypoints, clipped_box, error_prefix, has_area, mask_extent
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


def mask_extents(encoded: list[dict[str, Any]], segmentations: tuple[Any, ...] | None) -> np.ndarray:
    """Return boxes [N, 4] float32 around the masks: around the points of polygons, around the pixels of RLEs."""
    rows = []
    for rle, segmentation in zip(encoded, segmentations or (), strict=True):
        if isinstance(segmentation, dict):
            rows.append(mask_extent(rle))
        else:
            points = np.concatenate([np.reshape(polygon, (-1, 2)) for polygon in segmentation])
            rows.append([*points.min(axis=0), *points.max(axis=0)])
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
    values = np.asarray(keypoints, np.float32)
    if values.ndim == 3 and values.shape[2] == 3:  # or else the counts are refused
        for index, points in enumerate(values):
            with error_prefix(f"object {index}"):
                check_keypoints(points)
    return values


def checked_class_ids(class_ids: Any) -> np.ndarray:
    """Return class ids [N] int32, from 1."""
    values = np.asarray(class_ids)
    if values.size and not (np.issubdtype(values.dtype, np.integer) and values.min() >= 1):
        raise ValueError(f"class_ids must be integers from 1 (0 is the background); got {class_ids!r}")
    return values.astype(np.int32)


def areas_of(encoded: list[dict[str, Any]], boxes: np.ndarray) -> np.ndarray:
    """Return areas [N] in square pixels, of masks or else of boxes."""
    if encoded:
        # One by one: given a list of more than 255, pycocotools overflows.
        return np.array([coco_mask.area(rle) for rle in encoded], np.float32)
    return (boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1])
