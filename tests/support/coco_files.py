"""Makes small COCO files, with whatever changes, and loads them."""

import json

import numpy as np
from PIL import Image

from keras_maskrcnn.data.formats.coco import load_coco

HEIGHT, WIDTH = 40, 60


def annotation(annotation_id=1, **changes):
    base = {
        "id": annotation_id,
        "image_id": 7,
        "category_id": 5,
        "bbox": [10, 5, 20, 30],
        "area": 300.0,
        "iscrowd": 0,
        "segmentation": [[10, 5, 30, 5, 30, 35]],
    }
    return {key: value for key, value in {**base, **changes}.items() if value is not ...}


def content(*annotations, **changes):
    return {
        "images": [{"id": 7, "file_name": "a.png", "height": HEIGHT, "width": WIDTH}],
        "categories": [{"id": 9, "name": "nut"}, {"id": 5, "name": "bolt"}],
        "annotations": list(annotations),
        **changes,
    }


def with_images(folder):
    for name in ("a.png", "b.png"):
        Image.fromarray(np.zeros((HEIGHT, WIDTH, 3), np.uint8)).save(folder / name)
    return folder


def load(folder, what, **options):
    path = folder / "annotations.json"
    path.write_text(what if isinstance(what, str) else json.dumps(what))
    return load_coco(path, folder, **options)


def with_points(*categories):
    points = annotation(2, keypoints=[12, 8, 2, 14, 9, 1])
    return content(annotation(1), points, categories=list(categories))
