#!/usr/bin/env bash
# supervision 0.31.2: the polygons that it writes as COCO run through the middle of the outermost pixels.
#
# DetectionDataset.as_coco writes masks as polygons of OpenCV's contours, whose corners are indices of pixels. COCO's polygons
# run along the edges of pixels, so that pycocotools reads a mask one pixel narrower and lower than it was, beside a
# "bbox" and an "area" of the true one; a mask of one row or column has no polygon at all, and its annotation is written
# with an empty segmentation (a warning tells so). Read back by supervision itself, the square is whole. One would expect a
# polygon that pycocotools reads as the mask, or RLE where there is none.
# Seen: of 20 x 20 pixels 361 are read, not 400; of a line of 50 pixels nothing is left.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check supervision==0.31.2 opencv-python-headless==5.0.0.93 \
    pycocotools==2.0.11 numpy==2.4.6
cd "$folder"
venv/bin/python -W ignore - <<'PYTHON'
import json

import cv2
import numpy as np
import pycocotools.mask as coco_mask
import supervision as sv

masks = np.zeros((2, 60, 80), bool)
masks[0, 10:30, 20:40] = True
masks[1, 40, 10:60] = True
cv2.imwrite("a.png", np.zeros((60, 80, 3), np.uint8))
objects = sv.Detections(
    xyxy=np.array([[20.0, 10, 40, 30], [10, 40, 60, 41]]), mask=masks, class_id=np.array([0, 0])
)
dataset = sv.DetectionDataset(classes=["cell"], images=["a.png"], annotations={"a.png": objects})
dataset.as_coco(annotations_path="written.json")
with open("written.json") as file:
    square, line = json.load(file)["annotations"]
read = int(coco_mask.area(coco_mask.merge(coco_mask.frPyObjects(square["segmentation"], 60, 80))))
itself = int(sv.polygon_to_mask(np.reshape(square["segmentation"][0], (-1, 2)), (80, 60)).sum())
print(f"square: area {square['area']:.0f}, pycocotools reads {read} pixels, supervision {itself}")
print(f"line: area {line['area']:.0f}, segmentation {line['segmentation']}")
assert (square["area"], read, itself) == (400, 361, 400), "this has changed"
assert (line["area"], line["segmentation"]) == (50, []), "this has changed"
PYTHON
