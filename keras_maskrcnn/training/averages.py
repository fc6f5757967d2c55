"""Callbacks that see averaged weights instead of the weights of the last step."""

from collections.abc import Sequence
from typing import Any

import keras

from keras_maskrcnn.training.backup import TrainingBackup


class WithAveragedWeights(keras.callbacks.Callback):
    """Runs `on_epoch_end` of other callbacks with the averaged weights of an optimizer with `use_ema=True`.

    `CocoEvaluation` and `ModelCheckpoint` in it evaluate and save the averages, which `fit` leaves in the model when it
    ends, and `EarlyStopping(restore_best_weights=True)` in it leaves those of the best epoch. After each epoch the
    weights are what they were, so that a backup continues exactly; with
    `keras.callbacks.SwapEMAWeights(swap_on_epoch=True)` that does not hold. All other methods of callbacks are called
    with the weights of the last step.

    The average moves at every batch, also where gradients accumulate over several: with an `ema_momentum` of m it
    reaches over about 1 / (1 - m) batches.

    Args:
        callbacks: called in this order.

    Raises:
        ValueError: a callback saves between the ends of epochs (`save_freq`), where the weights are no averages, or is
            a backup, which must not hold averages; or, when training begins, the optimizer keeps none.

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
        for callback in self.callbacks:
            if isinstance(callback, (TrainingBackup, keras.callbacks.BackupAndRestore)):
                raise ValueError(
                    f"{type(callback).__name__} belongs beside WithAveragedWeights, not into it: a training goes on "
                    "from the weights of its last step"
                )
            if isinstance(getattr(callback, "save_freq", None), int):
                raise ValueError(
                    f"{type(callback).__name__}(save_freq={callback.save_freq}) in WithAveragedWeights would save the "
                    'weights of the last step: averages are there at the end of an epoch alone (save_freq="epoch")'
                )

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
        self._call("on_train_begin", logs)

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Call the callbacks with the averages as weights, then restore the weights."""
        variables = self.model.trainable_variables
        weights = [keras.ops.convert_to_numpy(variable) for variable in variables]
        self.model.optimizer.finalize_variable_values(variables)
        try:
            self._call("on_epoch_end", epoch, logs)
        finally:
            for variable, weight in zip(variables, weights, strict=True):
                variable.assign(weight)

    def on_epoch_begin(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Call the callbacks."""
        self._call("on_epoch_begin", epoch, logs)

    def on_train_end(self, logs: dict[str, Any] | None = None) -> None:
        """Call the callbacks; Keras has set the averages by then."""
        self._call("on_train_end", logs)

    def on_train_batch_begin(self, batch: int, logs: dict[str, Any] | None = None) -> None:
        """Call the callbacks."""
        self._call("on_train_batch_begin", batch, logs)

    def on_train_batch_end(self, batch: int, logs: dict[str, Any] | None = None) -> None:
        """Call the callbacks."""
        self._call("on_train_batch_end", batch, logs)

    def on_test_begin(self, logs: dict[str, Any] | None = None) -> None:
        """Call the callbacks."""
        self._call("on_test_begin", logs)

    def on_test_end(self, logs: dict[str, Any] | None = None) -> None:
        """Call the callbacks."""
        self._call("on_test_end", logs)

    def on_test_batch_begin(self, batch: int, logs: dict[str, Any] | None = None) -> None:
        """Call the callbacks."""
        self._call("on_test_batch_begin", batch, logs)

    def on_test_batch_end(self, batch: int, logs: dict[str, Any] | None = None) -> None:
        """Call the callbacks."""
        self._call("on_test_batch_end", batch, logs)

    def on_predict_begin(self, logs: dict[str, Any] | None = None) -> None:
        """Call the callbacks."""
        self._call("on_predict_begin", logs)

    def on_predict_end(self, logs: dict[str, Any] | None = None) -> None:
        """Call the callbacks."""
        self._call("on_predict_end", logs)

    def on_predict_batch_begin(self, batch: int, logs: dict[str, Any] | None = None) -> None:
        """Call the callbacks."""
        self._call("on_predict_batch_begin", batch, logs)

    def on_predict_batch_end(self, batch: int, logs: dict[str, Any] | None = None) -> None:
        """Call the callbacks."""
        self._call("on_predict_batch_end", batch, logs)

    def _call(self, method: str, *args: Any) -> None:
        for callback in self.callbacks:
            getattr(callback, method)(*args)


def check_beside_averages(callbacks: Any) -> None:
    """Refuse what judges a model by the scores of its averages, and keeps the weights of the last step.

    Args:
        callbacks: as `fit` takes them.

    Raises:
        ValueError: one of them restores or saves the best weights beside a `WithAveragedWeights`.
    """
    listed = getattr(callbacks, "callbacks", callbacks) or []
    listed = list(listed) if isinstance(listed, (list, tuple)) else [listed]
    if not any(isinstance(callback, WithAveragedWeights) for callback in listed):
        return
    for callback in listed:
        for option in ("restore_best_weights", "save_best_only"):
            if getattr(callback, option, False):
                name = f"{type(callback).__name__}({option}=True)"
                raise ValueError(
                    f"{name} beside WithAveragedWeights would keep the weights of the last step, by scores of the "
                    f"averages: put it into the list of WithAveragedWeights, after what evaluates"
                )
