"""Checks records of which the third may have a fault."""

import dataclasses

from examples import tiny

import keras_maskrcnn as km
from keras_maskrcnn.diagnostics.dataset.issues import Issue

CONFIG = tiny()
HEIGHT, WIDTH = 64, 80


def check(records, **arguments):
    arguments.setdefault("config", CONFIG)
    return km.check_dataset(records, **arguments)


def with_fault(files, **fields):
    """The records, the third of them with other fields."""
    changed = list(files)
    changed[2] = dataclasses.replace(files[2], **fields)
    return changed


def with_object(files, position=1, **values):
    """The records, of the third one with other values of one object: box=, class_id=, mask=."""
    record = files[2]
    boxes, class_ids, masks = record.boxes.copy(), record.class_ids.copy(), list(record.masks)
    if "box" in values:
        boxes[position] = values["box"]
    if "class_id" in values:
        class_ids[position] = values["class_id"]
    if "mask" in values:
        masks[position] = values["mask"]
    return with_fault(files, boxes=boxes, class_ids=class_ids, masks=tuple(masks))


def only(report) -> Issue:
    assert len(report.issues) == 1, str(report)
    return report.issues[0]
