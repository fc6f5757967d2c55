import contextlib
import dataclasses
import io
import json

import numpy as np
import pytest
from perfect_model import NAMES, DetectsEverything, records, truth, with_keypoints
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from keras_maskrcnn.data.formats.coco_writer import write_coco
from keras_maskrcnn.data.records import make_record
from keras_maskrcnn.detections.detections import Detections
from keras_maskrcnn.evaluation.analysis import analyse
from keras_maskrcnn.evaluation.coco import score_coco
from keras_maskrcnn.evaluation.detect_records import detect_records, write_coco_results
from keras_maskrcnn.evaluation.evaluate import evaluate_coco


def test_the_detections_of_records_are_what_an_analysis_takes():
    model = DetectsEverything(misses=[1])
    found = detect_records(model, records(), progress=False)
    assert [len(one) for one in found] == [1, 0, 1] and all(one.image is None for one in found)
    analysis = analyse(records(), found, NAMES)
    scores = evaluate_coco(model, records(), per_class=True, progress=False)
    assert analysis.scores == pytest.approx(scores, nan_ok=True)
    assert analysis.confusion_matrix().tolist() == [[0, 0, 0], [0, 2, 0], [1, 0, 0]]


def thin_masks():
    """A record with a diagonal line, whose box is many times as large, and detections of it and of another."""
    masks = np.zeros((2, 100, 100), bool)
    steps = np.arange(40)
    for mask, left in zip(masks, (5, 55), strict=True):
        mask[10 + steps, left + steps] = mask[10 + steps, left + 1 + steps] = True
    record = make_record(np.zeros((100, 100), np.uint8), masks=masks[:1], class_ids=[1], image_id=1)
    found = Detections(
        boxes=[[55, 10, 95, 50], [5, 10, 45, 51]],
        scores=[0.6, 0.9],
        class_ids=[1, 1],
        class_names=["cat"] * 2,
        height=100,
        width=100,
        masks=masks[::-1],
        mask_scores=[0.8, 0.7],
    )
    return [record], [found]


def by_pycocotools(truth_file, results_file, iou_type):
    with contextlib.redirect_stdout(io.StringIO()):
        coco = COCO(truth_file)
        evaluation = COCOeval(coco, coco.loadRes(str(results_file)), iou_type)
        evaluation.evaluate()
        evaluation.accumulate()
        evaluation.summarize()
    return evaluation.stats[:6].tolist()


def test_pycocotools_scores_the_files_of_each_kind_as_we_do(tmp_path):
    annotated, found = thin_masks()
    write_coco(tmp_path / "truth.json", annotated, NAMES, save_images=True)
    write_coco_results(tmp_path / "results.json", annotated, found)
    assert {path.name for path in tmp_path.glob("results*")} == {
        "results.json",
        "results.box.json",
        "results.mask.json",
    }
    ours = score_coco(annotated, found, NAMES)
    for kind, iou_type in (("box", "bbox"), ("mask", "segm")):
        theirs = by_pycocotools(tmp_path / "truth.json", tmp_path / f"results.{kind}.json", iou_type)
        names = ("AP", "AP50", "AP75", "AP_small", "AP_medium", "AP_large")
        expected = [-1 if np.isnan(ours[f"{kind}_{name}"]) else ours[f"{kind}_{name}"] for name in names]
        assert theirs == pytest.approx(expected)
    assert (
        ours["mask_AP_small"] < 1
    )  # the file of everything would score 1: by their boxes the lines are not small


def test_keypoints_have_a_file_of_their_own(tmp_path):
    model, annotated = with_keypoints()
    evaluate_coco(
        model, annotated, progress=False, keypoint_sigmas=[0.1, 0.1], results_file=tmp_path / "r.json"
    )
    assert {path.name for path in tmp_path.iterdir()} == {"r.json", "r.box.json", "r.keypoint.json"}
    row = json.loads((tmp_path / "r.keypoint.json").read_text())[0]
    assert row == {"image_id": 100, "category_id": 1, "keypoints": [10, 12, 2, 30, 25, 1], "score": 1}


def test_boxes_alone_are_one_file_with_ids_that_json_has(tmp_path):
    made = dataclasses.replace(records()[0], image_id=np.int64(5))
    write_coco_results(tmp_path / "r.json", [made], [dataclasses.replace(truth(made), masks=None)])
    assert [path.name for path in tmp_path.iterdir()] == ["r.json"]
    assert json.loads((tmp_path / "r.json").read_text())[0]["image_id"] == 5
