"""A backup of a training run that resumes exactly, which Keras' BackupAndRestore does not."""

import json
import os
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import h5py
import keras
import numpy as np
import tensorflow as tf
from keras import ops

from keras_maskrcnn.data.pipeline.dataset import check_is_for_training
from keras_maskrcnn.training.epochs import check_epochs_are_whole
from keras_maskrcnn.training.memory import CallbackMemory
from keras_maskrcnn.utils.counted import counted
from keras_maskrcnn.utils.files import written_whole
from keras_maskrcnn.utils.finite import not_finite
from keras_maskrcnn.utils.keras_internals import set_first_epoch, strategy_of, weights_in_memory
from keras_maskrcnn.utils.replicas import from_chief, is_chief


class _EndOfEpoch:
    """A true value of `model.stop_training` that tells this callback's stop from another's."""


class TrainingBackup(keras.callbacks.Callback):
    """Resumes an interrupted `fit` exactly: same data, same randomness, same losses as without the interruption.

    Weights, optimizer, logged means, epoch and step are written to one file, whole or not at all: an interruption
    while writing leaves the former backup. (Keras' BackupAndRestore forgets the step within the epoch and overwrites
    its files in place.)

    Args:
        path: the backup file, ending in ".weights.h5"; read if it exists when training begins.
        dataset: the training dataset of `make_dataset`, which resumes at the same step.
        save_freq: "epoch", or a number of steps (at least 1) between backups; every end of an epoch is backed up too.
        delete_checkpoint: whether to remove the file after training has ended normally.
        remember: callbacks whose own attributes are part of the backup, such as Keras' EarlyStopping, ModelCheckpoint
            and ReduceLROnPlateau, or one of yours that keeps numbers, strings, arrays, and lists or dicts of these. The
            backup must come after them in `fit`'s list.

    Weights with NaN or Inf are never written: the file keeps those from before. Under a strategy the chief writes, and
    all processes read: the file must be where all see it. It may go on with another number of replicas, of which there
    is a warning.

    Raises:
        ValueError: the path has another ending, `save_freq` is below 1, the dataset was not made by `make_dataset`, or
            a callback to remember keeps weights itself (`restore_best_weights`) or something else that a backup cannot
            hold, which the message names; when training begins, the file is no backup of such a run, is of another
            model, optimizer or length of epochs, remembers another number of callbacks, or is not the one that the
            chief has; or `fit` was given `steps_per_epoch`.

    Example:
        ```python
        import numpy as np

        import keras_maskrcnn as km

        config = km.Config(
            class_names=("square",), depth=18, norm="group_norm", frozen_stages=0, mask_head="none", min_size=64,
            fpn_channels=32, box_head_channels=32,
        )
        image = np.zeros((64, 64, 3), "uint8")
        image[16:40, 16:40] = 255
        records = [km.make_record(image, boxes=[[16, 16, 40, 40]], class_ids=[1], image_id=1)]
        dataset = km.make_dataset(records, config, training=True)
        model = km.MaskRCNN(config)
        model.compile(optimizer=km.sgd(1e-4), run_eagerly=True)  # for one step a graph is not worth its making
        for epochs in (1, 2):  # the second fit goes on where the first one ended
            backup = km.TrainingBackup("run/backup.weights.h5", dataset, delete_checkpoint=epochs == 2)
            model.fit(dataset, epochs=epochs, verbose=0, callbacks=[backup])
        ```
    """

    def __init__(
        self,
        path: str | os.PathLike,
        dataset: tf.data.Dataset,
        save_freq: str | int = "epoch",
        delete_checkpoint: bool = True,
        remember: Sequence[keras.callbacks.Callback] = (),
    ):
        super().__init__()
        self.path, self.save_freq, self.delete_checkpoint = Path(path), save_freq, delete_checkpoint
        if not self.path.name.endswith(".weights.h5"):
            raise ValueError(f'The backup file must end in ".weights.h5"; got {path}')
        if save_freq != "epoch" and (not isinstance(save_freq, int) or save_freq < 1):
            raise ValueError(f'save_freq must be "epoch" or a number of steps, at least 1; got {save_freq!r}')
        if any(getattr(callback, "restore_best_weights", False) for callback in remember):
            raise ValueError(
                "A backup holds no best weights: let a ModelCheckpoint(save_best_only=True) keep them instead of "
                "EarlyStopping(restore_best_weights=True)"
            )
        check_is_for_training(dataset, "TrainingBackup")
        self.remember = [CallbackMemory(callback) for callback in remember]
        self.clock, self.steps = dataset.clock, int(dataset.cardinality())
        self._resumed: tuple[int, int, list[Any], list[dict[str, Any]]] | None = None
        self._epoch = self._first_step = self._step = self._written = 0

    def on_train_begin(self, logs: dict | None = None) -> None:
        """Restore the model, and let `fit` begin at the epoch that was interrupted."""
        check_epochs_are_whole(self.params, self.steps, "TrainingBackup")
        self._check_is_the_chiefs()
        if not self.path.exists():
            return
        with h5py.File(self.path) as file:
            if "epoch" not in file.attrs:
                raise ValueError(f"{self.path} is no backup of a training run, but weights alone")
            epoch, step = int(file.attrs["epoch"]), int(file.attrs["step"])
            means = [file[f"means/{i}"][()] for i in range(len(file["means"]))]
            remembered = json.loads(file.attrs.get("remembered", "[]"))
            steps = int(file.attrs.get("steps", self.steps))
            replicas = int(file.attrs.get("replicas", self._replicas))
        if steps != self.steps:
            raise ValueError(
                f"{self.path} is of a run with {steps} steps per epoch; this dataset has {self.steps}. Another "
                "batch_size or other records cannot go on where it stopped: start a new run from its weights"
            )
        if len(remembered) != len(self.remember):
            raise ValueError(
                f"{self.path} is of a run whose backup remembered {len(remembered)} callbacks; `remember` has "
                f"{len(self.remember)}. Pass as many, delete the file, or choose another one"
            )
        if replicas != self._replicas:
            self._warn_of_replicas(replicas)
        if not self.model.optimizer.built:
            self.model.optimizer.build(self.model.trainable_variables)
        with warnings.catch_warnings():
            # Keras would leave another optimizer as it was made, with a warning.
            warnings.filterwarnings("error", "Skipping variable loading for optimizer")
            try:
                self.model.load_weights(self.path)
            except (UserWarning, ValueError) as error:
                raise ValueError(f"{self.path} is of another model or optimizer: {error}") from error
        if step == self.steps:
            epoch, step = epoch + 1, 0
        self._resumed = (epoch, step, means, remembered)
        set_first_epoch(self.model, epoch)
        if epoch >= self.params["epochs"]:
            warnings.warn(
                f"{self.path} was written after epoch {epoch} of {self.params['epochs']}: nothing is left to train",
                stacklevel=2,
            )

    def on_epoch_begin(self, epoch: int, logs: dict | None = None) -> None:
        """Set the dataset, and in the resumed epoch the logged means, to where training is."""
        self._epoch, self._first_step = epoch, 0
        if self._resumed is not None and self._resumed[0] == epoch:
            _, self._first_step, means, remembered = self._resumed
            for memory, state in zip(self.remember, remembered, strict=True):
                memory.write(state)
            if self._first_step:
                for variable, value in zip(_mean_variables(self.model), means, strict=True):
                    variable.assign(value)
        self._resumed = None
        self._written = self._step = self._first_step
        self.clock.epoch.assign(epoch)
        self.clock.first_step.assign(self._first_step)

    def on_train_batch_end(self, batch: int, logs: dict | None = None) -> None:
        """Back up when it is time; end a resumed epoch where it would have ended."""
        self._step = self._first_step + batch + 1
        if self._step >= self.steps and self._first_step:
            self.model.stop_training = self.model.stop_training or _EndOfEpoch()
        if self.save_freq != "epoch" and self._written + int(self.save_freq) <= self._step < self.steps:
            self.write()

    @property
    def is_within_epoch(self) -> bool:
        """Whether steps of the epoch have been made and others are left."""
        return 0 < self._step < self.steps

    def write(self) -> None:
        """Back up now; of several workers all must call it.

        A callback that comes after this one may call it in its `on_train_batch_end` before it raises what ends the
        training: the next `fit` then goes on at the next step. At the last step of an epoch, what other callbacks do at
        its end would be left out.
        """
        self._write(self._epoch, self._step)
        self._written = self._step

    def on_epoch_end(self, epoch: int, logs: dict | None = None) -> None:
        """Back up, and let `fit` go on after an epoch that was resumed in its middle."""
        if isinstance(self.model.stop_training, _EndOfEpoch):
            self.model.stop_training = False
        self._write(epoch, self.steps)

    def on_train_end(self, logs: dict | None = None) -> None:
        """Remove the backup if asked to; the next `fit` begins at its `initial_epoch` again."""
        set_first_epoch(self.model, None)
        if self._writes and self.delete_checkpoint and not not_finite(self.model.weights):
            self.path.unlink(missing_ok=True)

    @property
    def _replicas(self) -> int:
        strategy = strategy_of(self.model)
        return 1 if strategy is None else strategy.num_replicas_in_sync

    def _check_is_the_chiefs(self) -> None:
        """Refuse to begin elsewhere than the chief does; all processes must call it."""
        place = [-1, -1]
        if self.path.exists():
            with h5py.File(self.path) as file:
                place = [int(file.attrs.get("epoch", -1)), int(file.attrs.get("step", -1))]
        chiefs = from_chief(np.array(place), strategy_of(self.model)).tolist()
        if place != chiefs:
            raise ValueError(
                f"{self.path}: {_place_said(place)} here, and {_place_said(chiefs)} where the chief is. All processes "
                "must see the same folder"
            )

    def _warn_of_replicas(self, former: int) -> None:
        """Say what another number of replicas changes."""
        warnings.warn(
            f"{self.path} is of a run on {counted(former, 'replica')}; this one has {self._replicas}. Batches have the "
            "same images and the learning rate is the same; results differ by rounding, and by what each replica "
            "computes of its own images, which are Config's norm='batch_norm' and losses_over='replica'",
            stacklevel=3,
        )

    @property
    def _writes(self) -> bool:
        """Whether this process writes; of several workers all read what is to be written."""
        return is_chief(strategy_of(self.model))

    def _write(self, epoch: int, step: int) -> None:
        if not_finite(self.model.weights):
            warnings.warn(
                f"The weights hold NaN or Inf after step {step} of epoch {epoch + 1}: {self.path} keeps older ones",
                stacklevel=2,
            )
            return
        if self._writes:
            self.path.parent.mkdir(parents=True, exist_ok=True)
        content = weights_in_memory(self.model)
        with h5py.File(content, "a") as file:
            file.attrs["epoch"], file.attrs["step"], file.attrs["steps"] = epoch, step, self.steps
            file.attrs["replicas"] = self._replicas
            file.attrs["remembered"] = json.dumps([memory.read() for memory in self.remember])
            for i, variable in enumerate(_mean_variables(self.model)):
                file[f"means/{i}"] = ops.convert_to_numpy(variable)
        if self._writes:
            with written_whole(self.path) as part:
                part.write_bytes(content.getbuffer())


def _place_said(place: list[int]) -> str:
    return "there is no backup" if place == [-1, -1] else f"it is of epoch {place[0] + 1}, step {place[1]}"


def _mean_variables(model: keras.Model) -> list[keras.Variable]:
    return [variable for metric in model.metrics for variable in metric.variables]
