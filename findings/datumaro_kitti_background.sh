#!/usr/bin/env bash
# datumaro 1.13.12: written as KITTI and read back, the background of an image is an object of the first class.
#
# KITTI's label images give each pixel the number of its class, and 0 to pixels without one. The format "kitti_segmentation"
# counts the classes of a dataset from 0, while it adds a background to none: in "semantic" the first class is the same 0.
# Reading it back makes a crowd of that class of all pixels around the objects. The formats "voc", "camvid" and
# "cityscapes" put a class "background" before the others. One would expect that here, or an error.
# Seen: of two objects of 200 pixels three come back, the third of the other 2000 of the first class.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check datumaro==1.13.12 numpy==2.4.6 pillow==12.3.0
cat > "$folder/kitti.py" <<'PYTHON'
import datumaro as dm
import numpy as np

masks = np.zeros((2, 40, 60), bool)
masks[0, 5:15, 5:25] = masks[1, 20:30, 5:25] = True
image = dm.Image.from_numpy(np.zeros((40, 60, 3), np.uint8))
objects = [dm.Mask(mask, label=label, id=label + 1) for label, mask in enumerate(masks)]
written = dm.Dataset.from_iterable(
    [dm.DatasetItem("a", subset="train", media=image, annotations=objects)], categories=["cell", "nucleus"]
)
for kind in ("kitti_segmentation", "cityscapes"):
    written.export(kind, kind, save_media=True)
    read = dm.Dataset.import_from(kind, kind)
    names = [label.name for label in read.categories()[dm.AnnotationType.label]]
    rows = sorted((names[row.label], int(row.image.sum())) for item in read for row in item.annotations)
    print(kind, *(f"{name}/{area}" for name, area in rows))
PYTHON
cd "$folder"
seen=$(venv/bin/python kitti.py 2> log || { cat log >&2; exit 1; })
echo "$seen"
[ "$seen" = "kitti_segmentation cell/200 cell/2000 nucleus/200
cityscapes cell/200 nucleus/200" ] || { echo "this has changed"; exit 1; }
