"""What plain `model.fit` lacks: the optimizer of the published recipes, and a backup that resumes exactly."""

import os
import warnings
from pathlib import Path
from typing import Any

import h5py
import keras
import tensorflow as tf
from keras import ops


@keras.saving.register_keras_serializable("keras_maskrcnn")
class WarmUp(keras.optimizers.schedules.LearningRateSchedule):
    """A learning rate that rises linearly to `learning_rate` and is divided by ten at each of `drops`.

    The schedule of the paper and of every published recipe ("1x", "3x").

    Args:
        learning_rate: reached after `steps` training steps.
        steps: length of the warm-up; 0 for none.
        drops: training steps at which the rate is divided by ten.
        start: share of `learning_rate` at step 0 (Detectron's 1 / 1000).
    """

    def __init__(self, learning_rate: float, steps: int, drops: tuple[int, ...] = (), start: float = 1e-3):
        self.learning_rate, self.steps, self.drops, self.start = learning_rate, steps, tuple(drops), start

    def __call__(self, step: keras.KerasTensor) -> keras.KerasTensor:
        step = ops.cast(step, "float32")
        progress = ops.minimum(step / max(self.steps, 1), 1.0) if self.steps else 1.0
        passed = sum(ops.cast(step >= drop, "float32") for drop in self.drops)
        return self.learning_rate * (self.start + (1 - self.start) * progress) * ops.power(0.1, passed)

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments."""
        return {
            "learning_rate": self.learning_rate,
            "steps": self.steps,
            "drops": self.drops,
            "start": self.start,
        }


@keras.saving.register_keras_serializable("keras_maskrcnn")
class SGD(keras.optimizers.SGD):
    """Stochastic gradient descent whose weight decay is coupled, as in Detectron and torchvision.

    The decay joins the gradient, and so the momentum; `keras.optimizers.SGD(weight_decay=...)` decays weights apart
    from it, which at momentum 0.9 is about ten times weaker.

    Args:
        learning_rate: a number or a schedule.
        coupled_weight_decay: times the weight, added to its gradient.
    """

    def __init__(self, learning_rate: Any = 0.01, coupled_weight_decay: float = 0.0, **kwargs: Any):
        super().__init__(learning_rate, **kwargs)
        self.coupled_weight_decay = coupled_weight_decay

    def update_step(self, gradient: Any, variable: Any, learning_rate: Any) -> None:
        """Apply one gradient to one variable."""
        # All of the update waits for its gradient. TensorFlow would otherwise multiply every weight and momentum at the
        # beginning of the step, and hold both, as large as the model, until the end.
        with tf.control_dependencies([gradient]):
            if self._use_weight_decay(variable):  # see exclude_from_weight_decay
                gradient = gradient + self.coupled_weight_decay * ops.cast(variable, gradient.dtype)
            super().update_step(gradient, variable, learning_rate)

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments."""
        return {**super().get_config(), "coupled_weight_decay": self.coupled_weight_decay}


def sgd(
    learning_rate: float | keras.optimizers.schedules.LearningRateSchedule = 0.02,
    momentum: float = 0.9,
    weight_decay: float = 1e-4,
    **kwargs: Any,
) -> SGD:
    """Return the published recipes' optimizer: momentum 0.9 and coupled weight decay 1e-4.

    0.02 is the learning rate for 16 images per step; scale it with the batch. Further arguments go to
    `keras.optimizers.SGD` (`clipnorm`, `use_ema`, ...).
    """
    return SGD(learning_rate, weight_decay, momentum=momentum, **kwargs)


class _EndOfEpoch:
    """Stands for True in `model.stop_training`, and tells our own stop from another callback's."""


