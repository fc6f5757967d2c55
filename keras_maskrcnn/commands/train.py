"""`maskrcnn train`: from annotated images to a run folder with models, log and backup."""

import dataclasses
import math
import warnings
from collections.abc import Sequence
from typing import Any

import keras
import tensorflow as tf

from keras_maskrcnn.commands.check import refuse_errors
from keras_maskrcnn.commands.interrupt import interruptible
from keras_maskrcnn.commands.model_file import open_model
from keras_maskrcnn.commands.progress import EpochLog, StepBar, in_terminal
from keras_maskrcnn.commands.run_folder import RunFolder, resumed_config
from keras_maskrcnn.config import Config
from keras_maskrcnn.data.dataset_files import load_dataset
from keras_maskrcnn.data.pipeline import make_dataset
from keras_maskrcnn.data.records import Record
from keras_maskrcnn.evaluate import CocoEvaluation
from keras_maskrcnn.model import MaskRCNN
from keras_maskrcnn.training.backup import BackupAndRestore
from keras_maskrcnn.training.optimizers import sgd
from keras_maskrcnn.training.schedules import WarmUp
from keras_maskrcnn.weights.transfer import start_from

FROM_SCRATCH = {"norm": "group_norm", "fpn_norm": "group_norm", "head_norm": "group_norm", "frozen_stages": 0}
"""Without weights to start from, frozen statistics and frozen stages would stay random."""
RECIPE_BATCH, RECIPE_RATE, RECIPE_WARMUP = 16, 0.02, 1000


def run(folder: RunFolder, settings: dict[str, Any], fields: dict[str, Any], resume: bool) -> int:
    """Train.

    Args:
        folder: where everything is written.
        settings: `merged_settings` of the command line.
        fields: the Config fields that were given.
        resume: whether to go on where the folder's backup was made.

    Returns:
        The exit code.
    """
    keras.utils.set_random_seed(settings["seed"])
    source = open_model(settings["weights"]) if settings["weights"] and not folder.backup.exists() else None
    config = resumed_config(folder, fields) if resume else _new_config(fields, source)
    names = config.class_names if resume or "class_names" in fields else None
    records, classes = _load(settings, "", config, names)
    config = dataclasses.replace(config, class_names=tuple(classes))
    validation = _load(settings, "val_", config, classes)[0] if settings["val_annotations"] else None
    refuse_errors(records, config, validation)
    dataset = make_dataset(records, config, settings["batch_size"], training=True, seed=settings["seed"])
    settings = _with_schedule(settings, int(dataset.cardinality()))
    schedule = _schedule(settings, int(dataset.cardinality()))
    model = _model(config, source, settings["weights"])
    model.compile(optimizer=sgd(schedule))
    callbacks = [
        StepBar(int(dataset.cardinality())),
        *_validation_callbacks(folder, settings, config, validation),
        keras.callbacks.ModelCheckpoint(folder.model),
        EpochLog(folder, schedule),
        # The backup comes last: what it says is finished has been written.
        BackupAndRestore(folder.backup, dataset, settings["backup_every"], delete_checkpoint=False),
    ]
    folder.write(config, settings)
    return _fit(model, dataset, settings, callbacks, folder)


def _new_config(fields: dict[str, Any], source: MaskRCNN | None) -> Config:
    if source is not None:
        return dataclasses.replace(source.config, **fields)
    chosen = {name: value for name, value in FROM_SCRATCH.items() if name not in fields}
    if chosen:
        listed = ", ".join(f"{name}={value}" for name, value in chosen.items())
        print(f"No --weights, so all is trained from random weights, with {listed}")
    return Config(**{"class_names": ("object",), **chosen, **fields})


def _load(
    settings: dict[str, Any], prefix: str, config: Config, class_names: Sequence[str] | None
) -> tuple[Sequence[Record], list[str]]:
    path = settings[f"{prefix}annotations"]
    masks = config.mask_head != "none"
    records, classes = load_dataset(
        path, settings[f"{prefix}images"], settings["format"], class_names, settings["class_key"], masks
    )
    if masks and not prefix and all(record.masks is None for record in records):
        raise ValueError(f"{path}: no object has a mask; to train on boxes alone, add --set mask_head=none")
    return records, classes


