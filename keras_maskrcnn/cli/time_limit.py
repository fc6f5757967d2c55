"""`--max-hours` of `maskrcnn train`: training stops where it can go on."""

import time
from typing import Any

import keras
import numpy as np

from keras_maskrcnn.training.backup import TrainingBackup
from keras_maskrcnn.utils.keras_internals import strategy_of
from keras_maskrcnn.utils.replicas import from_chief


class TimeIsOver(Exception):  # noqa: N818, since nothing has gone wrong
    """Ends `fit` where the backup says that it ends; Keras' own `stop_training` would first end the epoch."""


class TimeLimit(keras.callbacks.Callback):
    """Raises `TimeIsOver` after the first step, or the first end of an epoch, that ends after a time; nothing is lost.

    Of several workers the chief's clock decides for all. It comes last, after the backup.

    Args:
        hours: from `began` on.
        began: a time of `time.monotonic()`.
        backup: of the training.
    """

    def __init__(self, hours: float, began: float, backup: TrainingBackup):
        super().__init__()
        self.hours, self.began, self.backup = hours, began, backup

    def on_train_batch_end(self, batch: int, logs: dict[str, Any] | None = None) -> None:
        """Back up and stop, unless the epoch ends here."""
        if self.backup.is_within_epoch and self._is_over():
            self.backup.write()
            raise TimeIsOver

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Stop, unless training ends here."""
        if epoch + 1 < self.params["epochs"] and not self.model.stop_training and self._is_over():
            raise TimeIsOver

    def _is_over(self) -> bool:
        over = time.monotonic() - self.began >= 3600 * self.hours
        return bool(from_chief(np.array(int(over)), strategy_of(self.model)))
