#!/usr/bin/env bash
# faster-coco-eval 1.8.0: in pycocotools' place, its evaluation keeps no pairs, and says nothing of it.
#
# init_as_pycocotools() puts its modules in the place of pycocotools', also for other packages of the process. AP is the
# same, but COCOeval.evalImgs, from which programs take which detection matched which object (confusion matrices, lists of
# mistakes), is empty after evaluate(). One would expect the matches, or an attribute that is missing.
# Seen: 4 entries by pycocotools, 0 by faster-coco-eval, AP 1.00 by both.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check faster-coco-eval==1.8.0 pycocotools==2.0.11 numpy==2.4.6
cat > "$folder/pairs.py" <<'PYTHON'
import contextlib
import io
import sys

if sys.argv[1] == "replaced":
    import faster_coco_eval

    faster_coco_eval.init_as_pycocotools()
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

box = [10, 10, 20, 20]
truth = {
    "images": [{"id": 1, "height": 100, "width": 100}],
    "categories": [{"id": 1, "name": "cell"}],
    "annotations": [{"id": 7, "image_id": 1, "category_id": 1, "bbox": box, "area": 400, "iscrowd": 0}],
}
with contextlib.redirect_stdout(io.StringIO()):
    coco = COCO()
    coco.dataset = truth
    coco.createIndex()
    results = coco.loadRes([{"image_id": 1, "category_id": 1, "bbox": box, "score": 0.9}])
    evaluation = COCOeval(coco, results, "bbox")
    evaluation.evaluate()
    evaluation.accumulate()
    evaluation.summarize()
print(f"{len(evaluation.evalImgs)} entries, AP {evaluation.stats[0]:.2f}")
PYTHON
own=$("$folder/venv/bin/python" "$folder/pairs.py" own)
replaced=$("$folder/venv/bin/python" "$folder/pairs.py" replaced)
echo "pycocotools: $own; faster-coco-eval in its place: $replaced"
[ "$own" = "4 entries, AP 1.00" ] && [ "$replaced" = "0 entries, AP 1.00" ] || { echo "this has changed"; exit 1; }
