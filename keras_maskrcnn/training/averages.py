"""Callbacks that see averaged weights instead of the weights of the last step."""

from collections.abc import Sequence
from typing import Any

import keras


class WithAveragedWeights(keras.callbacks.Callback):
    """Runs `on_epoch_end` of other callbacks with the averaged weights of an optimizer with `use_ema=True`.

    `CocoEvaluation` and `ModelCheckpoint` in it evaluate and save the averages, which `fit` leaves in the model when it
    ends. After each epoch the weights are what they were, so that a backup continues exactly and early stopping
    leaves the averages too; with `keras.callbacks.SwapEMAWeights(swap_on_epoch=True)` neither holds.

    The average moves at every batch, also where gradients accumulate over several: with an `ema_momentum` of m it
    reaches over about 1 / (1 - m) batches.

    Args:
        callbacks: called in this order; their `on_train_batch_*` methods are not called.

    Raises:
        ValueError: when training begins, the optimizer keeps no averages.

    Example:
        ```python
        import keras
        import numpy as np

        import keras_maskrcnn as km

        model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)])  # any Keras model will do
        model.compile(optimizer=km.sgd(0.01, use_ema=True, ema_momentum=0.9), loss="mse")
        best = keras.callbacks.ModelCheckpoint("best.keras", monitor="loss", save_best_only=True)
        x = np.ones((8, 2), "float32")
        model.fit(x, x[:, :1], epochs=2, verbose=0, callbacks=[km.WithAveragedWeights([best])])
        ```
    """

    def __init__(self, callbacks: Sequence[keras.callbacks.Callback]):
        super().__init__()
        self.callbacks = list(callbacks)

    def set_model(self, model: keras.Model) -> None:
        """Pass the model on to all callbacks."""
        super().set_model(model)
        for callback in self.callbacks:
            callback.set_model(model)

    def set_params(self, params: dict[str, Any]) -> None:
        """Pass the number of epochs and steps on to all callbacks."""
        super().set_params(params)
        for callback in self.callbacks:
            callback.set_params(params)

    def on_train_begin(self, logs: dict[str, Any] | None = None) -> None:
        """Check that the optimizer keeps averages, and call the callbacks."""
        optimizer = self.model.optimizer
        if not getattr(optimizer, "inner_optimizer", optimizer).use_ema:
            raise ValueError(
                "WithAveragedWeights needs an optimizer with use_ema=True, such as km.sgd(use_ema=True)"
            )
        for callback in self.callbacks:
            callback.on_train_begin(logs)

    def on_epoch_begin(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Call the callbacks with the weights of the last step."""
        for callback in self.callbacks:
            callback.on_epoch_begin(epoch, logs)

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Call the callbacks with the averages as weights, then restore the weights."""
        variables = self.model.trainable_variables
        weights = [keras.ops.convert_to_numpy(variable) for variable in variables]
        self.model.optimizer.finalize_variable_values(variables)
        try:
            for callback in self.callbacks:
                callback.on_epoch_end(epoch, logs)
        finally:
            for variable, weight in zip(variables, weights, strict=True):
                variable.assign(weight)

    def on_train_end(self, logs: dict[str, Any] | None = None) -> None:
        """Call the callbacks; Keras has set the averages by then."""
        for callback in self.callbacks:
            callback.on_train_end(logs)
