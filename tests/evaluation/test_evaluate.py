import dataclasses
import json
from types import SimpleNamespace

import keras
import numpy as np
import pytest

from keras_maskrcnn.data.records import make_record
from keras_maskrcnn.data.report import LoadReport, Records
from keras_maskrcnn.detections.detections import Detections
from keras_maskrcnn.evaluation.analysis import analyse
from keras_maskrcnn.evaluation.detect_records import detect_records
from keras_maskrcnn.evaluation.evaluate import CocoEvaluation, evaluate_coco
from keras_maskrcnn.masks.rle import mask_to_rle

NAMES = ("cat", "dog")


def records(count=3):
    """Images whose top left value tells which one they are, each with one object."""
    made = []
    for number in range(count):
        image = np.full((50, 60, 3), number, np.uint8)
        masks = np.zeros((1, 50, 60), bool)
        masks[0, 10 : 30 + number, 5:40] = True
        made.append(make_record(image, None, [1 + number % 2], masks, image_id=100 + number))
    return made


def truth(record):
    masks = [dict(mask) for mask in record.masks]
    return Detections(
        boxes=record.boxes,
        scores=np.ones(len(record.boxes)),
        class_ids=record.class_ids,
        class_names=[NAMES[class_id - 1] for class_id in record.class_ids],
        height=record.height,
        width=record.width,
        masks=masks,
        image=record.image,
    )


class FindsEverything:
    """Stands for a model: it recognises the images of `records()` and knows what is in them."""

    def __init__(self, misses=(), copies=1, max_detections=100):
        self.config = SimpleNamespace(class_names=NAMES, max_detections=max_detections, keypoint_names=())
        self.name = "finds_everything"
        self.misses, self.copies = misses, copies
        self.asked = []

    def detect_iter(self, images, batch_size, score_threshold, max_detections, masks, **tiling):
        self.tiling = tiling
        self.asked.append((batch_size, score_threshold, max_detections, masks))
        for image in images:
            number = int(image[0, 0, 0])
            found = truth(records()[number])[[0] * self.copies]
            yield found[:0] if number in self.misses else found


def test_a_model_that_finds_everything_scores_one():
    scores = evaluate_coco(FindsEverything(), records(), progress=False)
    assert scores["box_AP"] == scores["mask_AP"] == pytest.approx(1)


def test_classes_are_named_after_the_models_config():
    scores = evaluate_coco(FindsEverything(misses=[1]), records(), per_class=True, progress=False)
    assert scores["box_AP/cat"] == pytest.approx(1)
    assert scores["box_AP/dog"] == 0
    assert scores["box_AP"] == pytest.approx(0.5)


def test_no_detections_score_zero():
    scores = evaluate_coco(FindsEverything(misses=[0, 1, 2]), records(), progress=False)
    assert scores["box_AP"] == scores["mask_AP"] == 0


def test_the_model_is_asked_for_rle_masks_with_the_given_limits():
    model = FindsEverything()
    evaluate_coco(model, records(), batch_size=2, score_threshold=0.2, max_detections=300, progress=False)
    assert model.asked == [(2, 0.2, 300, "rle")]


def test_the_metrics_have_the_same_names_whatever_the_detections():
    none, some, many = (
        evaluate_coco(FindsEverything(misses, copies), records(), progress=False)
        for misses, copies in [((0, 1, 2), 1), ((), 1), ((), 137)]
    )
    assert list(none) == list(some) == list(many)
    assert "box_AR100" in many


@pytest.mark.parametrize(
    ("models", "asked", "limit"),
    [(20, None, 100), (100, 7, 100), (300, None, 300), (100, 300, 300), (300, 50, 100)],
)
def test_the_limit_is_cocos_or_that_of_the_model_or_the_call_above_it(models, asked, limit):
    model = FindsEverything(max_detections=models)
    scores = evaluate_coco(model, records(), max_detections=asked, progress=False)
    recalls = [name for name in scores if name.startswith("box_AR") and name[6:].isdigit()]
    assert recalls == ["box_AR1", "box_AR10", f"box_AR{limit}"]


def test_records_may_be_made_when_asked_for():
    class Made:
        def __len__(self):
            return 3

        def __getitem__(self, index):
            return records()[index]

    assert evaluate_coco(FindsEverything(), Made(), progress=False)["mask_AP"] == pytest.approx(1)


def test_nothing_to_evaluate_against_is_said_before_the_model_runs():
    model = FindsEverything()
    empty = [make_record(np.zeros((50, 60), np.uint8), image_id=1)]
    with pytest.raises(ValueError, match="nothing to evaluate against"):
        evaluate_coco(model, empty)
    assert model.asked == []


