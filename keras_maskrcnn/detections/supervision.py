"""Detections as those of supervision (https://supervision.roboflow.com), which trackers and annotators take."""

from typing import TYPE_CHECKING, Any

import numpy as np

from keras_maskrcnn.masks.rle import mask_to_rle, rle_region, rle_to_mask

if TYPE_CHECKING:
    import supervision


def supervision_detections(
    boxes: np.ndarray,
    scores: np.ndarray,
    class_ids: np.ndarray,
    class_names: list[str],
    masks: Any,
    track_ids: np.ndarray | None,
    height: int,
    width: int,
    more: dict[str, np.ndarray | None],
) -> "supervision.Detections":
    """Make supervision's Detections of the fields of ours.

    Args:
        boxes, scores, class_ids, class_names, masks, track_ids, height, width: as in `Detections`.
        more: what else is to be a row's `data`, [N, ...] each, or None.

    Raises:
        ImportError: supervision is not installed; says how to.
    """
    try:
        import supervision as sv
    except ImportError:
        raise ImportError(
            'to_supervision() needs supervision: pip install "keras3-maskrcnn[supervision]"'
        ) from None
    return sv.Detections(
        xyxy=boxes.copy(),
        mask=None if masks is None else _masks(sv, masks, height, width),
        confidence=scores.copy(),
        class_id=class_ids.astype(np.int64) - 1,
        tracker_id=None if track_ids is None else track_ids.copy(),
        data={
            "class_name": np.array(class_names, dtype=str),
            **{name: values.copy() for name, values in more.items() if values is not None},
        },
    )


def _masks(sv: Any, masks: Any, height: int, width: int) -> Any:
    """A CompactMask where supervision has it, or else [N, height, width] bool."""
    if not hasattr(sv, "CompactMask"):
        dense = [rle_to_mask(mask) if isinstance(mask, dict) else mask for mask in masks]
        return np.array(dense, bool).reshape(-1, height, width)
    rles = [mask if isinstance(mask, dict) else mask_to_rle(mask) for mask in masks]
    # It keeps no pixels outside the boxes that it is given, and takes their ends for the last pixels inside. So it is
    # given boxes around the masks, since those that a model predicts may be smaller.
    around = np.zeros((len(rles), 4))
    for row, (part, left, top) in enumerate(map(rle_region, rles)):
        around[row] = left, top, left + part.shape[1] - 1, top + part.shape[0] - 1
    return sv.CompactMask.from_coco_rle(rles, around, (height, width))
