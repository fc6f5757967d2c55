import json

import pytest
from exported import check_equal, exported, photo

from keras_maskrcnn.runtime import ExportedModel

openvino = pytest.importorskip("openvino")


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    return exported("openvino", tmp_path_factory.mktemp("openvino"))


def test_all_detections_are_equal(made):
    found = made[2].comparison
    assert found.equal == found.compared >= 24
    assert found.score_difference < 1e-5 and found.box_difference < 1e-3


def test_inputs_and_outputs_keep_their_names_and_it_describes_itself(made):
    read = openvino.Core().read_model(made[1] / "model.xml")
    assert {one.get_any_name() for one in read.inputs} == {"images", "sizes"}
    assert {one.get_any_name() for one in read.outputs} == {"boxes", "scores", "classes", "masks"}
    assert json.loads(read.get_rt_info("keras_maskrcnn").astype(str))["format"] == "openvino"


def test_the_runtime_detects_what_the_model_does(made):
    model, path, _ = made
    images = [photo(), photo(33, 120)]
    for found, expected in zip(
        ExportedModel(path).detect(images, batch_size=2), model.detect(images, batch_size=2), strict=True
    ):
        check_equal(found, expected)


def test_what_sorts_takes_ties_in_any_order(made):
    operations = openvino.Core().read_model(made[1] / "model.xml").get_ops()
    sorting = [one for one in operations if one.get_type_name() == "TopK"]
    assert sorting and not any(one.get_attributes()["stable"] for one in sorting)
