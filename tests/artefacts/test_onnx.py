import json

import numpy as np
import pytest
from exported import any_model, check_equal, exported, photo

from keras_maskrcnn.artefacts.onnx import nodes
from keras_maskrcnn.runtime import ExportedModel
from keras_maskrcnn.runtime.engines import load_engine

onnx = pytest.importorskip("onnx")


@pytest.fixture(scope="module")
def of_floats(tmp_path_factory):
    return exported("onnx", tmp_path_factory.mktemp("onnx"))


@pytest.fixture(scope="module")
def of_bytes(tmp_path_factory):
    model = any_model(roi_sampling_ratio=0, roi_aligned=True)
    return exported("onnx", tmp_path_factory.mktemp("onnx"), model, inputs="uint8", masks="pasted")


def test_all_detections_are_equal(of_floats, of_bytes):
    for _, _, report in (of_floats, of_bytes):
        found = report.comparison
        assert found.equal == found.compared >= 24
        assert found.score_difference < 1e-5 and found.box_difference < 1e-3


def test_operations_are_onnxs_own(of_floats, of_bytes):
    for _, path, _ in (of_floats, of_bytes):
        proto = onnx.load(path)
        onnx.checker.check_model(proto)
        assert {node.domain for node in nodes(proto.graph)} == {""}
        assert "RoiAlign" in {node.op_type for node in nodes(proto.graph)}


def test_inputs_and_outputs_keep_their_names(of_floats, of_bytes):
    for (_, path, _), inputs in ((of_floats, ["images", "sizes"]), (of_bytes, ["image"])):
        graph = onnx.load(path).graph
        assert [one.name for one in graph.input] == inputs
        assert {one.name for one in graph.output} == {"boxes", "scores", "classes", "masks"}


def test_it_describes_itself(of_floats):
    _, path, _ = of_floats
    (entry,) = onnx.load(path).metadata_props
    assert entry.key == "keras_maskrcnn" and json.loads(entry.value)["class_names"] == ["circle", "square"]


def test_the_weights_are_in_the_file_once(of_floats):
    _, path, report = of_floats
    kernels = [one for one in onnx.load(path).graph.initializer if np.prod(one.dims) > 1000]
    largest = sum(np.prod(one.dims) * 4 for one in kernels)
    assert 0.9 < largest / report.weight_bytes <= 1.0


@pytest.mark.parametrize("options", [{}, {"batch_size": 2}, {"masks": "rle"}, {"masks": None}, {"tile": 48}])
def test_the_runtime_detects_what_the_model_does(of_floats, options):
    model, path, _ = of_floats
    images = [photo(), photo(33, 120)]
    for found, expected in zip(
        ExportedModel(path).detect(images, **options), model.detect(images, **options), strict=True
    ):
        check_equal(found, expected)


def test_uint8_images_are_resized_inside_and_masks_pasted(of_bytes):
    model, path, _ = of_bytes
    image = photo(41, 97)
    found, (expected,) = load_engine(path)({"image": image}), model.detect(image)
    real = found["classes"] > 0
    np.testing.assert_allclose(found["boxes"][real], expected.boxes, atol=1e-2)
    assert found["masks"].shape[1:] == image.shape[:2] and found["masks"].dtype == bool
    assert np.mean(found["masks"][real] != expected.masks) < 1e-3
