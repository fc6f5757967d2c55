"""The optimizer and the learning rate schedule of a run, from its settings."""

from typing import Any

import keras

from keras_maskrcnn.cli.run_folder import IMAGES_PER_REPLICA
from keras_maskrcnn.training.optimizers import adamw, sgd
from keras_maskrcnn.training.schedules import WarmUp
from keras_maskrcnn.utils.counted import counted

RECIPE_BATCH, RECIPE_WARMUP = 16, 1000
OPTIMIZERS: dict[str, tuple[Any, float, float]] = {"sgd": (sgd, 0.02, 1e-4), "adamw": (adamw, 1e-4, 0.05)}
"""With the learning rate of a batch of 16 and the weight decay of the published recipes."""
START = 1e-3
"""Fraction of the learning rate at the first step of a warm-up, as in Detectron."""


def batch_size(settings: dict[str, Any], replicas: int) -> int:
    """Return the images of a step, on all replicas together.

    Raises:
        ValueError: they are fewer than the replicas.
    """
    size = settings["batch_size"] or IMAGES_PER_REPLICA * replicas
    if size < replicas:
        raise ValueError(
            f"--batch-size {size} counts the images of all replicas together, of which there are {replicas}: "
            "some would never have one"
        )
    return size


def completed(settings: dict[str, Any], steps: int) -> dict[str, Any]:
    """Fill in the learning rate, the weight decay and the warm-up that were not given; an epoch has `steps` batches."""
    filled = dict(settings)
    _, rate, decay = OPTIMIZERS[filled["optimizer"]]
    if filled["learning_rate"] is None:
        filled["learning_rate"] = rate * images_per_update(settings) / RECIPE_BATCH
    if filled["weight_decay"] is None:
        filled["weight_decay"] = decay
    if filled["warmup_steps"] is None:
        filled["warmup_steps"] = min(RECIPE_WARMUP * filled["accumulate"], steps * filled["epochs"] // 10)
    return filled


def images_per_update(settings: dict[str, Any]) -> int:
    """Return the number of images behind one update of the weights."""
    return settings["batch_size"] * settings["accumulate"]


def make_schedule(settings: dict[str, Any], steps: int) -> keras.optimizers.schedules.LearningRateSchedule:
    """Return the learning rate of each batch."""
    rate, warmup = settings["learning_rate"], settings["warmup_steps"]
    if settings["schedule"] == "step":
        return WarmUp(rate, warmup, tuple(epoch * steps for epoch in settings["drop_epochs"]), START)
    left = max(1, settings["epochs"] * steps - warmup)
    if not warmup:
        return keras.optimizers.schedules.CosineDecay(rate, left)
    return keras.optimizers.schedules.CosineDecay(START * rate, left, warmup_target=rate, warmup_steps=warmup)


def make_optimizer(
    settings: dict[str, Any], schedule: keras.optimizers.schedules.LearningRateSchedule
) -> keras.optimizers.Optimizer:
    """Return the optimizer with the options that the settings ask for."""
    options: dict[str, Any] = {}
    if settings["accumulate"] > 1:
        options["gradient_accumulation_steps"] = settings["accumulate"]
    if settings["clip_norm"] is not None:
        options["global_clipnorm"] = settings["clip_norm"]
    if settings["ema"] is not None:
        options.update(use_ema=True, ema_momentum=settings["ema"])
    make, _, _ = OPTIMIZERS[settings["optimizer"]]
    return make(schedule, weight_decay=settings["weight_decay"], **options)


def described(settings: dict[str, Any], steps: int) -> str:
    """Return the line that says how the model is going to be trained."""
    warmup_steps = settings["warmup_steps"]
    accumulated = (
        f", {images_per_update(settings)} per update of the weights" if settings["accumulate"] > 1 else ""
    )
    warmup = f" after a warm-up of {counted(warmup_steps, 'step')}" if warmup_steps else ""
    falls = ", then along a cosine to 0" if settings["schedule"] == "cosine" else ""
    if settings["drop_epochs"]:
        falls = f", divided by ten after epoch {' and '.join(map(str, settings['drop_epochs']))}"
    return (
        f"Training to epoch {settings['epochs']} of {counted(steps, 'step')} each, "
        f"{counted(settings['batch_size'], 'image')} per step"
        f"{accumulated}; {settings['optimizer']}, learning rate {settings['learning_rate']:g}{warmup}{falls}"
    )
