"""Callbacks on averaged weights, with a model of one weight."""

import keras
import numpy as np
import pytest

from keras_maskrcnn.training.averages import WithAveragedWeights


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


def fit(callbacks, use_ema=True):
    model = keras.Sequential(
        [keras.Input((1,)), keras.layers.Dense(1, use_bias=False, kernel_initializer="ones")]
    )
    model.compile(optimizer=keras.optimizers.SGD(0.1, use_ema=use_ema, ema_momentum=0.5), loss="mse")
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
