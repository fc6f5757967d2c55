"""Callbacks that see the averages of the weights instead of the weights."""

from collections.abc import Sequence
from typing import Any

import keras


class WithAveragedWeights(keras.callbacks.Callback):
    """Runs the ends of epochs of other callbacks on the averaged weights of an optimizer with `use_ema=True`.

    `CocoEvaluation` and `ModelCheckpoint` in it judge and save the averages, which `fit` leaves in the model when it
    ends. Afterwards the weights are what they were, so that a backup continues exactly and early stopping
    leaves the averages too; with `keras.callbacks.SwapEMAWeights(swap_on_epoch=True)` neither holds.

    The average moves at every batch, also where gradients accumulate over several: with an `ema_momentum` of m it
    reaches over about 1 / (1 - m) batches.

    Args:
        callbacks: called in this order.

    Raises:
        ValueError: when training begins, the optimizer keeps no averages.
    """

    def __init__(self, callbacks: Sequence[keras.callbacks.Callback]):
        super().__init__()
        self.callbacks = list(callbacks)

    def set_model(self, model: keras.Model) -> None:
        """Tell all callbacks their model."""
        super().set_model(model)
        for callback in self.callbacks:
            callback.set_model(model)

    def set_params(self, params: dict[str, Any]) -> None:
        """Tell all callbacks the number of epochs and steps."""
        super().set_params(params)
        for callback in self.callbacks:
            callback.set_params(params)

    def on_train_begin(self, logs: dict[str, Any] | None = None) -> None:
        """Check the optimizer, and begin."""
        optimizer = self.model.optimizer
        if not getattr(optimizer, "inner_optimizer", optimizer).use_ema:
            raise ValueError(
                "WithAveragedWeights needs an optimizer with use_ema=True, such as km.sgd(use_ema=True)"
            )
        for callback in self.callbacks:
            callback.on_train_begin(logs)

    def on_epoch_begin(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Begin an epoch."""
        for callback in self.callbacks:
            callback.on_epoch_begin(epoch, logs)

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Put the averages in the place of the weights for the callbacks, and the weights back."""
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
        """End."""
        for callback in self.callbacks:
            callback.on_train_end(logs)
