#!/usr/bin/env bash
# labelme 6.3.1: masks made of polygons hold their outlines too, and become a pixel wider and higher.
#
# labelme draws polygons on a canvas whose pixels are squares from one whole number to the next, and shapes_to_label, which its
# exports to VOC and COCO use, turns them into label images. A rectangle of 20 x 10 pixels along the edges of pixels becomes
# one of 21 x 11, since Pillow draws a polygon's outline with its inside; a mask that goes out as a polygon along its pixels and
# comes back so grows with each turn, and an object one pixel high doubles. One would expect the 200 pixels within.
# Seen: 231 pixels for 200, and 102 for a line of 50.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check labelme==6.3.1
cd "$folder"
QT_QPA_PLATFORM=offscreen venv/bin/python -W ignore - <<'PYTHON'
import numpy as np
from labelme.utils import shapes_to_label


def pixels(left, top, right, bottom):
    shape = {
        "label": "cell",
        "shape_type": "polygon",
        "points": [[left, top], [right, top], [right, bottom], [left, bottom]],
    }
    classes, _ = shapes_to_label((40, 60), [shape], {"_background_": 0, "cell": 1})
    return int(np.sum(classes == 1))


rectangle, line = pixels(10, 5, 30, 15), pixels(5, 20, 55, 21)
print(f"20 x 10: {rectangle} pixels, 50 x 1: {line} pixels")
assert (rectangle, line) == (231, 102), "this has changed"
PYTHON
