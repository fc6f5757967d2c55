import dataclasses

import pytest
from command_line import draw_images, error
from examples import tiny

from keras_maskrcnn.cli.accuracy_test import EXPECTED, accuracy_test
from keras_maskrcnn.models.mask_rcnn import MaskRCNN
from keras_maskrcnn.presets import PRESETS
from keras_maskrcnn.presets.preset import Preset
from keras_maskrcnn.weights.files.write import write_pkl
from keras_maskrcnn.weights.sources import detectron2
from keras_maskrcnn.weights.sources.table import save

CONFIG = tiny(norm="frozen_batch_norm", background_outputs=False, score_threshold=0.0)


@pytest.fixture(scope="module")
def coco(tmp_path_factory):
    """A folder with four images in the place of Detectron2's hundred, and a checkpoint beside it."""
    folder = tmp_path_factory.mktemp("coco")
    draw_images(folder)
    (folder / "images").rename(folder / "val2017")
    (folder / "annotations").mkdir()
    (folder / "annotations.json").rename(folder / "annotations" / "instances_val2017_100.json")
    write_pkl(folder / "weights.pkl", save(detectron2.table(MaskRCNN(CONFIG).network)))
    return folder


def test_each_metric_passes_or_fails_by_itself(coco):
    row = Preset("tiny", CONFIG, "detectron2", "https://nowhere.invalid/weights.pkl")
    rows = accuracy_test(row, {"box_AP": -1.0, "mask_AP": -1.0}, coco, coco / "weights.pkl")
    assert [line[:3] for line in rows] == [["tiny", "box AP", "-1.00"], ["tiny", "mask AP", "-1.00"]]
    assert [line[4] for line in rows] == ["FAIL", "FAIL"]
    measured = float(rows[0][3])
    assert 0 <= measured <= 100
    near = accuracy_test(row, {"box_AP": measured + 0.019, "mask_AP": 101.0}, coco, coco / "weights.pkl")
    assert [line[4] for line in near] == ["pass", "FAIL"]


def test_a_folder_without_the_files_is_refused_before_anything_is_loaded(coco, tmp_path):
    row = Preset(
        "tiny", dataclasses.replace(CONFIG, min_size=32), "detectron2", "https://nowhere.invalid/x.pkl"
    )
    with pytest.raises(FileNotFoundError, match=r"instances_val2017_100\.json: there is no such file"):
        accuracy_test(row, {"box_AP": 1.0}, tmp_path)


def test_every_expected_metric_is_of_a_published_model_of_detectron2():
    for name, expected in EXPECTED.items():
        row = PRESETS[name]
        assert row.source == "detectron2" and row.name.endswith("_3x")
        kinds = {"box_AP"} | ({"keypoint_AP"} if row.config.keypoint_names else {"mask_AP"})
        assert set(expected) == kinds


def test_a_model_without_an_accuracy_test_is_refused(coco, capsys):
    line = error(
        capsys, "evaluate", "--accuracy-test", "--model", "maskrcnn_resnet50_fpn_coco", "--coco", coco
    )
    assert "maskrcnn_resnet50_fpn_coco has no accuracy test; these have: COCO-InstanceSeg" in line
    line = error(capsys, "evaluate", "--accuracy-test", "--coco", coco)
    assert "person_keypoints_val2017_100.json: there is no such file" in line
