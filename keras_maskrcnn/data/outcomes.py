"""Which detections of one image are true positives and which objects are missed, as COCO counts them at one IoU."""

import numpy as np
import pycocotools.mask as coco_mask

from keras_maskrcnn.data.records import Record
from keras_maskrcnn.detections.detections import Detections
from keras_maskrcnn.masks.rle import mask_to_rle, segmentation_to_rle

NO_OBJECT, IN_CROWD = -1, -2


def matched_objects(detections: Detections, record: Record, iou_threshold: float = 0.5) -> np.ndarray:
    """Match the detections of one image with its objects of the same class, most confident first, each object once.

    Args:
        detections: N rows in pixels of the record's image.
        record: the image with its ground truth; masks are compared where both have masks, or else boxes.
        iou_threshold: from which a detection and an object match, above 0 to 1.

    Returns:
        [N] int64: the row of each detection's object, `NO_OBJECT` for a false positive, or `IN_CROWD` for a detection
        inside a crowd, which is neither.
    """
    matched = np.full(len(detections), NO_OBJECT)
    overlaps = _overlaps(detections, record)
    overlaps[detections.class_ids[:, None] != record.class_ids] = 0
    free = ~np.asarray(record.crowd, bool)
    for row in np.argsort(-detections.scores, kind="stable"):
        candidates = np.where(free, overlaps[row], 0)
        if candidates.max(initial=0) >= iou_threshold:
            matched[row] = candidates.argmax()
            free[matched[row]] = False
        elif overlaps[row, record.crowd].max(initial=0) >= iou_threshold:
            matched[row] = IN_CROWD
    return matched


def _overlaps(detections: Detections, record: Record) -> np.ndarray:
    """IoU [N, M]; with a crowd, the fraction of the detection that is inside."""
    if not len(detections) or not len(record.boxes):
        return np.zeros((len(detections), len(record.boxes)))
    if detections.masks is not None and record.masks is not None:
        masks = [mask if isinstance(mask, dict) else mask_to_rle(mask) for mask in detections.masks]
        truth = [segmentation_to_rle(mask, record.height, record.width) for mask in record.masks]
        return coco_mask.iou(masks, truth, record.crowd.tolist())
    return coco_mask.iou(_sized(detections.boxes), _sized(record.boxes), record.crowd.tolist())


def _sized(boxes: np.ndarray) -> np.ndarray:
    """Boxes x1, y1, x2, y2 as pycocotools takes them: x, y, width, height, float64."""
    boxes = np.asarray(boxes, np.float64)
    return np.concatenate([boxes[:, :2], boxes[:, 2:] - boxes[:, :2]], axis=1)
