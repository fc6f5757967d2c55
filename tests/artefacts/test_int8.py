"""Artefacts of whole numbers: the nuclei model, which has learned something that quantising could spoil."""

import numpy as np
import pytest
from crowds import disks
from exported import exported, need
from skimage.filters import gaussian

import keras_maskrcnn as km
from keras_maskrcnn.runtime import ExportedModel

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def model():
    return km.load_pretrained("nuclei_resnet18_fpn")


@pytest.fixture(scope="module")
def cells():
    """Drawings of cells of three sizes."""
    drawn = [disks(seed, 60, side)[1].any(axis=0) for seed, side in ((0, 200), (1, 230), (2, 260))]
    noise = np.random.default_rng(0)
    return [
        np.clip(noise.normal(20 + 150 * gaussian(mask.astype(float), 1), 6), 0, 255).astype(np.uint8)
        for mask in drawn
    ]


@pytest.mark.parametrize("format", ["openvino", "litert"])
def test_it_finds_the_same_objects_with_a_third_of_the_bytes(model, cells, tmp_path, format):
    need(format)
    calibrate = None
    if format == "openvino":
        pytest.importorskip("nncf")
        calibrate = cells
    _, path, report = exported(
        format, tmp_path, model, masks="crops", images=cells, int8=True, calibrate=calibrate
    )
    print(report)
    assert report.comparison.compared > 100 and report.comparison.share > 0.95
    assert report.bytes < 0.45 * report.weight_bytes
    artefact = ExportedModel(path)
    assert artefact.description["int8"]
    (found,), (expected,) = artefact.detect(cells[:1]), model.detect(cells[:1])
    covered, wanted = found.masks.any(axis=0), expected.masks.any(axis=0)
    assert np.sum(covered & wanted) / np.sum(covered | wanted) > 0.9
