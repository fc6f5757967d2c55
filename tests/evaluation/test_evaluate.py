import dataclasses
import json
import warnings

import numpy as np
import pytest
from perfect_model import NAMES, DetectsEverything, records, with_keypoints

from keras_maskrcnn.data.records import make_record
from keras_maskrcnn.evaluation.evaluate import evaluate_coco
from keras_maskrcnn.masks.rle import mask_to_rle


def test_a_model_that_detects_everything_scores_one():
    scores = evaluate_coco(DetectsEverything(), records(), progress=False)
    assert scores["box_AP"] == scores["mask_AP"] == pytest.approx(1)


def test_classes_are_named_after_the_models_config():
    scores = evaluate_coco(DetectsEverything(misses=[1]), records(), per_class=True, progress=False)
    assert scores["box_AP/cat"] == pytest.approx(1)
    assert scores["box_AP/dog"] == 0
    assert scores["box_AP"] == pytest.approx(0.5)


def test_no_detections_score_zero():
    scores = evaluate_coco(DetectsEverything(misses=[0, 1, 2]), records(), progress=False)
    assert scores["box_AP"] == scores["mask_AP"] == 0


def test_the_model_is_asked_for_rle_masks_with_the_given_limits():
    model = DetectsEverything()
    evaluate_coco(model, records(), batch_size=2, score_threshold=0.2, max_detections=300, progress=False)
    assert model.asked == [(2, 0.2, 300, "rle")]


def test_the_metrics_have_the_same_names_whatever_the_detections():
    none, some, many = (
        evaluate_coco(DetectsEverything(misses, copies), records(), progress=False)
        for misses, copies in [((0, 1, 2), 1), ((), 1), ((), 137)]
    )
    assert list(none) == list(some) == list(many)
    assert "box_AR100" in many


@pytest.mark.parametrize(
    ("models", "asked", "limit"),
    [(20, None, 100), (100, 7, 100), (300, None, 300), (100, 300, 300), (300, 50, 100)],
)
def test_the_limit_is_cocos_or_that_of_the_model_or_the_call_above_it(models, asked, limit):
    model = DetectsEverything(max_detections=models)
    scores = evaluate_coco(model, records(), max_detections=asked, progress=False)
    recalls = [name for name in scores if name.startswith("box_AR") and name[6:].isdigit()]
    assert recalls == ["box_AR1", "box_AR10", f"box_AR{limit}"]


def test_objects_beyond_the_limit_of_detections_are_told():
    boxes = [[6 * n, 5, 6 * n + 5, 15] for n in range(9)]
    full = make_record(records()[0].image, boxes, [1] * 9, image_id="full")
    said = (
        "evaluate_coco: image 'full': of 9 objects at most 4 .* 1 image in all .* and 5 of 11 objects "
        "are out of reach; max_detections=20 has room"
    )
    with pytest.warns(UserWarning, match=said):
        evaluate_coco(DetectsEverything(max_detections=4), [full, *records()[1:]], progress=False)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        model = DetectsEverything(max_detections=4)
        evaluate_coco(model, [full, *records()[1:]], max_detections=9, progress=False)
        evaluate_coco(model, [full, *records()[1:]], tile=32, progress=False)


def test_records_may_be_made_when_asked_for():
    class Made:
        def __len__(self):
            return 3

        def __getitem__(self, index):
            return records()[index]

    assert evaluate_coco(DetectsEverything(), Made(), progress=False)["mask_AP"] == pytest.approx(1)


def test_nothing_to_evaluate_against_is_said_before_the_model_runs():
    model = DetectsEverything()
    empty = [make_record(np.zeros((50, 60), np.uint8), image_id=1)]
    with pytest.raises(ValueError, match="nothing to evaluate against"):
        evaluate_coco(model, empty)
    assert model.asked == []


def test_progress_is_shown_unless_turned_off(capsys):
    evaluate_coco(DetectsEverything(), records())
    assert "3/3" in capsys.readouterr().out
    evaluate_coco(DetectsEverything(), records(), progress=False)
    assert capsys.readouterr().out == ""


def test_results_are_written_in_cocos_format(tmp_path):
    path = tmp_path / "results.json"
    evaluate_coco(DetectsEverything(), records(), progress=False, results_file=path, category_ids=[17, 18])
    results = json.loads(path.read_text())
    assert [row["image_id"] for row in results] == [100, 101, 102]
    assert [row["category_id"] for row in results] == [17, 18, 17]
    assert results[0]["bbox"] == [5, 10, 35, 20]
    mask = np.zeros((50, 60), bool)
    mask[10:30, 5:40] = True
    assert results[0]["segmentation"] == mask_to_rle(mask)


@pytest.mark.parametrize(
    ("category_ids", "reason"),
    [
        ([17], "no id for class 2, 'dog'"),
        ([None, 17], "no id for class 1, 'cat'"),
        ([17, 18, 19], "3 ids for 2 classes"),
    ],
)
def test_category_ids_that_do_not_fit_the_classes_are_refused_before_the_model_runs(
    category_ids, reason, tmp_path
):
    model = DetectsEverything()
    with pytest.raises(ValueError, match=reason):
        evaluate_coco(model, records(), results_file=tmp_path / "r.json", category_ids=category_ids)
    assert model.asked == []


