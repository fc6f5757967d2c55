"""`maskrcnn train`: from annotated images to a run folder with models, log and backup."""

import contextlib
import dataclasses
import io
import logging
import time
import warnings
from collections.abc import Sequence
from typing import Any

import keras
import tensorflow as tf

from keras_maskrcnn.cli import recipe
from keras_maskrcnn.cli.advised import advised_config
from keras_maskrcnn.cli.arguments import format_options
from keras_maskrcnn.cli.auto_batch import auto_batch_size
from keras_maskrcnn.cli.cluster import Cluster, LostWorkerError
from keras_maskrcnn.cli.common import interruptible, open_model
from keras_maskrcnn.cli.progress import EarlyStop, EpochLog, StepBar, in_terminal
from keras_maskrcnn.cli.run_folder import AUTO, RunFolder, resumed_config
from keras_maskrcnn.cli.strategy import described, make_strategy
from keras_maskrcnn.cli.time_limit import TimeIsOver, TimeLimit
from keras_maskrcnn.config.config import Config
from keras_maskrcnn.data.formats.load import load_dataset
from keras_maskrcnn.data.pipeline.dataset import make_dataset
from keras_maskrcnn.data.records import Record
from keras_maskrcnn.data.sampling import repeat_factor_sampling
from keras_maskrcnn.diagnostics.dataset.check import check_dataset
from keras_maskrcnn.diagnostics.dataset.issues import grouped
from keras_maskrcnn.evaluation.evaluate import CocoEvaluation
from keras_maskrcnn.models.mask_rcnn import MaskRCNN
from keras_maskrcnn.training.averages import WithAveragedWeights
from keras_maskrcnn.training.backup import TrainingBackup
from keras_maskrcnn.training.not_a_number import LossError, StopOnNaN
from keras_maskrcnn.training.slow_input import SlowInputAdvice
from keras_maskrcnn.training.tensorboard import TensorBoardImages, TensorBoardScalars
from keras_maskrcnn.utils.replicas import is_chief
from keras_maskrcnn.weights.transfer import start_from

FROM_SCRATCH = {"norm": "group_norm", "fpn_norm": "group_norm", "head_norm": "group_norm", "frozen_stages": 0}
"""Without weights to start from, frozen statistics and frozen stages would stay random."""
FINE_TUNED = "maskrcnn_resnet50_fpn_v2_coco"
"""What to start from on photographs of one's own."""


def run(
    folder: RunFolder,
    settings: dict[str, Any],
    fields: dict[str, Any],
    resume: bool,
    strategy_name: str | None = None,
    cluster: Cluster | None = None,
    max_hours: float | None = None,
) -> int:
    """Train, and return the exit code.

    Args:
        folder: where everything is written.
        settings: `merged_settings` of the command line.
        fields: the Config fields that were given.
        resume: whether to go on where the folder's backup was made.
        strategy_name: "mirrored", "workers" or None.
        cluster: the processes that train together, if there are several.
        max_hours: after which training stops, to be resumed.
    """
    began = time.monotonic()
    strategy = make_strategy(strategy_name, cluster)
    # What the chief writes and says is the same of all; errors and warnings are each process' own.
    silenced: contextlib.AbstractContextManager = contextlib.nullcontext()
    if not is_chief(strategy):
        silenced = contextlib.redirect_stdout(io.StringIO())
        for reports in ("data", "weights"):
            logging.getLogger(f"keras_maskrcnn.{reports}").setLevel(logging.WARNING)
    with silenced:
        if strategy_name is not None or cluster is not None:
            print(described(strategy, cluster))
        return _trained(folder, settings, fields, resume, strategy, cluster, limit=(max_hours, began))


