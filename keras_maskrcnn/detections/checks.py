"""What the fields of `Detections` must have in common; each function takes these."""

from typing import Any

import numpy as np

from keras_maskrcnn.detections.values import refuse


def check_shapes(detections: Any) -> None:
    """Refuse fields of which the lengths, or the sizes, disagree.

    Raises:
        ValueError: the message names the field.
    """
    count = len(detections)
    if detections.boxes.shape != (count, 4):
        raise ValueError(
            f"Detections.boxes must be [{count}, 4], as there are scores; got {detections.boxes.shape}"
        )
    for name in ("class_ids", "class_names", "masks", "keypoints", "mask_scores", "track_ids"):
        values = getattr(detections, name)
        if values is not None and len(values) != count:
            raise ValueError(f"Detections.{name} must have {count} rows, as scores has; got {len(values)}")
    if detections.keypoints is not None and (
        detections.keypoints.ndim != 3 or detections.keypoints.shape[2] != 3
    ):
        raise ValueError(f"Detections.keypoints must be [N, J, 3]; got {detections.keypoints.shape}")
    points = len(detections.keypoint_names) if detections.keypoints is None else detections.keypoints.shape[1]
    if detections.keypoint_names and len(detections.keypoint_names) != points:
        raise ValueError(
            f"Detections.keypoint_names must name {points} keypoints; got {detections.keypoint_names}"
        )
    size = (detections.height, detections.width)
    if isinstance(detections.masks, np.ndarray) and detections.masks.shape[1:] != size:
        raise ValueError(f"Detections.masks must be [N, {size[0]}, {size[1]}]; got {detections.masks.shape}")
    if isinstance(detections.masks, list) and any(tuple(rle["size"]) != size for rle in detections.masks):
        raise ValueError(f"Detections.masks holds RLEs that are not of size {list(size)}")
    if detections.image is not None and detections.image.shape[:2] != size:
        raise ValueError(f"Detections.image must be {size[0]} x {size[1]}; got {detections.image.shape}")


def check_values(detections: Any) -> None:
    """Refuse numbers that are out of range; NaN and infinite ones are.

    Raises:
        ValueError: the message names the field and the row.
    """
    for name in ("boxes", "keypoints"):
        values = getattr(detections, name)
        if values is not None:
            refuse(name, values, ~np.isfinite(values), "finite numbers")
    for name in ("scores", "mask_scores"):
        values = getattr(detections, name)
        if values is not None:
            refuse(name, values, ~((values >= 0) & (values <= 1)), "in 0..1")  # NaN is neither
    boxes = detections.boxes
    refuse("boxes", boxes, boxes[:, 2:] < boxes[:, :2], "x1, y1, x2, y2 with x1 <= x2 and y1 <= y2")
