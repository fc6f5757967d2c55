#!/usr/bin/env bash
# label-studio-sdk 2.1.2: exported as BRUSH_TO_COCO, a brushed object in two parts is two objects, and holes are filled.
#
# The export traces the outer contours of each brushed region and writes an annotation for each. What tells that the parts
# were one object is lost, rings become discs, and a line one pixel wide is left out altogether; nothing is said. The masks
# are whole in the JSON export, and brush.decode_rle reads them exactly. One would expect an annotation for each region,
# with its mask: RLE, or polygons in one list where there are no holes.
# Seen: of an object in two parts, a ring and a line three annotations are written; the ring's 500 pixels are 841.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check label-studio-sdk==2.1.2 numpy==2.2.6
cat > "$folder/brush.py" <<'PYTHON'
import json

import numpy as np
from label_studio_sdk.converter import Converter, brush
from label_studio_sdk.converter.converter import Format

masks = np.zeros((3, 40, 60), np.uint8)
masks[0, 5:15, 5:15] = masks[0, 20:30, 5:15] = 255
masks[1, 5:35, 20:50] = 255
masks[1, 10:30, 25:45] = 0
masks[2, 38, 5:45] = 255
config = (
    '<View><Image name="image" value="$image"/>'
    '<BrushLabels name="brush" toName="image"><Label value="cell"/></BrushLabels></View>'
)
regions = [
    {
        "id": str(number),
        "type": "brushlabels",
        "from_name": "brush",
        "to_name": "image",
        "original_width": 60,
        "original_height": 40,
        "value": {"format": "rle", "rle": brush.mask2rle(mask), "brushlabels": ["cell"]},
    }
    for number, mask in enumerate(masks)
]
read = [np.reshape(brush.decode_rle(row["value"]["rle"]), (40, 60, 4))[:, :, 3] for row in regions]
tasks = [{"id": 1, "data": {"image": "a.png"}, "annotations": [{"id": 1, "completed_by": 1, "result": regions}]}]
with open("tasks.json", "w") as file:
    json.dump(tasks, file)
converter = Converter(config, None, download_resources=False)
converter.convert("tasks.json", "coco", Format.BRUSH_TO_COCO, is_dir=False)
with open("coco/result_coco.json") as file:
    rows = json.load(file)["annotations"]
areas = sorted(row["area"] for row in rows)
print(f"regions {(masks > 0).sum((1, 2)).tolist()}, decoded {np.array_equal(read, masks)}, written {areas}")
PYTHON
cd "$folder"
seen=$(venv/bin/python brush.py 2> log || { cat log >&2; exit 1; })
echo "$seen"
[ "$seen" = "regions [200, 500, 40], decoded True, written [81, 81, 841]" ] || { echo "this has changed"; exit 1; }