def _trained(
    folder: RunFolder,
    settings: dict[str, Any],
    fields: dict[str, Any],
    resume: bool,
    strategy: tf.distribute.Strategy,
    cluster: Cluster | None,
    limit: tuple[float | None, float],
) -> int:
    keras.utils.set_random_seed(settings["seed"])
    if settings["batch_size"] != AUTO:
        settings = {**settings, "batch_size": recipe.batch_size(settings, strategy.num_replicas_in_sync)}
    source = open_model(settings["weights"]) if settings["weights"] and not folder.backup.exists() else None
    config = resumed_config(folder, fields) if resume else _new_config(fields, source)
    names = config.class_names if resume or "class_names" in fields else None
    records, classes = _load(settings, "", config, names)
    config = dataclasses.replace(config, class_names=tuple(classes))
    if not resume:  # a resumed run's Config holds what was chosen
        config = advised_config(config, records, settings, settings["weights"])
    validation = _load(settings, "val_", config, classes)[0] if settings["val_annotations"] else None
    refuse_errors(records, config, validation)
    if settings["repeat_threshold"] is not None:
        records = _repeated(records, settings)
    if settings["batch_size"] == AUTO:
        settings = {**settings, "batch_size": auto_batch_size(config, records, settings, strategy, cluster)}
    dataset = make_dataset(records, config, settings["batch_size"], training=True, seed=settings["seed"])
    steps = int(dataset.cardinality())
    settings = recipe.completed(settings, steps)
    schedule = recipe.make_schedule(settings, steps)
    with strategy.scope():
        model = _model(config, source, settings["weights"])
        model.compile(optimizer=recipe.make_optimizer(settings, schedule))
    if is_chief(strategy):
        folder.write(config, settings)
    print(recipe.described(settings, steps))
    # The backup comes after all that writes: what it says is finished has been written.
    backup = TrainingBackup(folder.backup, dataset, settings["backup_every"], delete_checkpoint=False)
    max_hours, began = limit
    watching = [
        StepBar(steps),
        StopOnNaN(dataset),
        SlowInputAdvice(dataset),
        *_epoch_ends(folder, settings, config, records, validation),
        *([EpochLog(folder, schedule)] if is_chief(strategy) else []),
        EarlyStop(folder, settings["patience"]),
        *([TensorBoardScalars(folder.events)] if settings["tensorboard"] else []),
        backup,
        *([] if max_hours is None else [TimeLimit(max_hours, began, backup)]),
    ]
    return _fit(model, dataset, settings["epochs"], watching, folder)


def _new_config(fields: dict[str, Any], source: MaskRCNN | None) -> Config:
    if source is not None:
        return dataclasses.replace(source.config, **fields)
    chosen = {name: value for name, value in FROM_SCRATCH.items() if name not in fields}
    listed = ", ".join(f"{name}={value}" for name, value in chosen.items())
    print(
        "No --weights: everything is trained from randomly initialised weights"
        + (f", with {listed}" if chosen else "")
        + f"; for your own photographs start from --weights {FINE_TUNED}"
    )
    return Config(**{"class_names": ("object",), **chosen, **fields})


def _load(
    settings: dict[str, Any], prefix: str, config: Config, class_names: Sequence[str] | None
) -> tuple[Sequence[Record], list[str]]:
    path = settings[f"{prefix}annotations"]
    masks = config.mask_head != "none"
    records, classes = load_dataset(
        path,
        settings[f"{prefix}images"],
        class_names=class_names,
        masks=masks,
        **format_options(settings),
    )
    if masks and not prefix and all(record.masks is None for record in records):
        raise ValueError(f"{path}: no object has a mask; to train on boxes alone, add --set mask_head=none")
    return records, classes


def refuse_errors(
    records: Sequence[Record], config: Config, validation: Sequence[Record] | None = None
) -> None:
    """Print the warnings of a quick check of what is to be trained on.

    Raises:
        ValueError: the check finds errors; the message has the first.
    """
    report = check_dataset(records, config, validation=validation, quick=True)
    for (severity, kind), issues in grouped(report.issues).items():
        if severity == "error":
            more = f" (and {report.count('error') - 1} more errors)" if report.count("error") > 1 else ""
            raise ValueError(f"{issues[0]}{more}; `maskrcnn check` lists all that is wrong with the dataset")
        if severity == "warning":
            more = f" (and {len(issues) - 1} more)" if len(issues) > 1 else ""
            print(f"Warning: {kind}: {issues[0]}{more}")


def _repeated(records: Sequence[Record], settings: dict[str, Any]) -> Sequence[Record]:
    repeated = repeat_factor_sampling(records, settings["repeat_threshold"], settings["seed"])
    print(f"Images of rare classes are repeated: an epoch has {len(repeated)} instead of {len(records)}")
    return repeated


