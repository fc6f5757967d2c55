#!/usr/bin/env bash
# datumaro 1.13.12: masks that it writes as COCO become crowds, unless each says that it is none.
#
# "coco_instances" writes a mask without the attribute is_crowd as RLE, and what is RLE as "iscrowd": 1. Masks of most
# formats that it reads (Pascal VOC, Cityscapes, its own) have no such attribute. COCOeval then takes every object for a
# region to ignore, and training programs leave them out. One would expect "iscrowd": 0, as RLE says nothing of crowds.
# segmentation_mode="polygons", or is_crowd=False for each mask, is the way round.
# Seen: of two objects of a Pascal VOC dataset two are crowds; pycocotools' AP of the right answer is -1, not 1.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check datumaro==1.13.12 numpy==2.4.6 pillow==12.3.0 \
    pycocotools==2.0.11
cat > "$folder/crowds.py" <<'PYTHON'
import contextlib
import io
import json

import datumaro as dm
import numpy as np
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

masks = np.zeros((2, 40, 60), bool)
masks[0, 5:15, 5:25] = masks[1, 20:30, 5:25] = True
image = dm.Image.from_numpy(np.zeros((40, 60, 3), np.uint8))
item = dm.DatasetItem("a", subset="train", media=image, annotations=[dm.Mask(mask, label=0) for mask in masks])
dm.Dataset.from_iterable([item], categories=["cell"]).export("voc", "voc", save_media=True)
dm.Dataset.import_from("voc", "voc").export("coco", "coco_instances")
file = "coco/annotations/instances_train.json"
with open(file) as opened:
    rows = json.load(opened)["annotations"]
with contextlib.redirect_stdout(io.StringIO()):
    truth = COCO(file)
    keys = ("image_id", "category_id", "segmentation")
    answer = [{key: row[key] for key in keys} | {"score": 1.0} for row in rows]
    for row in answer:
        row["segmentation"] = truth.annToRLE(row)
    evaluation = COCOeval(truth, truth.loadRes(answer), "segm")
    evaluation.evaluate()
    evaluation.accumulate()
    evaluation.summarize()
print(f"crowds {[row['iscrowd'] for row in rows]}, AP {evaluation.stats[0]:.0f}")
PYTHON
cd "$folder"
seen=$(venv/bin/python crowds.py 2> log || { cat log >&2; exit 1; })
echo "$seen"
[ "$seen" = "crowds [1, 1], AP -1" ] || { echo "this has changed"; exit 1; }
