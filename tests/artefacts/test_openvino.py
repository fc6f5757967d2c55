import json
import types

import keras
import numpy as np
import pytest
import tensorflow as tf
from examples import tiny
from exported import check_equal, exported, photo

from keras_maskrcnn.artefacts.openvino import convert
from keras_maskrcnn.network.dense import dense_outputs, image_inputs
from keras_maskrcnn.network.network import make_network
from keras_maskrcnn.ops.dialect import write_in
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


def test_each_level_has_anchors_on_its_own_grid():
    network = make_network(tiny())
    with write_in("marked"):
        inputs = image_inputs(network.config)
        graph = keras.Model(inputs, dense_outputs(network, inputs).anchors)

    def anchors(images, sizes):
        with write_in("marked"):
            found = graph.call({"images": images, "sizes": sizes}, training=False)
        return {level: tf.identity(boxes, name=level) for level, boxes in found.items()}

    given = {"images": np.zeros((1, 160, 96, 3), np.float32), "sizes": np.array([[160, 96]], np.int32)}
    signature = [
        tf.TensorSpec([None, None, None, 3], name="images"),
        tf.TensorSpec([None, 2], tf.int32, "sizes"),
    ]
    function = tf.function(anchors, input_signature=signature)
    compiled = openvino.Core().compile_model(convert(types.SimpleNamespace(function=function)), "CPU")
    found = {output.get_any_name(): value for output, value in compiled(given).items()}
    expected = graph({name: tf.constant(value) for name, value in given.items()})
    assert len(expected["P5"]) == 3 * 5 * 3 and len(expected["P6"]) == 3 * 3 * 2  # of 5 x 3 and 3 x 2 cells
    for level, boxes in expected.items():
        np.testing.assert_array_equal(found[level], boxes, err_msg=level)
