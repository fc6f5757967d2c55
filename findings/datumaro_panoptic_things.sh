#!/usr/bin/env bash
# datumaro 1.13.12: a panoptic COCO file that it writes has no things, only stuff.
#
# COCO's panoptic categories say by "isthing" whether their segments are single objects. "coco_panoptic" writes 0 for each,
# also where the file it read said 1: programs that count things and stuff apart, as panoptic quality is told, find no
# things. Nothing is said. One would expect what was read, and 1 for classes whose segments are instances.
# Seen: "isthing" 1 of a class is read and written again as 0.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check datumaro==1.13.12 numpy==2.4.6 pillow==12.3.0
cat > "$folder/panoptic.py" <<'PYTHON'
import json
import os

import datumaro as dm
import numpy as np
from PIL import Image

os.makedirs("read/images/train")
os.makedirs("read/annotations/panoptic_train")
Image.fromarray(np.zeros((40, 60, 3), np.uint8)).save("read/images/train/a.png")
segments = np.zeros((40, 60, 3), np.uint8)
segments[5:15, 5:25, 0], segments[20:30, 5:25, 0], segments[:, 30:, 0] = 1, 2, 3
Image.fromarray(segments).save("read/annotations/panoptic_train/a.png")
rows = [
    {"id": number, "category_id": category, "area": area, "bbox": box, "iscrowd": 0}
    for number, category, area, box in (
        (1, 1, 200, [5, 5, 20, 10]),
        (2, 1, 200, [5, 20, 20, 10]),
        (3, 2, 1200, [30, 0, 30, 40]),
    )
]
content = {
    "images": [{"id": 1, "file_name": "a.png", "width": 60, "height": 40}],
    "categories": [
        {"id": 1, "name": "cell", "supercategory": "", "isthing": 1},
        {"id": 2, "name": "glass", "supercategory": "", "isthing": 0},
    ],
    "annotations": [{"image_id": 1, "file_name": "a.png", "segments_info": rows}],
}
with open("read/annotations/panoptic_train.json", "w") as file:
    json.dump(content, file)
dm.Dataset.import_from("read", "coco_panoptic").export("written", "coco_panoptic")
with open("written/annotations/panoptic_train.json") as file:
    written = json.load(file)
things = {row["name"]: row["isthing"] for row in written["categories"]}
print(f"segments {len(written['annotations'][0]['segments_info'])}, things {things}")
PYTHON
cd "$folder"
seen=$(venv/bin/python panoptic.py 2> log || { cat log >&2; exit 1; })
echo "$seen; words of warning: $(grep -ciE 'thing' log || true)"
[ "$seen" = "segments 3, things {'cell': 0, 'glass': 0}" ] && ! grep -qi thing log || { echo "this has changed"; exit 1; }
