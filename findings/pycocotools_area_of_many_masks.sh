#!/usr/bin/env bash
# pycocotools 2.0.11 with numpy 2.4.6: mask.area of a list of more than 255 RLEs raises OverflowError.
#
# The number of masks is put into a uint8, which numpy 1 let wrap and numpy 2 refuses. One would expect an area for each
# mask, as mask.encode, decode and iou take lists of any length.
# Seen: 255 areas of 255 masks; for 256 "Python integer 256 out of bounds for uint8".
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check pycocotools==2.0.11 numpy==2.4.6
cat > "$folder/areas.py" <<'PYTHON'
import numpy as np
import pycocotools.mask as coco_mask

rle = coco_mask.encode(np.asfortranarray(np.ones((4, 4), np.uint8)))
found = [len(coco_mask.area([rle] * 255))]
try:
    found.append(len(coco_mask.area([rle] * 256)))
except OverflowError as error:
    found.append(error)
print("outcome:", *found)
PYTHON
seen=$("$folder/venv/bin/python" "$folder/areas.py")
echo "$seen"
[ "$seen" = "outcome: 255 Python integer 256 out of bounds for uint8" ] || { echo "this has changed"; exit 1; }
