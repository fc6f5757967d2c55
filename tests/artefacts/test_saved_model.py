import io
import re
import subprocess
import sys

import numpy as np
import pytest
import tensorflow as tf
from exported import any_model, check_equal, exported, photo
from PIL import Image

from keras_maskrcnn.runtime import ExportedModel


@pytest.fixture(scope="module")
def of_floats(tmp_path_factory):
    return exported("saved_model", tmp_path_factory.mktemp("saved"))


@pytest.fixture(scope="module")
def of_bytes(tmp_path_factory):
    model = any_model(paste="torchvision")
    return exported("saved_model", tmp_path_factory.mktemp("saved"), model, inputs="uint8", masks="pasted")


def check_report(report):
    found = report.comparison
    assert found.equal == found.compared >= 24
    assert found.score_difference < 1e-5 and found.box_difference < 1e-3


def test_all_detections_are_equal(of_floats):
    check_report(of_floats[2])


def test_operations_are_tensorflows_own(of_floats):
    graph = (of_floats[1] / "saved_model.pb").read_bytes()
    assert b"ResizeNearestNeighbor" in graph and not re.search(rb"Maskrcnn", graph)


def test_the_runtime_detects_what_the_model_does(of_floats):
    model, path, _ = of_floats
    images = [photo(), photo(33, 120)]
    for found, expected in zip(
        ExportedModel(path).detect(images, batch_size=2), model.detect(images, batch_size=2), strict=True
    ):
        check_equal(found, expected)


@pytest.mark.slow
def test_encoded_images_have_an_endpoint(of_bytes):
    model, path, report = of_bytes
    check_report(report)
    file = io.BytesIO()
    Image.fromarray(photo(41, 97)).save(file, "png")
    found = tf.saved_model.load(str(path)).signatures["serving_bytes"](
        image_bytes=tf.constant(file.getvalue())
    )
    (expected,) = model.detect(photo(41, 97))
    real = found["classes"].numpy() > 0
    np.testing.assert_allclose(found["boxes"].numpy()[real], expected.boxes, atol=1e-2)
    assert np.mean(found["masks"].numpy()[real] != expected.masks) < 1e-3


def test_a_process_without_this_package_loads_it(of_floats):
    program = "import sys, tensorflow; tensorflow.saved_model.load(sys.argv[1]); print(*sys.modules)"
    done = subprocess.run([sys.executable, "-I", "-c", program, of_floats[1]], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "maskrcnn" not in done.stdout and "tensorflow" in done.stdout.split()
