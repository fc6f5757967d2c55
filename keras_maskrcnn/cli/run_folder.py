"""The folder of one training run: its files, and the settings that a resumed run must share."""

import csv
import dataclasses
import json
import math
import os
import shlex
from pathlib import Path
from typing import Any

from keras_maskrcnn.config.config import Config
from keras_maskrcnn.utils.counted import counted
from keras_maskrcnn.utils.files import write_text

IMAGES_PER_REPLICA = 2
"""Of a step, as in Detectron's recipes."""
AUTO = "auto"
"""The batch size that is chosen when training begins; settings.json then has the number."""
DEFAULTS: dict[str, Any] = {
    "epochs": 12,
    "seed": 0,
    "drop_epochs": [],
    "eval_every": 1,
    "backup_every": 200,
    "optimizer": "sgd",
    "schedule": "step",
    "accumulate": 1,
    "tensorboard": False,
}
SETTINGS = (
    *DEFAULTS, "batch_size", "annotations", "images", "val_annotations", "val_images", "format", "class_key",
    "default_class", "mask_suffix", "completed_by", "weights", "anchors", "max_detections",
    "learning_rate", "warmup_steps", "weight_decay", "clip_norm", "ema", "patience", "repeat_threshold",
)  # fmt: skip
PATHS = ("annotations", "images", "val_annotations", "val_images", "weights")
MAY_CHANGE = ("epochs", "eval_every", "backup_every", "patience", "tensorboard")
"""Settings that a resumed run may change and still continue exactly."""
MONITORS = ("val_keypoint_AP", "val_mask_AP", "val_box_AP")
"""The metric that says which epoch was best: the first of these that the log has."""


@dataclasses.dataclass(frozen=True)
class RunFolder:
    """Where the files of a run are."""

    path: Path

    @property
    def config(self) -> Path:
        """The Config, with the class names."""
        return self.path / "config.json"

    @property
    def settings(self) -> Path:
        """What else the run was started with."""
        return self.path / "settings.json"

    @property
    def model(self) -> Path:
        """The model after the last epoch."""
        return self.path / "model.keras"

    @property
    def best(self) -> Path:
        """The model after the epoch with the best AP."""
        return self.path / "best.keras"

    @property
    def log(self) -> Path:
        """One row of losses and APs per epoch."""
        return self.path / "log.csv"

    @property
    def curves(self) -> Path:
        """The log, drawn."""
        return self.path / "curves.png"

    @property
    def events(self) -> Path:
        """What TensorBoard shows."""
        return self.path / "tensorboard"

    @property
    def backup(self) -> Path:
        """Where an interrupted run goes on."""
        return self.path / "backup.weights.h5"

    @property
    def resume_command(self) -> str:
        """The line that continues the run."""
        return f"maskrcnn train --output {shlex.quote(str(self.path))} --resume"

    def check(self, resume: bool) -> None:
        """Raise a ValueError unless the folder is free for a new run, or holds one to resume."""
        held = [file.name for file in (self.backup, self.model, self.best, self.log) if file.exists()]
        if not resume and held:
            raise ValueError(
                f"{self.path}: a run is there already ({held[0]}); continue it with --resume, or choose another "
                "--output"
            )
        if resume and not (self.config.exists() and self.settings.exists()):
            raise ValueError(
                f"{self.path}: there is no run to resume (config.json or settings.json is missing)"
            )
        # After one epoch the backup may not have been written yet: that epoch is trained again.
        if resume and self.epochs_done() > 1 and not self.backup.exists():
            raise ValueError(f"{self.path}: the run cannot be resumed without its backup.weights.h5")

    def write(self, config: Config, settings: dict[str, Any]) -> None:
        """Write down what the run is."""
        self.path.mkdir(parents=True, exist_ok=True)
        write_text(self.config, config.to_json())
        write_text(self.settings, json.dumps(settings, indent=1, default=str))

    def rows(self) -> list[dict[str, str]]:
        """Return the log's rows, one per epoch that was finished."""
        if not self.log.exists():
            return []
        with open(self.log, newline="") as file:
            return list(csv.DictReader(file))

    def epochs_done(self) -> int:
        """Return the number of epochs that were finished."""
        return max([0, *(int(row["epoch"]) for row in self.rows())])

    def best_epoch(self) -> tuple[str, float, int] | None:
        """Return the metric that ranks the epochs, its best value and the first epoch that had it, if any has one."""
        rows = self.rows()
        for monitor in MONITORS:
            known = [(float(row[monitor]), -int(row["epoch"])) for row in rows if row.get(monitor)]
            known = [pair for pair in known if not math.isnan(pair[0])]
            if known:
                value, epoch = max(known)
                return monitor, value, -epoch
        return None

    def patience_is_over(self, patience: int | None) -> str | None:
        """Say why the run stops early, if its metric has not risen for `patience` epochs."""
        best = self.best_epoch()
        if patience is None or best is None or self.epochs_done() - best[2] < patience:
            return None
        monitor, value, epoch = best
        return f"{monitor} has not risen above epoch {epoch}'s {value:.3f} for {counted(patience, 'epoch')}"


