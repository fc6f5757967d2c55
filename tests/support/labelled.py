"""Records and detections of label images."""

import numpy as np

from keras_maskrcnn.data.records import make_record
from keras_maskrcnn.detections.detections import Detections
from keras_maskrcnn.masks.rle import mask_to_rle


def record_of(labels, class_ids=None, crowd=None, image_id="scene"):
    masks = np.array([labels == value for value in np.unique(labels) if value]).reshape(-1, *labels.shape)
    class_ids = np.ones(len(masks), int) if class_ids is None else class_ids
    return make_record(np.zeros(labels.shape, np.uint8), None, class_ids, masks, crowd, image_id=image_id)


def found_of(masks, scores=None, class_ids=None):
    """Detections with masks [N, H, W] as RLEs."""
    count, height, width = np.shape(masks)
    class_ids = np.ones(count, int) if class_ids is None else np.asarray(class_ids)
    return Detections(
        boxes=np.tile([0, 0, width, height], (count, 1)),
        scores=np.full(count, 0.9) if scores is None else scores,
        class_ids=class_ids,
        class_names=[f"class {number}" for number in class_ids],
        height=height,
        width=width,
        masks=[mask_to_rle(mask) for mask in np.asarray(masks, bool)],
    )


def masks_of(labels):
    return np.array([labels == value for value in np.unique(labels) if value]).reshape(-1, *labels.shape)
