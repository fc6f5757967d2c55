#!/usr/bin/env bash
# datumaro 1.13.12: of CVAT's XML it reads no ellipse, and of a skeleton loose points.
#
# "CVAT for images 1.1" has ellipses and skeletons beside polygons, masks and boxes; CVAT itself was built on datumaro. Its
# importer of the format "cvat" leaves <ellipse> out without a word, so that an image with ellipses alone has no objects, and
# makes of a <skeleton> of two points two annotations of one point each under the names of the points: that they were one
# object of the class "person" is lost. One would expect an Ellipse and a Skeleton, which datumaro has, or a warning.
# Seen: of an ellipse, a box and a skeleton it reads a box and two times points.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check datumaro==1.13.12
cd "$folder"
mkdir -p project/images
venv/bin/python -W ignore - <<'PYTHON'
import numpy as np
from datumaro import Dataset
from PIL import Image

Image.fromarray(np.zeros((40, 60, 3), np.uint8)).save("project/images/a.png")
with open("project/annotations.xml", "w") as file:
    file.write("""<?xml version="1.0" encoding="utf-8"?>
<annotations><version>1.1</version><meta><task><labels>
<label><name>coin</name><type>ellipse</type><attributes></attributes></label>
<label><name>card</name><type>rectangle</type><attributes></attributes></label>
<label><name>person</name><type>skeleton</type><attributes></attributes></label>
<label><name>head</name><type>points</type><attributes></attributes><parent>person</parent></label>
<label><name>hand</name><type>points</type><attributes></attributes><parent>person</parent></label>
</labels></task></meta>
<image id="0" name="a.png" width="60" height="40">
<ellipse label="coin" source="manual" occluded="0" cx="20.00" cy="15.00" rx="8.00" ry="6.00" z_order="0"></ellipse>
<box label="card" source="manual" occluded="0" xtl="30.00" ytl="5.00" xbr="50.00" ybr="20.00" z_order="0"></box>
<skeleton label="person" source="manual" z_order="0">
<points label="head" source="manual" outside="0" occluded="0" points="10.00,30.00"></points>
<points label="hand" source="manual" outside="0" occluded="0" points="20.00,35.00"></points>
</skeleton></image></annotations>
""")
dataset = Dataset.import_from("project", "cvat")
names = [label.name for label in dataset.categories()[next(iter(dataset.categories()))].items]
found = sorted(
    (shape.type.name, names[shape.label]) for item in dataset for shape in item.annotations
)
print(found)
assert found == [("bbox", "card"), ("points", "hand"), ("points", "head")], "this has changed"
PYTHON