def test_tiles_are_the_models_and_all_their_detections_count():
    model = DetectsEverything(copies=150)
    scores = evaluate_coco(model, records(), tile=512, tile_overlap=100, tile_whole=False, progress=False)
    assert model.tiling == {"tile": 512, "tile_overlap": 100, "tile_whole": False, "augment": None}
    assert "box_AR150" in scores
    scores = evaluate_coco(model, records(), tile=512, max_detections=120, progress=False)
    assert "box_AR120" in scores


def test_the_model_is_told_to_augment():
    model = DetectsEverything()
    evaluate_coco(model, records(), progress=False, augment=("rotate90", 1.5))
    assert model.tiling["augment"] == ("rotate90", 1.5)


def test_keypoints_are_scored_with_the_sigmas_given(tmp_path):
    model, annotated = with_keypoints()
    path = tmp_path / "results.json"
    scores = evaluate_coco(model, annotated, progress=False, keypoint_sigmas=[0.1, 0.1], results_file=path)
    assert scores["keypoint_AP"] == pytest.approx(1)
    assert json.loads(path.read_text())[0]["keypoints"] == [10, 12, 2, 30, 25, 1]
    # Without keypoints in the records there is nothing to score, and no sigmas are needed.
    assert "keypoint_AP" not in evaluate_coco(model, records(), progress=False)


def test_keypoints_that_cannot_be_scored_are_refused_before_the_model_runs():
    model, annotated = with_keypoints()
    with pytest.raises(ValueError, match="keypoint_sigmas is needed"):
        evaluate_coco(model, annotated)
    swapped = [dataclasses.replace(record, keypoint_names=("tail", "nose")) for record in annotated]
    with pytest.raises(
        ValueError, match=r"keypoint names are in another order .*keypoint 1 is 'tail', not 'nose'"
    ):
        evaluate_coco(model, swapped, keypoint_sigmas=[0.1, 0.1])
    model.config = dataclasses.replace(model.config, keypoint_names=("nose",))
    with pytest.raises(ValueError, match="its objects have 2 keypoints; the model predicts 1"):
        evaluate_coco(model, annotated, keypoint_sigmas=[0.1])
    assert model.asked == []


def test_a_report_is_of_the_detections_that_were_scored(tmp_path):
    model = DetectsEverything(misses=[1])
    scores = evaluate_coco(model, records(), progress=False, report=tmp_path)
    assert len(model.asked) == 1  # it ran once
    assert scores == pytest.approx(evaluate_coco(model, records(), progress=False), nan_ok=True)
    text = (tmp_path / "report.html").read_text()
    assert "model: detects_everything; dataset: 3 images; 20" in text
    assert "3 images, 3 objects." in text and "Missed objects: 1" in text and "False positives: 0" in text


def test_classes_of_other_names_are_refused_before_the_model_runs():
    model = DetectsEverything()
    named = [dataclasses.replace(record, class_names=tuple(NAMES)) for record in records()]
    assert evaluate_coco(model, named, progress=False)["box_AP"] == pytest.approx(1)
    others = [*named[:2], dataclasses.replace(named[2], class_names=tuple(NAMES)[::-1])]
    with pytest.raises(ValueError, match="image 102: its class names are in another order"):
        evaluate_coco(DetectsEverything(), others)


def test_matching_is_of_the_same_detections_under_names_of_its_own(tmp_path):
    model = DetectsEverything(misses=[1])
    scores = evaluate_coco(model, records(), progress=False, matching=0.5, report=tmp_path)
    assert len(model.asked) == 1
    named = {name: value for name, value in scores.items() if name.startswith("matching_")}
    assert [scores[f"matching_{name}_50"] for name in ("tp", "fp", "fn")] == [2, 0, 1]
    assert scores["matching_accuracy_95"] == scores["matching_dsb2018"] == pytest.approx(2 / 3)
    without = evaluate_coco(DetectsEverything(misses=[1]), records(), progress=False)
    assert {**without, **named} == pytest.approx(scores, nan_ok=True) and not named.keys() & without.keys()
    text = (tmp_path / "report.html").read_text()
    assert "<td>0.95</td><td>2</td><td>0</td><td>1</td><td>1.000</td><td>0.667</td><td>0.800</td>" in text
    assert "2018 Data Science Bowl: 0.667" in text and (tmp_path / "matching.png").is_file()


def test_matching_that_cannot_be_is_refused_before_the_model_runs():
    model = DetectsEverything()
    for wrong in (1.5, True, float("nan")):
        with pytest.raises(ValueError, match="matching must be the least score"):
            evaluate_coco(model, records(), matching=wrong)
    boxes = dataclasses.replace(records()[2], masks=None)
    with pytest.raises(ValueError, match="image 102: matching compares masks; its objects have boxes only"):
        evaluate_coco(model, [*records()[:2], boxes], matching=0.5)
    model.config = dataclasses.replace(model.config, mask_head="none")
    with pytest.raises(ValueError, match="matching compares masks, which"):
        evaluate_coco(model, records(), matching=0.5)
    assert model.asked == []
