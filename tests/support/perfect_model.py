"""Records with one object each, and a model that knows them all."""

import dataclasses

import numpy as np

from keras_maskrcnn.config.config import Config
from keras_maskrcnn.data.records import make_record
from keras_maskrcnn.detections.detections import Detections

NAMES = ("cat", "dog")


def records(count=3):
    """Images whose top left value tells which one they are, each with one object."""
    made = []
    for number in range(count):
        image = np.full((50, 60, 3), number, np.uint8)
        masks = np.zeros((1, 50, 60), bool)
        masks[0, 10 : 30 + number, 5:40] = True
        made.append(make_record(image, None, [1 + number % 2], masks, image_id=100 + number))
    return made


def truth(record):
    masks = [dict(mask) for mask in record.masks]
    return Detections(
        boxes=record.boxes,
        scores=np.ones(len(record.boxes)),
        class_ids=record.class_ids,
        class_names=[NAMES[class_id - 1] for class_id in record.class_ids],
        height=record.height,
        width=record.width,
        masks=masks,
        image=record.image,
    )


class DetectsEverything:
    """Stands for a model: it recognises the images of `records()` and knows what is in them."""

    def __init__(self, misses=(), copies=1, max_detections=100):
        self.config = Config(class_names=NAMES, max_detections=max_detections)
        self.name = "detects_everything"
        self.misses, self.copies = misses, copies
        self.asked = []

    def detect_iter(self, images, batch_size, score_threshold, max_detections, masks, **tiling):
        self.tiling = tiling
        self.asked.append((batch_size, score_threshold, max_detections, masks))
        for image in images:
            number = int(image[0, 0, 0])
            found = truth(records()[number])[[0] * self.copies]
            yield found[:0] if number in self.misses else found


def with_keypoints(names=("nose", "tail")):
    """Records with two keypoints each, and a model that detects them, half a pixel on as its offset says."""
    points = np.array([[[10, 12, 2], [30, 25, 1]]], np.float32)
    annotated = [dataclasses.replace(record, keypoints=points) for record in records()]
    model = DetectsEverything()
    model.config = dataclasses.replace(model.config, keypoint_names=names)

    def detect_iter(*arguments, **limits):
        model.asked.append(arguments)
        for one in annotated:
            found = points + np.float32([0.5, 0.5, 0])
            yield dataclasses.replace(
                truth(one), keypoints=found, keypoint_names=names, keypoint_offset=0.5, masks=None
            )

    model.detect_iter = detect_iter
    return model, annotated