def merged_settings(given: dict[str, Any], folder: RunFolder, resume: bool) -> dict[str, Any]:
    """Complete the settings given on the command line, by the resumed run's or by the defaults.

    Raises:
        ValueError: a setting is missing, or is not the resumed run's.
    """
    given = {name: given[name] for name in SETTINGS if given[name] is not None}
    if "drop_epochs" in given:
        given["drop_epochs"] = sorted(set(given["drop_epochs"]))
    files = [
        name for name in PATHS if isinstance(given.get(name), Path)
    ]  # weights may be a published model's name
    given.update({name: os.path.abspath(given[name]) for name in files})
    if resume:
        stored = {**dict.fromkeys(SETTINGS), **DEFAULTS, **json.loads(folder.settings.read_text())}
        if given.get("batch_size") == AUTO and stored["batch_size"] is not None:
            given["batch_size"] = stored["batch_size"]  # what was chosen
        for name, value in given.items():
            if name not in MAY_CHANGE and value != stored[name]:
                raise ValueError(
                    f"{folder.path}: the run was started with {_option(name)} {stored[name]}, and continues exactly "
                    f"only so; got {value}"
                )
        if stored["schedule"] == "cosine" and given.get("epochs", stored["epochs"]) != stored["epochs"]:
            raise ValueError(
                f"{folder.path}: the learning rate of this run falls along a cosine to epoch {stored['epochs']}, which "
                f"--epochs {given['epochs']} would change; train on from its model: --weights {folder.model}"
            )
        return _checked({**stored, **given})
    if "annotations" not in given:
        raise ValueError("--annotations must be given, unless a run is continued with --resume")
    if "val_images" in given and "val_annotations" not in given:
        raise ValueError("--val-images needs --val-annotations")
    return _checked({**dict.fromkeys(SETTINGS), **DEFAULTS, "val_images": given.get("images"), **given})


def _checked(settings: dict[str, Any]) -> dict[str, Any]:
    """Refuse settings that do not go together."""
    if settings["patience"] is not None and settings["val_annotations"] is None:
        raise ValueError(
            "--patience needs --val-annotations: it waits for the AP on validation images to rise"
        )
    if settings["patience"] is not None and settings["patience"] < settings["eval_every"]:
        raise ValueError(
            f"--patience {settings['patience']} is over before the next validation, "
            f"{counted(settings['eval_every'], 'epoch')} later (--eval-every)"
        )
    if settings["schedule"] == "cosine" and settings["drop_epochs"]:
        raise ValueError("--drop-epochs is of --schedule step; a cosine falls by itself")
    return settings


def resumed_config(folder: RunFolder, fields: dict[str, Any]) -> Config:
    """Return the Config of a run.

    Raises:
        ValueError: fields given on the command line are not the run's.
    """
    config = Config.from_json(folder.config.read_text())
    wanted = dataclasses.replace(config, **fields)
    for name in fields:
        if getattr(wanted, name) != getattr(config, name):
            raise ValueError(
                f"{folder.path}: the run was started with {name}={json.dumps(getattr(config, name))}; it cannot be "
                "resumed with another"
            )
    return config


def _option(name: str) -> str:
    return "--" + name.replace("_", "-")
