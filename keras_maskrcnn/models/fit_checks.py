"""What `MaskRCNN.fit` says before Keras' own `fit` runs, and when memory does not suffice."""

import inspect
import warnings
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from keras_maskrcnn.config.config import Config
from keras_maskrcnn.data.pipeline.batches import BatchDataset
from keras_maskrcnn.data.pipeline.dataset import is_for_training
from keras_maskrcnn.layers.resnet import ResNet
from keras_maskrcnn.training.averages import check_beside_averages
from keras_maskrcnn.utils.keras_internals import strategy_of
from keras_maskrcnn.utils.replicas import has_replicas


def check_fit(
    model: keras.Model, backbone: keras.layers.Layer, args: tuple[Any, ...], kwargs: dict[str, Any]
) -> int:
    """Warn of a fit that would train nothing, of a backbone that stays random, and of datasets for the other purpose.

    Args:
        model: to be trained.
        backbone: its own.
        args, kwargs: what `fit` was called with.

    Returns:
        The number of the last epoch.

    Raises:
        ValueError: gradients are to accumulate under a strategy, which Keras cannot; or a callback keeps weights of
            which it was told the scores of averages.
    """
    check_replicas(model)
    given = inspect.signature(keras.Model.fit).bind(model, *args, **kwargs)
    given.apply_defaults()
    _warn_of_datasets(given.arguments["x"], given.arguments["validation_data"])
    if _is_frozen_at_random(backbone):
        warnings.warn(
            "The backbone's batch norm is frozen and no weights were loaded: what is frozen stays random. To train "
            'from scratch, use Config(norm="group_norm", fpn_norm=..., head_norm=..., frozen_stages=0).',
            stacklevel=3,
        )
    check_beside_averages(given.arguments["callbacks"])
    first, epochs = given.arguments["initial_epoch"], given.arguments["epochs"]
    if first >= epochs:
        warnings.warn(
            f"fit was asked to train from epoch {first} to epoch {epochs}: nothing is left to train. `epochs` is the "
            "number of the last epoch, not how many are added",
            stacklevel=3,
        )
    return epochs


def _warn_of_datasets(dataset: Any, validation: Any) -> None:
    if isinstance(dataset, BatchDataset) and not is_for_training(dataset):
        warnings.warn(
            "fit was given a dataset that was made without training=True: its images come in the same order in each "
            "epoch, and never flipped or augmented",
            stacklevel=4,
        )
    if is_for_training(validation):
        warnings.warn(
            "fit was given a validation_data that was made with training=True: its images are augmented anew in each "
            "epoch, so that val_loss is of other images each time",
            stacklevel=4,
        )


def check_replicas(model: keras.Model) -> None:
    """Refuse what Keras does wrong, or not at all, with a model that a strategy has placed on several devices.

    There is a warning of `batch_norm`, which does something, but seldom what is meant.

    Raises:
        ValueError: the model is compiled so; the message says why it cannot be and what to use instead.
    """
    strategy = strategy_of(model)
    if strategy is None or isinstance(strategy, tf.distribute.OneDeviceStrategy):
        return
    where = f"under a {type(strategy).__name__}"
    optimizer = getattr(model.optimizer, "inner_optimizer", model.optimizer)
    if strategy_of(optimizer) is not strategy:
        raise ValueError(
            f"The optimizer was not made in the scope of the {type(strategy).__name__} in which the model was: make "
            "the strategy once, and call compile, with its optimizer, within `with strategy.scope():` too"
        )
    # Keras accumulates, and overwrites by averages, inside a condition, where replicas cannot meet.
    if optimizer.gradient_accumulation_steps:
        raise ValueError(
            f"gradient_accumulation_steps={optimizer.gradient_accumulation_steps} does not work {where}: Keras cannot "
            "accumulate gradients of replicas. Leave it out and raise make_dataset's batch_size, which counts the "
            "images of all replicas together, or train without the strategy"
        )
    if optimizer.use_ema and optimizer.ema_overwrite_frequency:
        raise ValueError(
            f"ema_overwrite_frequency={optimizer.ema_overwrite_frequency} does not work {where}: Keras cannot "
            "overwrite the weights of replicas. Leave it out: WithAveragedWeights evaluates and saves the averages"
        )
    if not has_replicas(strategy):
        return
    if model.compute_dtype == "float16":
        raise ValueError(
            f"mixed_float16 does not work {where}: Keras asks one replica whether its gradients are finite, and "
            "infinite ones of the others reach the weights. Use "
            'keras.mixed_precision.set_global_policy("mixed_bfloat16")'
        )
    if model.steps_per_execution > 1:
        raise ValueError(
            f"steps_per_execution={model.steps_per_execution} does not work {where}: batches of different sizes cannot "
            "be joined in one call. Leave it out"
        )
    plain = [
        name for name in ("norm", "fpn_norm", "head_norm") if getattr(model.config, name) == "batch_norm"
    ]
    if plain:
        warnings.warn(
            f"Config's {', '.join(plain)} is batch_norm {where}: each replica normalises by its own images, and the "
            "statistics of the first replica's alone are kept. sync_batch_norm takes those of the whole batch",
            stacklevel=4,
        )


def _is_frozen_at_random(backbone: keras.layers.Layer) -> bool:
    """Whether a frozen batch norm still has the statistics that it was made with."""
    if not isinstance(backbone, ResNet):
        return False
    norm: Any = backbone.stem.normalization
    return backbone.norm == "frozen_batch_norm" and bool(np.all(norm.moving_variance.numpy() == 1))


def memory_advice(config: Config, optimizer: keras.optimizers.Optimizer) -> str:
    """Return what lowers the memory of training a model, what helps most first."""
    accumulation = (
        "accumulates" if getattr(optimizer, "gradient_accumulation_steps", None) else "can accumulate"
    )
    sizes = (
        f"Config.min_size (now {config.min_size}), max_size ({config.max_size}), train_min_sizes "
        f"({config.train_min_sizes or 'none'})"
    )
    if config.image_scale:
        sizes = f"Config.image_scale (now {config.image_scale:g}), crop_size ({config.crop_size or 'none'})"
    advice = [
        "Memory did not suffice. What takes less, what helps most first:",
        f"- a smaller batch_size of make_dataset, down to 1; the optimizer {accumulation} gradients over batches "
        "(gradient_accumulation_steps)",
        f"- smaller images: {sizes}",
        "- a backbone that is computed twice instead of kept: Config.recomputed_stages "
        f"({config.recomputed_stages}, up to 5; the first 2 have the largest maps)",
        f"- fewer sampled proposals: Config.box_batch_size ({config.box_batch_size}), post_nms_top_k_train "
        f"({config.post_nms_top_k_train})",
        f"- fewer trained layers: Config.frozen_stages ({config.frozen_stages}, up to 5), a smaller depth "
        f"({config.depth})",
        '- half precision, before the model is made: keras.mixed_precision.set_global_policy("mixed_bfloat16")',
    ]
    return "\n".join(advice)
