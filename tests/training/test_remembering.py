"""Callbacks whose memory is part of the backup."""

import copy

import keras
import pytest
from examples import drawn_records, tiny
from killed_training import MeanColor

from keras_maskrcnn.data.pipeline.dataset import make_dataset
from keras_maskrcnn.training.backup import TrainingBackup
from keras_maskrcnn.training.not_a_number import StopOnNaN
from keras_maskrcnn.training.slow_input import SlowInputAdvice

CONFIG = tiny(mask_head="none")
METRICS = (0.1, 0.5, 0.4, 0.3, 0.2, 0.1)


class Evaluation(keras.callbacks.Callback):
    """Logs a metric that is best in the second epoch; ends the process of training after some epochs."""

    def __init__(self, killed_after=None):
        super().__init__()
        self.killed_after = killed_after

    def on_epoch_begin(self, epoch, logs=None):
        if epoch == self.killed_after:
            raise KeyboardInterrupt

    def on_epoch_end(self, epoch, logs=None):
        logs["val_metric"] = METRICS[epoch]


def train(folder, killed_after=None, optimizer="sgd", remembered=2, **options):
    """Train with a patience of three epochs; return the epochs that were trained and those that were saved."""
    model = MeanColor()
    model.compile(optimizer=optimizer, run_eagerly=True)
    model(next(iter(make_dataset(drawn_records(1), CONFIG))))
    data = make_dataset(drawn_records(2), CONFIG, batch_size=2, training=True)
    stop = keras.callbacks.EarlyStopping("val_metric", mode="max", patience=3, **options)
    save = keras.callbacks.ModelCheckpoint(
        folder / "best{epoch}.keras", monitor="val_metric", mode="max", save_best_only=True
    )
    backup = TrainingBackup(
        folder / "b.weights.h5", data, delete_checkpoint=False, remember=[stop, save][:remembered]
    )
    callbacks = [Evaluation(killed_after), stop, save, backup]
    history = model.fit(data, epochs=6, verbose=0, shuffle=False, callbacks=callbacks)
    return history.epoch, sorted(path.name for path in folder.glob("*.keras"))


def test_a_resumed_training_has_the_patience_and_the_best_value_of_an_uninterrupted_one(tmp_path):
    (tmp_path / "whole").mkdir()
    epochs, saved = train(tmp_path / "whole")
    assert epochs == [0, 1, 2, 3, 4] and saved == ["best1.keras", "best2.keras"]
    (tmp_path / "killed").mkdir()
    with pytest.raises(KeyboardInterrupt):
        train(tmp_path / "killed", killed_after=3)
    epochs, saved = train(tmp_path / "killed")
    assert epochs == [3, 4]  # without memory it would train to the sixth epoch, and save the fourth
    assert saved == ["best1.keras", "best2.keras"]


def test_another_number_of_callbacks_is_refused(tmp_path):
    with pytest.raises(KeyboardInterrupt):
        train(tmp_path, killed_after=1)
    with pytest.raises(
        ValueError, match=r"b\.weights\.h5 is of a run whose backup remembered 2 callbacks; `remember` has 1"
    ):
        train(tmp_path, remembered=1)


def test_another_optimizer_is_refused(tmp_path):
    with pytest.raises(KeyboardInterrupt):
        train(tmp_path, killed_after=1)
    with pytest.raises(ValueError, match=r"b\.weights\.h5 is of another model or optimizer"):
        train(tmp_path, optimizer="adam")


def test_weights_that_a_callback_keeps_are_refused(tmp_path):
    with pytest.raises(ValueError, match="A backup holds no best weights"):
        train(tmp_path, restore_best_weights=True)


class History(keras.callbacks.Callback):
    """Somebody's own: the learning rate of each epoch."""

    def __init__(self):
        super().__init__()
        self.rates = []

    def on_epoch_end(self, epoch, logs=None):
        self.rates.append((epoch, float(self.model.optimizer.learning_rate)))


def train_on_plateau(path, mode, killed_after=None):
    """Train with a metric that never improves; return the learning rates that a callback of one's own remembers."""
    model = MeanColor()
    model.compile(optimizer=keras.optimizers.SGD(0.1), run_eagerly=True)
    model(next(iter(make_dataset(drawn_records(1), CONFIG))))
    data = make_dataset(drawn_records(1), CONFIG, training=True)
    plateau = keras.callbacks.ReduceLROnPlateau("val_metric", mode=mode, patience=1, cooldown=2, min_delta=1)
    history = History()
    backup = TrainingBackup(path, data, delete_checkpoint=False, remember=[plateau, history])
    callbacks = [Evaluation(killed_after), plateau, history, backup]
    model.fit(data, epochs=6, verbose=0, shuffle=False, callbacks=callbacks)
    return history.rates


@pytest.mark.parametrize("mode", ["min", "max"])
def test_cooldown_and_a_history_of_ones_own_go_along(tmp_path, mode):
    whole = train_on_plateau(tmp_path / "whole.weights.h5", mode)
    assert len({rate for _, rate in whole}) > 2
    path = tmp_path / "killed.weights.h5"
    with pytest.raises(KeyboardInterrupt):
        train_on_plateau(path, mode, killed_after=3)  # while it cools down
    assert train_on_plateau(path, mode) == whole


def test_a_callback_that_cannot_be_remembered_is_named(tmp_path):
    history = History()
    history.rates = iter(())
    data = make_dataset(drawn_records(1), CONFIG, training=True)
    with pytest.raises(ValueError, match=r"History\.rates cannot be remembered: it holds a tuple_iterator"):
        TrainingBackup(tmp_path / "b.weights.h5", data, remember=[history])


@pytest.mark.parametrize("kind", [StopOnNaN, SlowInputAdvice, TrainingBackup])
def test_copies_of_callbacks_steer_the_same_dataset(kind, tmp_path):
    data = make_dataset(drawn_records(1), CONFIG, training=True)
    callback = kind(tmp_path / "b.weights.h5", data) if kind is TrainingBackup else kind(data)
    for copied in (copy.deepcopy(callback), copy.deepcopy([callback])[0]):
        assert copied is not callback
        clock = copied.clock if kind is TrainingBackup else copied.dataset.clock
        assert clock is data.clock