def _with_schedule(settings: dict[str, Any], steps: int) -> dict[str, Any]:
    """Fill in the learning rate and the warm-up that were not given."""
    filled = dict(settings)
    if filled["learning_rate"] is None:
        filled["learning_rate"] = RECIPE_RATE * filled["batch_size"] / RECIPE_BATCH
    if filled["warmup_steps"] is None:
        filled["warmup_steps"] = min(RECIPE_WARMUP, steps * filled["epochs"] // 10)
    return filled


def _schedule(settings: dict[str, Any], steps: int) -> WarmUp:
    drops = tuple(epoch * steps for epoch in settings["drop_epochs"])
    return WarmUp(settings["learning_rate"], settings["warmup_steps"], drops)


def _model(config: Config, source: MaskRCNN | None, weights: str | None) -> MaskRCNN:
    model = MaskRCNN(config)
    if source is not None and weights is not None:
        new = start_from(model, source, weights)
        if new:
            print(f"Classes differ from those of {weights}; new layers: {', '.join(new)}")
    return model


def _validation_callbacks(
    folder: RunFolder, settings: dict[str, Any], config: Config, validation: Sequence[Record] | None
) -> list[keras.callbacks.Callback]:
    if validation is None:
        return []
    monitor = _monitor(config, validation)
    return [
        CocoEvaluation(validation, every=settings["eval_every"], progress=in_terminal()),
        keras.callbacks.ModelCheckpoint(
            folder.best,
            monitor=monitor,
            mode="max",
            save_best_only=True,
            initial_value_threshold=_best(folder, monitor)[0],
        ),
    ]


def _monitor(config: Config, validation: Sequence[Record]) -> str:
    """Name of the figure that says which epoch was best."""
    if config.keypoint_names:
        return "val_keypoint_AP"
    has_masks = all(record.masks is not None for record in validation if len(record.boxes))
    return "val_mask_AP" if config.mask_head != "none" and has_masks else "val_box_AP"


def _best(folder: RunFolder, monitor: str) -> tuple[float | None, int]:
    """Best value so far and its epoch; None if there is none."""
    known = [(float(row[monitor]), -int(row["epoch"])) for row in folder.rows() if row.get(monitor)]
    value, epoch = max((pair for pair in known if not math.isnan(pair[0])), default=(None, 0))
    return value, -epoch


def _fit(
    model: MaskRCNN,
    dataset: tf.data.Dataset,
    settings: dict[str, Any],
    callbacks: list[keras.callbacks.Callback],
    folder: RunFolder,
) -> int:
    epochs, steps = settings["epochs"], int(dataset.cardinality())
    warmup = f" after a warm-up of {settings['warmup_steps']}" if settings["warmup_steps"] else ""
    after = " and ".join(map(str, settings["drop_epochs"]))
    drops = f", divided by ten after epoch {after}" if after else ""
    print(
        f"Training to epoch {epochs} of {steps} steps each, {settings['batch_size']} images per step; learning rate "
        f"{settings['learning_rate']:g}{warmup}{drops}"
    )
    try:
        with interruptible(), warnings.catch_warnings():
            if folder.backup.exists():  # its weights come at the beginning of `fit`
                warnings.filterwarnings("ignore", "The backbone's batch norm is frozen")
            model.fit(dataset, epochs=epochs, callbacks=callbacks, verbose=0)
    except KeyboardInterrupt:
        place = (
            "from its last backup" if folder.backup.exists() else "from the beginning (no backup was made)"
        )
        print(f"\nStopped. This goes on {place}: {folder.resume_command}")
        return 130
    print(f"Done: {folder.model} (last epoch){_best_line(folder)}, {folder.log}")
    return 0


def _best_line(folder: RunFolder) -> str:
    for monitor in ("val_keypoint_AP", "val_mask_AP", "val_box_AP"):
        value, epoch = _best(folder, monitor)
        if value is not None:
            figure = monitor.removeprefix("val_").replace("_", " ")
            return f", {folder.best} (epoch {epoch}, {figure} {value:.3f})"
    return ""
