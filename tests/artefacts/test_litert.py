import pytest
from exported import any_model, check_equal, exported, photo

from keras_maskrcnn.runtime import ExportedModel

pytest.importorskip("ai_edge_litert")


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    model = any_model(keypoint_names=("nose", "tail"), keypoint_head_channels=32, keypoint_convs=1)
    return exported("litert", tmp_path_factory.mktemp("litert"), model)


def test_all_detections_are_equal(made):
    found = made[2].comparison
    assert found.equal == found.compared >= 24
    assert found.score_difference < 1e-5 and found.box_difference < 1e-3 and found.keypoint_difference < 1e-2


def test_the_runtime_detects_what_the_model_does_one_image_at_a_time(made):
    model, path, _ = made
    images = [photo(), photo(33, 120)]
    for found, expected in zip(
        ExportedModel(path).detect(images, batch_size=2), model.detect(images), strict=True
    ):
        check_equal(found, expected)