def test_progress_is_shown_unless_turned_off(capsys):
    evaluate_coco(FindsEverything(), records())
    assert "3/3" in capsys.readouterr().out
    evaluate_coco(FindsEverything(), records(), progress=False)
    assert capsys.readouterr().out == ""


def test_results_are_written_in_cocos_format(tmp_path):
    path = tmp_path / "results.json"
    evaluate_coco(FindsEverything(), records(), progress=False, results_file=path, category_ids=[17, 18])
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
    model = FindsEverything()
    with pytest.raises(ValueError, match=reason):
        evaluate_coco(model, records(), results_file=tmp_path / "r.json", category_ids=category_ids)
    assert model.asked == []


def test_tiles_are_the_models_and_all_that_they_find_counts():
    model = FindsEverything(copies=150)
    scores = evaluate_coco(model, records(), tile=512, tile_overlap=100, tile_whole=False, progress=False)
    assert model.tiling == {"tile": 512, "tile_overlap": 100, "tile_whole": False}
    assert "box_AR150" in scores
    scores = evaluate_coco(model, records(), tile=512, max_detections=120, progress=False)
    assert "box_AR120" in scores


def with_keypoints(names=("nose", "tail")):
    """Records with two keypoints each, and a model that finds them, half a pixel on as its offset says."""
    points = np.array([[[10, 12, 2], [30, 25, 1]]], np.float32)
    annotated = [dataclasses.replace(record, keypoints=points) for record in records()]
    model = FindsEverything()
    model.config.keypoint_names = names

    def detect_iter(*arguments, **limits):
        model.asked.append(arguments)
        for one in annotated:
            found = points + np.float32([0.5, 0.5, 0])
            yield dataclasses.replace(
                truth(one), keypoints=found, keypoint_names=names, keypoint_offset=0.5, masks=None
            )

    model.detect_iter = detect_iter
    return model, annotated


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
    swapped = Records(annotated, LoadReport(keypoint_names=("tail", "nose")))
    with pytest.raises(ValueError, match="the records' keypoints are tail, nose"):
        evaluate_coco(model, swapped, keypoint_sigmas=[0.1, 0.1])
    model.config.keypoint_names = ("nose",)
    with pytest.raises(ValueError, match="its objects have 2 keypoints; the model predicts 1"):
        evaluate_coco(model, annotated, keypoint_sigmas=[0.1])
    assert model.asked == []


# --- During training


class Learner(keras.Model):
    """A model of one weight that finds image k's object from its epoch k + 1 on."""

    config = SimpleNamespace(class_names=NAMES, max_detections=100, keypoint_names=())

    def __init__(self):
        super().__init__()
        self.dense = keras.layers.Dense(1)
        self.evaluations = 0

    def call(self, inputs):
        return self.dense(inputs)

    def detect_iter(self, images, batch_size, score_threshold, max_detections, masks, **tiling):
        self.tiling = tiling
        self.evaluations += 1
        misses = range(self.evaluations, 3)
        yield from FindsEverything(misses).detect_iter(
            images, batch_size, score_threshold, max_detections, masks
        )


def fit(epochs, *callbacks):
    model = Learner()
    model.compile("sgd", "mse")
    data = np.ones((2, 1), np.float32)
    history = model.fit(data, data, epochs=epochs, verbose=0, callbacks=list(callbacks))
    return model, history.history


def test_each_epoch_logs_box_and_mask_ap():
    model, history = fit(3, CocoEvaluation(records()))
    assert model.evaluations == 3
    assert (
        history["val_mask_AP"]
        == history["val_box_AP"]
        == pytest.approx([51 / 101 / 2, (51 / 101 + 1) / 2, 1])
    )
    logged = {name for name in history if name.startswith("val_")}
    assert logged == {f"val_{kind}_{name}" for kind in ("box", "mask") for name in ("AP", "AP50", "AP75")}


def test_keypoint_ap_is_logged_too():
    model, annotated = with_keypoints()
    learner = Learner()
    learner.config, learner.detect_iter = model.config, model.detect_iter
    learner.compile("sgd", "mse")
    data = np.ones((2, 1), np.float32)
    with pytest.raises(ValueError, match="keypoint_sigmas is needed"):
        learner.fit(data, data, verbose=0, callbacks=[CocoEvaluation(annotated)])
    assert learner.optimizer.iterations == 0  # it is said before training
    callback = CocoEvaluation(annotated, keypoint_sigmas=(0.1, 0.1))
    history = learner.fit(data, data, verbose=0, callbacks=[callback]).history
    assert history["val_keypoint_AP"] == pytest.approx([1])
    assert "val_keypoint_AP50" in history and "val_keypoint_AR20" not in history