class BackupAndRestore(keras.callbacks.BackupAndRestore):
    """Resumes an interrupted `fit` exactly: same data, same randomness, same losses as without the interruption.

    Weights, optimizer, logged means, epoch and step are written to one file, under another name first and then
    renamed, so that an interruption while writing leaves the former backup. (The stock callback forgets the step
    within the epoch and writes its files in place.)

    Args:
        path: the backup file, ending in ".weights.h5"; read if it exists when training begins.
        dataset: the training dataset of `make_dataset`, which is set to the same place.
        save_freq: "epoch", or a number of steps between backups; every end of an epoch is backed up too.
        delete_checkpoint: whether to remove the file after training has ended normally.

    What other callbacks remember, like the best value of EarlyStopping, is not part of it.

    Raises:
        ValueError: the path has another ending or the file is no backup, or the dataset was not made by
            `make_dataset`.
    """

    def __init__(
        self,
        path: str | os.PathLike,
        dataset: tf.data.Dataset,
        save_freq: str | int = "epoch",
        delete_checkpoint: bool = True,
    ):
        super().__init__(str(path), save_freq=save_freq, delete_checkpoint=delete_checkpoint)
        self.path = Path(path)
        if not self.path.name.endswith(".weights.h5"):
            raise ValueError(f'The backup file must end in ".weights.h5"; got {path}')
        if not hasattr(dataset, "clock"):
            raise ValueError(
                "BackupAndRestore needs the dataset that make_dataset(..., training=True) returned"
            )
        self.clock, self.steps = dataset.clock, int(dataset.cardinality())
        self._resumed: tuple[int, int, list[Any]] | None = None
        self._first_step = 0

    def on_train_begin(self, logs: dict | None = None) -> None:
        """Restore the model, and begin `fit` at the epoch that was interrupted."""
        if not self.path.exists():
            return
        with h5py.File(self.path) as file:
            if "epoch" not in file.attrs:
                raise ValueError(f"{self.path} is no backup of a training run, but weights alone")
            epoch, step = int(file.attrs["epoch"]), int(file.attrs["step"])
            means = [file[f"means/{i}"][()] for i in range(len(file["means"]))]
        if not self.model.optimizer.built:
            self.model.optimizer.build(self.model.trainable_variables)
        self.model.load_weights(self.path)
        if step == self.steps:
            epoch, step = epoch + 1, 0
        self._resumed = (epoch, step, means)
        self.model._initial_epoch = epoch
        if epoch >= self.params["epochs"]:
            warnings.warn(
                f"{self.path} was written after epoch {epoch} of {self.params['epochs']}: nothing is left to train",
                stacklevel=2,
            )

    def on_epoch_begin(self, epoch: int, logs: dict | None = None) -> None:
        """Set the dataset, and in the resumed epoch the logged means, to where training is."""
        self._current_epoch, self._first_step = epoch, 0
        if self._resumed is not None and self._resumed[0] == epoch:
            _, self._first_step, means = self._resumed
            if self._first_step:
                for variable, value in zip(_mean_variables(self.model), means, strict=True):
                    variable.assign(value)
        self._resumed = None
        self.clock.epoch.assign(epoch)
        self.clock.first_step.assign(self._first_step)

    def on_train_batch_end(self, batch: int, logs: dict | None = None) -> None:
        """Back up when it is time; end a resumed epoch where it would have ended."""
        step = self._first_step + batch + 1
        if step >= self.steps and self._first_step:
            self.model.stop_training = self.model.stop_training or _EndOfEpoch()
        if self.save_freq != "epoch" and step < self.steps and self._should_save_on_batch(batch):
            self._write(self._current_epoch, step)

    def on_epoch_end(self, epoch: int, logs: dict | None = None) -> None:
        """Back up, and let `fit` go on after an epoch that was resumed in its middle."""
        if isinstance(self.model.stop_training, _EndOfEpoch):
            self.model.stop_training = False
        self._last_batch_seen = 0
        self._write(epoch, self.steps)

    def on_train_end(self, logs: dict | None = None) -> None:
        """Remove the backup if asked to; the next `fit` begins where it is told to."""
        self.model._initial_epoch = None
        if self.delete_checkpoint:
            self.path.unlink(missing_ok=True)

    def _write(self, epoch: int, step: int) -> None:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        unfinished = self.path.with_name(f".{os.getpid()}.{self.path.name}")
        self.model.save_weights(unfinished, overwrite=True)
        with h5py.File(unfinished, "a") as file:
            file.attrs["epoch"], file.attrs["step"] = epoch, step
            for i, variable in enumerate(_mean_variables(self.model)):
                file[f"means/{i}"] = ops.convert_to_numpy(variable)
        with open(unfinished, "rb") as file:
            os.fsync(file.fileno())
        os.replace(unfinished, self.path)


def _mean_variables(model: keras.Model) -> list[keras.Variable]:
    return [variable for metric in model.metrics for variable in metric.variables]
