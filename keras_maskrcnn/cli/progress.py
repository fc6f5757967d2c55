"""What a terminal and the log file show of a training."""

import csv
import sys
import time
from typing import Any

import keras
import numpy as np

from keras_maskrcnn.cli.curves import save_curves
from keras_maskrcnn.cli.run_folder import RunFolder
from keras_maskrcnn.training.optimizers import steps_taken
from keras_maskrcnn.utils.files import written_whole
from keras_maskrcnn.utils.keras_internals import strategy_of
from keras_maskrcnn.utils.replicas import from_chief


def in_terminal() -> bool:
    """Tell whether output goes to a terminal, where a progress bar can be redrawn; a log file would fill up."""
    return sys.stdout.isatty()


class StepBar(keras.callbacks.Callback):
    """A bar with the steps of the epoch, the time left and the mean loss.

    Args:
        steps: per epoch.
    """

    def __init__(self, steps: int):
        super().__init__()
        self.steps = steps
        self._first = 0
        self._bar: Any = None

    def on_train_begin(self, logs: dict[str, Any] | None = None) -> None:
        """Explain the silence to come."""
        print("The first step takes longer: the graph is built", flush=True)

    def on_epoch_begin(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Start a bar; that of a resumed epoch starts in the middle."""
        print(f"Epoch {epoch + 1}/{self.params['epochs']}", flush=True)
        self._first = steps_taken(self.model.optimizer) - epoch * self.steps
        if in_terminal():
            self._bar = keras.utils.Progbar(self.steps, stateful_metrics=["loss"])
            self._bar.update(self._first)

    def on_train_batch_end(self, batch: int, logs: dict[str, Any] | None = None) -> None:
        """Advance the bar."""
        if self._bar is not None:
            self._bar.update(self._first + batch + 1, [("loss", float((logs or {})["loss"]))])


class EpochLog(keras.callbacks.Callback):
    """After each epoch, a row in the run's log.csv, its curves, and its losses and APs on the terminal.

    An epoch that is trained again, because its backup was older, replaces its row. The learning rate in a row is
    that of the epoch's last step.

    Args:
        folder: of the run.
        schedule: the learning rate of each step, counted from 0.
    """

    def __init__(self, folder: RunFolder, schedule: keras.optimizers.schedules.LearningRateSchedule):
        super().__init__()
        self.folder, self.schedule = folder, schedule
        self._began = 0.0

    def on_epoch_begin(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Start timing the epoch."""
        self._began = time.monotonic()

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Write and print the epoch's losses and metrics."""
        names = [
            "loss",
            *self.model.network.losses_by_name,
            *(name for name in logs or {} if name.startswith("val_")),
        ]
        values = {name: float((logs or {})[name]) for name in names}
        rate = float(keras.ops.convert_to_numpy(self.schedule(steps_taken(self.model.optimizer) - 1)))
        row: dict[str, Any] = {"epoch": epoch + 1, "seconds": round(time.monotonic() - self._began, 1)}
        row.update({name: f"{value:.6g}" for name, value in {"learning_rate": rate, **values}.items()})
        rows = [*(old for old in self.folder.rows() if int(old["epoch"]) <= epoch), row]
        with written_whole(self.folder.log) as part, open(part, "w", newline="", encoding="utf-8") as file:
            writer = csv.DictWriter(file, fieldnames=list(dict.fromkeys(key for one in rows for key in one)))
            writer.writeheader()
            writer.writerows(rows)
        save_curves(self.folder.rows(), self.folder.curves)
        for line in _lines(values):
            print(line, flush=True)


class EarlyStop(keras.callbacks.Callback):
    """Stops training when the log's AP has not risen for some epochs; it comes after `EpochLog`.

    All it knows is in the log, so that a resumed run has the same patience. Of several workers the chief, which writes
    the log, decides for all.

    Args:
        folder: of the run.
        patience: epochs, or None to never stop early.
    """

    def __init__(self, folder: RunFolder, patience: int | None):
        super().__init__()
        self.folder, self.patience = folder, patience

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Stop if the log says so."""
        reason = self.folder.patience_is_over(self.patience)
        over = from_chief(np.array(int(reason is not None)), strategy_of(self.model))
        if over and epoch + 1 < self.params["epochs"]:
            print(f"Stopped early: {reason}")
            self.model.stop_training = True


def _lines(values: dict[str, float]) -> list[str]:
    losses = [f"{name.removesuffix('_loss')} {values[name]:.4f}" for name in values if name.endswith("_loss")]
    lines = [f"  loss {values['loss']:.4f} = {' + '.join(losses)}"]
    for kind in ("box", "mask", "keypoint"):
        metrics = [
            f"{name} {values[key]:.3f}"
            for name in ("AP", "AP50", "AP75")
            if (key := f"val_{kind}_{name}") in values
        ]
        if metrics:
            lines.append(f"  validation {kind} {', '.join(metrics)}")
    return lines
