"""Callbacks on averaged weights, with a model of one weight."""

import keras
import numpy as np
import pytest
from examples import drawn_records, tiny

from keras_maskrcnn.data.pipeline.dataset import make_dataset
from keras_maskrcnn.training.averages import WithAveragedWeights
from keras_maskrcnn.training.backup import TrainingBackup


class Seen(keras.callbacks.Callback):
    """The weight at the ends of epochs, put into the logs as evaluations are."""

    def __init__(self):
        super().__init__()
        self.weights = []

    def on_epoch_end(self, epoch, logs=None):
        self.weights.append(float(self.model.get_weights()[0].item()))
        logs["val_metric"] = self.weights[-1]


class StopAfter(keras.callbacks.Callback):
    def __init__(self, epochs):
        super().__init__()
        self.epochs = epochs

    def on_epoch_end(self, epoch, logs=None):
        self.model.stop_training = epoch + 1 == self.epochs


def one_weight(use_ema=True):
    model = keras.Sequential(
        [keras.Input((1,)), keras.layers.Dense(1, use_bias=False, kernel_initializer="ones")]
    )
    model.compile(optimizer=keras.optimizers.SGD(0.1, use_ema=use_ema, ema_momentum=0.5), loss="mse")
    return model


def fit(callbacks, use_ema=True):
    model = one_weight(use_ema)
    history = model.fit(np.ones((1, 1)), np.zeros((1, 1)), epochs=3, verbose=0, callbacks=callbacks)
    return model, history.history


def test_callbacks_see_the_averages_and_training_goes_on_from_the_weights():
    inside, outside = Seen(), Seen()
    model, history = fit([WithAveragedWeights([inside]), outside])
    weights = [0.8, 0.8**2, 0.8**3]  # the gradient of w * w is 2 w
    averages = [weights[0], (weights[0] + weights[1]) / 2]
    averages.append((averages[1] + weights[2]) / 2)
    assert inside.weights == pytest.approx(averages)
    assert outside.weights == pytest.approx(weights)
    assert model.get_weights()[0].item() == pytest.approx(averages[-1])  # what fit leaves
    assert history["val_metric"] == pytest.approx(weights)  # of the callback that came last


@pytest.mark.parametrize("epochs", [1, 2, 3])
def test_training_that_ends_early_leaves_the_averages(epochs):
    seen = Seen()
    model, _ = fit([WithAveragedWeights([seen, StopAfter(epochs)])])
    assert len(seen.weights) == epochs
    assert model.get_weights()[0].item() == pytest.approx(seen.weights[-1])


def test_what_callbacks_put_into_the_logs_reaches_those_after_them():
    _, history = fit([WithAveragedWeights([Seen()])])
    assert len(history["val_metric"]) == 3


def test_an_optimizer_without_averages_is_refused():
    with pytest.raises(ValueError, match="WithAveragedWeights needs an optimizer with use_ema=True"):
        fit([WithAveragedWeights([Seen()])], use_ema=False)


class Hooks(keras.callbacks.Callback):
    """Notes which of its methods are called, with the weight of that time."""

    def __init__(self):
        super().__init__()
        self.called = []

    def note(self, name):
        self.called.append((name, round(float(self.model.get_weights()[0].item()), 4)))

    def on_train_batch_begin(self, batch, logs=None):
        self.note("train batch begins")

    def on_train_batch_end(self, batch, logs=None):
        self.note("train batch ends")

    def on_test_begin(self, logs=None):
        self.note("test begins")

    def on_test_batch_end(self, batch, logs=None):
        self.note("test batch ends")

    def on_test_end(self, logs=None):
        self.note("test ends")

    def on_predict_end(self, logs=None):
        self.note("prediction ends")


def test_all_other_methods_are_called_with_the_weights_of_the_last_step():
    inside, outside = Hooks(), Hooks()
    for callbacks in ([WithAveragedWeights([inside])], [outside]):
        model = one_weight()
        x = np.ones((2, 1))
        model.fit(x, 0 * x, 1, epochs=2, verbose=0, validation_data=(x, x), callbacks=callbacks)
        model.predict(x, verbose=0, callbacks=callbacks)
        model.evaluate(x, x, verbose=0, callbacks=callbacks)
    assert inside.called == outside.called
    assert {name for name, _ in inside.called} == {
        "train batch begins", "train batch ends", "test begins", "test batch ends", "test ends", "prediction ends",
    }  # fmt: skip


def test_early_stopping_among_them_leaves_the_averages_of_the_best_epoch():
    seen = Seen()
    best = Best()
    stop = keras.callbacks.EarlyStopping("val_metric", mode="max", patience=1, restore_best_weights=True)
    model, _ = fit([WithAveragedWeights([seen, best, stop])])
    assert model.get_weights()[0].item() == pytest.approx(seen.weights[1])


class Best(keras.callbacks.Callback):
    """Logs that the second epoch was the best."""

    def on_epoch_end(self, epoch, logs=None):
        logs["val_metric"] = (0.1, 0.9, 0.2)[epoch]


@pytest.mark.parametrize("kind", ["ModelCheckpoint", "BackupAndRestore"])
def test_what_saves_between_epochs_would_save_no_averages(kind, tmp_path):
    path = tmp_path / ("best.keras" if kind == "ModelCheckpoint" else "backup")
    with pytest.raises(ValueError, match=rf"{kind}.*WithAveragedWeights"):
        WithAveragedWeights([getattr(keras.callbacks, kind)(path, save_freq=2)])


def test_a_backup_holds_no_averages(tmp_path):
    data = make_dataset(drawn_records(1), tiny(mask_head="none"), training=True)
    with pytest.raises(ValueError, match="TrainingBackup belongs beside WithAveragedWeights"):
        WithAveragedWeights([TrainingBackup(tmp_path / "b.weights.h5", data)])
