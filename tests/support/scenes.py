"""A scene whose every metric is known by hand."""

import numpy as np

from keras_maskrcnn.data.records import make_record
from keras_maskrcnn.detections.detections import Detections
from keras_maskrcnn.evaluation.analysis import analyse

NAMES = ("cat", "dog")
CAT, DOG, HIDDEN, CROWD = [0, 0, 20, 20], [40, 40, 80, 80], [0, 60, 20, 80], [70, 0, 100, 30]


def record(boxes, class_ids, crowd=None, masks=None, side=100, image_id="scene"):
    image = np.full((side, side, 3), 100, np.uint8)
    return make_record(image, boxes if len(boxes) else None, class_ids, masks, crowd, image_id=image_id)


def found(*rows, masks=None, side=100):
    """Detections of rows (class id, score, box)."""
    ids = [row[0] for row in rows]
    boxes = np.array([row[2] for row in rows], float).reshape(-1, 4)
    return Detections(boxes, [row[1] for row in rows], ids, [NAMES[i - 1] for i in ids], side, side, masks)


def scene():
    """Two cats, a dog and a crowd of cats: one cat is detected twice, the dog is taken for one, a cat is missed."""
    return analyse(
        [record([CAT, DOG, HIDDEN, CROWD], [1, 2, 1, 1], [0, 0, 0, 1]), record([], [], image_id="empty")],
        [
            found(
                (1, 0.9, CAT),
                (1, 0.8, [0, 0, 20, 19]),  # again
                (1, 0.7, DOG),
                (2, 0.4, DOG),
                (2, 0.95, [85, 85, 99, 99]),  # where nothing is
                (1, 0.85, [72, 2, 82, 12]),  # in the crowd
            ),
            found((2, 0.6, [10, 10, 30, 30])),
        ],
        NAMES,
    )
