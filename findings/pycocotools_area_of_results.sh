#!/usr/bin/env bash
# pycocotools 2.0.11: a mask in a results file has the area of its box, if the row has a box too.
#
# A row of a results file for masks may hold "segmentation" alone or, as most programs write it, "bbox" and "segmentation".
# COCO.loadRes then takes the area of the box. COCOeval leaves unmatched detections out of AP by size by that area, so
# that the same masks score differently in AP small, medium and large. One would expect the area of the mask either way.
# Seen: AP small 0.50 without the boxes, 1.00 with them.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check pycocotools==2.0.11 numpy==2.4.6
"$folder/venv/bin/python" - <<'PYTHON'
import contextlib
import io

import numpy as np
import pycocotools.mask as coco_mask
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval


def thin(left):
    """A diagonal line of 80 pixels, in a box of 41 x 40 pixels."""
    mask = np.zeros((100, 100), np.uint8)
    steps = np.arange(40)
    mask[10 + steps, left + steps] = mask[10 + steps, left + 1 + steps] = 1
    rle = coco_mask.encode(np.asfortranarray(mask))
    return {"size": rle["size"], "counts": rle["counts"].decode()}, [left, 10, 41, 40]


rle, box = thin(5)
truth = {
    "images": [{"id": 1, "height": 100, "width": 100}],
    "categories": [{"id": 1, "name": "line"}],
    "annotations": [
        {"id": 1, "image_id": 1, "category_id": 1, "segmentation": rle, "bbox": box, "area": 80, "iscrowd": 0}
    ],
}
wrong_rle, wrong_box = thin(55)
rows = [(0.9, rle, box), (0.95, wrong_rle, wrong_box)]
found = {}
for with_boxes in (False, True):
    results = [
        {"image_id": 1, "category_id": 1, "score": score, "segmentation": dict(mask)} | ({"bbox": where} if with_boxes else {})
        for score, mask, where in rows
    ]
    with contextlib.redirect_stdout(io.StringIO()):
        coco = COCO()
        coco.dataset = truth
        coco.createIndex()
        evaluation = COCOeval(coco, coco.loadRes(results), "segm")
        evaluation.evaluate()
        evaluation.accumulate()
        evaluation.summarize()
    found[with_boxes] = evaluation.stats[3]
print(f"AP small without boxes {found[False]:.2f}, with boxes {found[True]:.2f}")
assert round(found[False], 2) == 0.5 and round(found[True], 2) == 1.0, "this has changed"
PYTHON
