import keras
import numpy as np
import pytest
from perfect_model import NAMES, DetectsEverything, records, with_keypoints

from keras_maskrcnn.config.config import Config
from keras_maskrcnn.evaluation.evaluate import CocoEvaluation
from keras_maskrcnn.utils.keras_internals import set_first_epoch


class Learner(keras.Model):
    """A model of one weight that detects image k's object from its epoch k + 1 on."""

    config = Config(class_names=NAMES)

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
        yield from DetectsEverything(misses).detect_iter(
            images, batch_size, score_threshold, max_detections, masks
        )


def fit(epochs, *callbacks, **options):
    model = Learner()
    model.compile("sgd", "mse")
    data = np.ones((2, 1), np.float32)
    history = model.fit(data, data, epochs=epochs, verbose=0, callbacks=list(callbacks), **options)
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


def test_matching_is_logged_where_it_is_asked_for():
    callback = CocoEvaluation(records(), matching=0.5)
    _, history = fit(3, callback)
    for name in ("accuracy_50", "accuracy_75", "dsb2018"):
        assert history[f"val_matching_{name}"] == pytest.approx([1 / 3, 2 / 3, 1])
    assert sum("matching" in name for name in history) == 3
    assert callback.scores["matching_tp_95"] == 3
    with pytest.raises(ValueError, match="matching must be the least score"):
        fit(1, CocoEvaluation(records(), matching=2))


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


def test_images_can_be_split_into_tiles_and_augmented():
    tiles = {"tile": 512, "tile_overlap": 100, "tile_whole": False, "augment": "d4"}
    model, _ = fit(1, CocoEvaluation(records(), **tiles))
    assert model.tiling == tiles


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


@pytest.mark.filterwarnings("ignore:Early stopping conditioned on metric")
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
    with pytest.raises(ValueError, match="got 'sideways'"):
        CocoEvaluation(records(), augment="sideways")


def test_a_resumed_run_is_evaluated_after_the_same_epochs_as_an_uninterrupted_one():
    callback = CocoEvaluation(records(), every=4)
    fit(9, callback)
    assert callback.epochs == [1, 4, 8, 9]
    fit(9, callback, initial_epoch=5)
    assert callback.epochs == [8, 9]


def test_a_resumed_run_is_evaluated_when_an_uninterrupted_one_is():
    whole, resumed = CocoEvaluation(records(), every=3), CocoEvaluation(records(), every=3)
    fit(7, whole)
    assert whole.epochs == [1, 3, 6, 7]
    resume = keras.callbacks.LambdaCallback(on_train_begin=lambda logs: set_first_epoch(resumed.model, 4))
    fit(7, resumed, resume)
    assert resumed.epochs == [6, 7]