def test_per_class_metrics_are_logged_on_request_and_the_rest_is_kept():
    callback = CocoEvaluation(records(), prefix="held_out_", per_class=True)
    _, history = fit(1, callback)
    assert history["held_out_box_AP/dog"] == [0]
    assert "box_AR100" in callback.scores


def test_images_can_be_split_into_tiles():
    model, _ = fit(1, CocoEvaluation(records(), tile=512, tile_overlap=100, tile_whole=False))
    assert model.tiling == {"tile": 512, "tile_overlap": 100, "tile_whole": False}


def test_a_bar_is_shown_where_it_can_be_redrawn_and_on_request(capsys, monkeypatch):
    fit(1, CocoEvaluation(records()))
    assert "3/3" not in capsys.readouterr().out
    fit(1, CocoEvaluation(records(), progress=True))
    assert "3/3" in capsys.readouterr().out
    monkeypatch.setattr("sys.stdout.isatty", lambda: True, raising=False)
    fit(1, CocoEvaluation(records()))
    assert "3/3" in capsys.readouterr().out
    fit(1, CocoEvaluation(records(), progress=False))
    assert "3/3" not in capsys.readouterr().out


def test_the_patience_of_early_stopping_counts_evaluations():
    stop = keras.callbacks.EarlyStopping(monitor="val_mask_AP", mode="max", patience=1)
    _, history = fit(20, CocoEvaluation(records(), every=2), stop)
    assert len(history["loss"]) == 6  # AP rises after epochs 1, 2 and 4 and not after 6


def test_epochs_between_evaluations_log_nothing_and_the_last_epoch_is_evaluated():
    logged = {}
    look = keras.callbacks.LambdaCallback(
        on_epoch_end=lambda epoch, logs: logged.update({epoch + 1: dict(logs)})
    )
    callback = CocoEvaluation(records(), every=4)
    model, history = fit(6, callback, look)
    assert model.evaluations == len(history["val_mask_AP"]) == 3 and len(history["loss"]) == 6
    assert [epoch for epoch, logs in logged.items() if "val_mask_AP" in logs] == callback.epochs == [1, 4, 6]


def test_early_stopping_and_checkpoints_after_it_see_the_values(tmp_path):
    stop = keras.callbacks.EarlyStopping(monitor="val_mask_AP", mode="max", patience=2)
    path = str(tmp_path / "{epoch}-{val_mask_AP:.2f}.weights.h5")
    save = keras.callbacks.ModelCheckpoint(
        path, monitor="val_mask_AP", mode="max", save_best_only=True, save_weights_only=True
    )
    _, history = fit(20, CocoEvaluation(records()), stop, save)
    assert len(history["val_mask_AP"]) == 5  # best in the third epoch, then two without a gain
    saved = sorted(file.name.split("-")[0] for file in tmp_path.iterdir())
    assert saved == ["1", "2", "3"]


def test_a_second_run_starts_with_its_own_evaluation():
    callback = CocoEvaluation(records(), every=10)
    assert fit(2, callback)[0].evaluations == 2
    assert fit(2, callback)[0].evaluations == 2


def test_a_callback_that_could_never_evaluate_is_refused_when_made():
    with pytest.raises(ValueError, match="every must be at least 1; got 0"):
        CocoEvaluation(records(), every=0)
    with pytest.raises(ValueError, match="nothing to evaluate against"):
        CocoEvaluation([])
    with pytest.raises(ValueError, match="tile_overlap=9 needs tile="):
        CocoEvaluation(records(), tile_overlap=9)


def test_a_report_is_of_the_detections_that_were_scored(tmp_path):
    model = FindsEverything(misses=[1])
    scores = evaluate_coco(model, records(), progress=False, report=tmp_path)
    assert len(model.asked) == 1  # it ran once
    assert scores == pytest.approx(evaluate_coco(model, records(), progress=False), nan_ok=True)
    text = (tmp_path / "report.html").read_text()
    assert "model: finds_everything; dataset: 3 images; 20" in text
    assert "3 images, 3 objects." in text and "Missed objects: 1" in text and "False positives: 0" in text


def test_the_detections_of_records_are_what_an_analysis_takes():
    model = FindsEverything(misses=[1])
    found = detect_records(model, records(), progress=False)
    assert [len(one) for one in found] == [1, 0, 1] and all(one.image is None for one in found)
    analysis = analyse(records(), found, NAMES)
    scores = evaluate_coco(model, records(), per_class=True, progress=False)
    assert analysis.scores == pytest.approx(scores, nan_ok=True)
    assert analysis.confusion_matrix().tolist() == [[0, 0, 0], [0, 2, 0], [1, 0, 0]]
