"""A process that has ONNX Runtime, and neither TensorFlow nor Keras installed, finds what the model finds.

python -m pytest tests/runtime/test_alone.py -m slow -s
"""

import pickle
import subprocess
import sys

import numpy as np
import pycocotools.mask as coco_mask
import pytest
from families import KITS, model_of
from parity import PHOTOS
from places import ROOT

from keras_maskrcnn.artefacts.export import export

PACKAGES = ("numpy", "pillow", "pycocotools", "onnxruntime")
PROGRAM = """
import importlib.util, pickle, sys
from keras_maskrcnn.runtime import ExportedModel

there = [name for name in ("tensorflow", "keras", "scipy", "skimage") if importlib.util.find_spec(name)]
artefact, result, *images = sys.argv[1:]
found = ExportedModel(artefact).detect(images, masks="rle")
rows = [(one.scores, one.boxes, one.class_ids, one.masks, one.keypoints) for one in found]
with open(result, "wb") as file:
    pickle.dump((there, rows), file)
"""


@pytest.fixture(scope="module")
def python(tmp_path_factory):
    """An interpreter with this package and what docs/export.md names, and nothing else."""
    folder = tmp_path_factory.mktemp("alone")
    subprocess.run([sys.executable, "-m", "venv", folder], check=True)
    pip = [folder / "bin" / "pip", "install", "--quiet"]
    subprocess.run([*pip, "--no-deps", ROOT], check=True)
    subprocess.run([*pip, *PACKAGES], check=True)
    return folder / "bin" / "python"


def equal_rows(of_model, alone):
    """How many of a model's detections are found alone too, to 1e-4 in score, 0.1 pixels and an IoU of 0.99."""
    scores, boxes, classes, masks, keypoints = alone
    count = 0
    for row in range(len(of_model)):
        near = np.abs(boxes - of_model.boxes[row]).max(axis=1) < 0.1
        same = near & (np.abs(scores - of_model.scores[row]) < 1e-4) & (classes == of_model.class_ids[row])
        for other in np.flatnonzero(same):
            if masks is not None:
                ious = coco_mask.iou([masks[other]], [of_model.masks[row]], [0])
                same[other] = ious[0, 0] > 0.99 or coco_mask.area(masks[other]) < 50
            if keypoints is not None:
                same[other] &= np.abs(keypoints[other] - of_model.keypoints[row])[:, :2].max() < 1
        count += bool(same.any())
    return count


@pytest.mark.slow
@pytest.mark.parametrize("family", KITS)
def test_onnxruntime_alone_detects_what_the_model_does(family, python, tmp_path):
    model, images = model_of(family), sorted(PHOTOS.glob("*.jpg"))[:3]
    export(model, tmp_path / "model.onnx", "onnx", images=images[:2])
    given = [tmp_path / "model.onnx", tmp_path / "found", *images]
    subprocess.run([python, "-c", PROGRAM, *map(str, given)], check=True, cwd=tmp_path)
    with open(tmp_path / "found", "rb") as file:
        there, rows = pickle.load(file)
    assert there == []
    expected = model.detect([str(path) for path in images], masks="rle")
    counts = [len(one) for one in expected]
    equal = sum(equal_rows(one, row) for one, row in zip(expected, rows, strict=True))
    print(f"{family}: {equal} of {sum(counts)} detections")
    assert sum(counts) > 100 and [len(row[0]) for row in rows] == counts
    assert equal >= 0.99 * sum(counts)
