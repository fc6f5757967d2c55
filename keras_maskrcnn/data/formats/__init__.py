"""Readers of annotation formats, one module each, and their writers."""

from keras_maskrcnn.data.formats import (
    coco,
    coco_results,
    cvat,
    label_studio,
    labelme,
    mask_folders,
    rle_csv,
    via,
    voc,
    yolo,
)

FORMATS = (
    coco.FORMAT,
    via.FORMAT,
    labelme.FORMAT,
    label_studio.FORMAT,
    mask_folders.FORMAT,
    rle_csv.FORMAT,
    voc.FORMAT,
    yolo.FORMAT,
    cvat.FORMAT,
    coco_results.FORMAT,
)
"""All that `load_dataset` and the command line know of formats."""