def _model(config: Config, source: MaskRCNN | None, weights: str | None) -> MaskRCNN:
    model = MaskRCNN(config)
    if source is not None and weights is not None:
        new = start_from(model, source, weights)
        if new:
            print(f"Classes differ from those of {weights}; new layers: {', '.join(new)}")
    return model


def _epoch_ends(
    folder: RunFolder,
    settings: dict[str, Any],
    config: Config,
    records: Sequence[Record],
    validation: Sequence[Record] | None,
) -> list[keras.callbacks.Callback]:
    """Return what evaluates and saves the model after an epoch, with averaged weights if it keeps them."""
    callbacks: list[keras.callbacks.Callback] = []
    if validation is not None:
        best = folder.best_epoch()
        callbacks += [
            CocoEvaluation(validation, every=settings["eval_every"], progress=in_terminal()),
            keras.callbacks.ModelCheckpoint(
                folder.best,
                monitor=_monitor(config, validation),
                mode="max",
                save_best_only=True,
                initial_value_threshold=best[1] if best else None,
            ),
        ]
    callbacks.append(keras.callbacks.ModelCheckpoint(folder.model))
    if settings["tensorboard"]:
        shown = records if validation is None else validation
        callbacks.append(TensorBoardImages(folder.events, shown, every=settings["eval_every"]))
    return callbacks if settings["ema"] is None else [WithAveragedWeights(callbacks)]


def _monitor(config: Config, validation: Sequence[Record]) -> str:
    """Name of the metric that says which epoch was best."""
    labelled = (r.keypoints is not None and bool((r.keypoints[..., 2] > 0).any()) for r in validation)
    if config.keypoint_names and any(labelled):
        return "val_keypoint_AP"
    has_masks = all(record.masks is not None for record in validation if len(record.boxes))
    return "val_mask_AP" if config.mask_head != "none" and has_masks else "val_box_AP"


def _fit(
    model: MaskRCNN,
    dataset: tf.data.Dataset,
    epochs: int,
    callbacks: list[keras.callbacks.Callback],
    folder: RunFolder,
) -> int:
    try:
        with interruptible(), warnings.catch_warnings():
            if folder.backup.exists():  # its weights come at the beginning of `fit`
                warnings.filterwarnings("ignore", "The backbone's batch norm is frozen")
            # of epochs between evaluations, which leave the best model as it is
            warnings.filterwarnings("ignore", "Can save best model only with")
            model.fit(dataset, epochs=epochs, callbacks=callbacks, verbose=0)
    except TimeIsOver:
        print(f"Stopped by --max-hours. This goes on where it stopped: {folder.resume_command}")
        return 0
    except KeyboardInterrupt:
        place = (
            "from its last backup" if folder.backup.exists() else "from the beginning (no backup was made)"
        )
        print(f"\nStopped. This goes on {place}: {folder.resume_command}")
        return 130
    except LossError as error:
        error.add_note("In maskrcnn train global_clipnorm=10.0 is --clip-norm 10")
        # A resumed run would come to the same loss.
        if folder.model.exists():
            error.add_note(
                f"{folder.model} is from before, after epoch {folder.epochs_done()}. To go on from it in a new run:\n"
                f"  maskrcnn train --weights {folder.model} --learning-rate ... --output ..."
            )
        raise
    except (tf.errors.UnavailableError, tf.errors.AbortedError, tf.errors.DeadlineExceededError) as error:
        raise LostWorkerError(
            "Another process of this training has ended or cannot be reached. To go on from the last backup, start all "
            f"of them again: {folder.resume_command} and the same --strategy or --cluster"
        ) from error
    except tf.errors.ResourceExhaustedError as error:
        error.add_note("In maskrcnn train these are --batch-size and --accumulate; Config.x is --set x=VALUE")
        raise
    print(f"Done: {folder.model} (last epoch){_best_line(folder)}, {folder.log}, {folder.curves}")
    return 0


def _best_line(folder: RunFolder) -> str:
    best = folder.best_epoch()
    if best is None:
        return ""
    monitor, value, epoch = best
    metric = monitor.removeprefix("val_").replace("_", " ")
    return f", {folder.best} (epoch {epoch}, {metric} {value:.3f})"
