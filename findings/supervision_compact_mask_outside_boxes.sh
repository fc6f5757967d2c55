#!/usr/bin/env bash
# supervision 0.31.2: CompactMask forgets the pixels of a mask that lie outside the box beside it.
#
# CompactMask holds each mask as runs within a box, and takes the boxes of the detections for that. Boxes that a model predicts
# are often smaller than their masks by a pixel or more; what lies beyond is dropped when the compact form is made, without a
# word, and area, dense masks and exports are of what is left. One would expect the mask that went in, or a warning.
# Seen: of a mask of 150 pixels 25 are left beside a box of 5 x 5 of them, by from_dense and by from_coco_rle; with a box around
# the mask all are there.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check supervision==0.31.2 opencv-python-headless==5.0.0.93 \
    pycocotools==2.0.11 numpy==2.4.6
cd "$folder"
venv/bin/python - <<'PYTHON'
import warnings

import numpy as np
import pycocotools.mask as coco_mask
import supervision as sv

mask = np.zeros((20, 30), bool)
mask[5:15, 5:20] = True
rle = coco_mask.encode(np.asfortranarray(mask, np.uint8))
inside, around = np.array([[8, 8, 12, 12]]), np.array([[5, 5, 19, 14]])
with warnings.catch_warnings(record=True) as told:
    warnings.simplefilter("always")
    dense = sv.CompactMask.from_dense(mask[None], inside, (20, 30))
    coded = sv.CompactMask.from_coco_rle([rle], inside, (20, 30))
whole = sv.CompactMask.from_dense(mask[None], around, (20, 30))
areas = [int(np.asarray(made).sum()) for made in (dense, coded, whole)]
print(f"mask {mask.sum()}: from_dense {areas[0]}, from_coco_rle {areas[1]}, with a box around it {areas[2]}; {len(told)} warnings")
assert (int(mask.sum()), areas, len(told)) == (150, [25, 25, 150], 0), "this has changed"
PYTHON
