"""A loss that is no number ends training, and is told with its pictures."""

import math
from typing import Any

import keras
import tensorflow as tf

from keras_maskrcnn.data.pipeline.dataset import check_is_for_training
from keras_maskrcnn.training.epochs import check_epochs_are_whole


class LossError(ValueError):
    """A loss that is no finite number."""


class StopOnNaN(keras.callbacks.Callback):
    """Ends `fit` with an error at the first loss that is NaN or infinite, and names the pictures of its batch.

    Put it before callbacks that write files: the models on disk are then those from before. (`TrainingBackup` never
    writes weights that are not finite, wherever it stands.)

    Args:
        dataset: the training dataset of `make_dataset`.

    Raises:
        ValueError: the dataset was not made by `make_dataset`, or `fit` was given `steps_per_epoch`.
        LossError: in training, a loss is not finite.
    """

    def __init__(self, dataset: tf.data.Dataset):
        super().__init__()
        check_is_for_training(dataset, "StopOnNaN")
        self.dataset: Any = dataset
        self._next = 0

    def on_train_begin(self, logs: dict[str, Any] | None = None) -> None:
        """Refuse epochs whose pictures could not be named."""
        check_epochs_are_whole(self.params, int(self.dataset.cardinality()), "StopOnNaN")

    def on_epoch_begin(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Begin to count."""
        self._next = 0

    def on_train_batch_end(self, batch: int, logs: dict[str, Any] | None = None) -> None:
        """Look at the losses, which are means over the epoch: one that is not finite stays so."""
        wrong = {name: float(value) for name, value in (logs or {}).items()}
        wrong = {name: value for name, value in wrong.items() if not math.isfinite(value)}
        if wrong:
            raise LossError(self._message(wrong, self._next, batch))
        self._next = batch + 1

    def _message(self, losses: dict[str, float], first: int, last: int) -> str:
        epoch, skipped = (int(number) for number in self.dataset.clock.begun)
        steps = range(skipped + first, skipped + last + 1)
        names = ", ".join(name for step in steps for name in self.dataset.names_of(epoch, step))
        before = ", ".join(self.dataset.names_of(epoch, steps[0] - 1)) if steps[0] else ""
        suspects = f"; those of the step before, whose update may have spoiled the weights: {before}"
        value = next(iter(losses.values()))
        return (
            f"{', '.join(losses)} became {value} at step {steps[-1] + 1} of epoch {epoch + 1}. Its pictures: {names}"
            f"{suspects if before else ''}. Likely causes: a learning rate that is too high (lower it, warm up for "
            "longer, or clip gradients, as with global_clipnorm=10.0), or wrong boxes or pixels in these pictures"
        )
