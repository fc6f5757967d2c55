"""Errors for what a Keras user would naturally call, with the call that is meant."""

from collections.abc import Mapping
from typing import Any

import tensorflow as tf

from keras_maskrcnn.config.config import Config
from keras_maskrcnn.data.fields import fields_of

BATCH = ("images", "sizes")
WEIGHTS = {
    "sample_weight": "compile(loss_weights=...) weighs losses, and repeat_factor_sampling repeats images",
    "class_weight": "Config.class_weights weighs classes, and repeat_factor_sampling repeats images of rare ones",
}
"""What Keras would weigh by, and what does so here."""
SEEN_ALIKE = (
    "class_names", "keypoint_names", "keypoint_offset", "channels", "pixel_mean", "min_size",
    "max_size", "size_rounding", "resize", "size_divisor", "square", "mask_head", "mask_crop_size",
)  # fmt: skip
"""Fields that say what an image and its objects are to a model. Augmentation may differ, and train_min_sizes."""


def check_batch(inputs: Any) -> None:
    """Refuse what is no batch.

    Raises:
        ValueError: `inputs` is no dict with images and sizes.
    """
    if not isinstance(inputs, Mapping) or not all(key in inputs for key in BATCH):
        found = f"keys {sorted(inputs)}" if isinstance(inputs, Mapping) else f"a {type(inputs).__name__}"
        raise ValueError(
            f'A MaskRCNN runs on batches {{"images": [B, H, W, C], "sizes": [B, 2]}}, as make_dataset makes them; got '
            f"{found}. For images themselves call model.detect(images)"
        )


def check_compile(
    loss: Any, metrics: Any, weighted_metrics: Any, loss_weights: Any, losses: Mapping[str, Any]
) -> None:
    """Refuse arguments of `compile` that mean nothing to this model, and weights of losses that it does not have.

    Raises:
        ValueError: one of them is given, or a loss has no such name; the message names it.
    """
    if loss is not None:
        raise ValueError(
            "compile(loss=...) means nothing to a MaskRCNN: its losses are layers, which loss_weights weigh"
        )
    if metrics is not None or weighted_metrics is not None:
        raise ValueError(
            "compile(metrics=...) means nothing to a MaskRCNN: pass fit(callbacks=[CocoEvaluation(records)])"
        )
    if loss_weights is not None and not isinstance(loss_weights, Mapping):
        raise ValueError(f"loss_weights must be a dict {{loss name: factor}}; got {loss_weights!r}")
    unknown = sorted(set(loss_weights or {}) - set(losses))
    if unknown:
        raise ValueError(f"loss_weights names {', '.join(unknown)}; the losses are {', '.join(losses)}")


def check_no_targets(name: str, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> None:
    """Refuse targets and weights beside a batch: its ground truth is in it, and nothing would heed them.

    Args:
        name: of what they were given to.
        args, kwargs: y, sample_weight and class_weight, as far as they were given.

    Raises:
        ValueError: one of them is not None; the message says what there is in its place.
    """
    given = {**dict(zip(("y", "sample_weight", "class_weight"), args, strict=False)), **kwargs}
    if given.get("y") is not None:
        raise ValueError(
            f"{name} has targets y; ground truth travels in the batches, which make_dataset makes"
        )
    for weight, instead in WEIGHTS.items():
        if given.get(weight) is not None:
            raise ValueError(f"{weight} of {name} means nothing to a MaskRCNN: {instead}")


def check_dataset_argument(
    method: str, x: Any, args: tuple[Any, ...], kwargs: Mapping[str, Any], config: Config
) -> None:
    """Refuse what `fit` and `evaluate` cannot take.

    Args:
        method: name of the called method.
        x: its first argument.
        args, kwargs: the others.
        config: of the model.

    Raises:
        ValueError: targets are given apart, `x` is no dataset of batches, or one for a model of another Config.
    """
    training = ", training=True" if method == "fit" else ""
    advice = f"model.{method}(make_dataset(records, model.config, batch_size=2{training}))"
    if kwargs.get("y") is not None or (args and args[0] is not None and not isinstance(args[0], int)):
        raise ValueError(f"{method}(x, y): ground truth travels in the batches; call {advice}")
    check_no_targets(method, (), {name: kwargs.get(name) for name in WEIGHTS})
    for name, dataset in ((method, x), (f"{method}(validation_data=...)", kwargs.get("validation_data"))):
        if dataset is None and name != method:
            continue
        spec = getattr(dataset, "element_spec", None)
        if spec is None and not isinstance(dataset, tf.data.Dataset) and not _yields_batches(dataset):
            raise ValueError(
                f"{name} takes a dataset of batches; got a {type(dataset).__name__}: call {advice}"
            )
        made_for = getattr(dataset, "config", None)
        if isinstance(made_for, Config):
            _check_config(name, made_for, config)
        if isinstance(spec, Mapping):
            _check_spec(name, spec, config)


def _yields_batches(dataset: Any) -> bool:
    """Whether this is another kind of source of batches: a generator, a PyDataset, or a batch itself."""
    if isinstance(dataset, Mapping):
        return all(key in dataset for key in BATCH)
    return hasattr(dataset, "__next__") or hasattr(dataset, "num_batches")


def _check_spec(name: str, spec: Mapping[str, Any], config: Config) -> None:
    """Compare the shapes of batches with what the model's graph takes."""
    needed: dict[str, tuple[int | None, ...]] = {
        "images": (None, None, None, config.channels),
        "sizes": (None, 2),
    }
    needed |= {field.name: (None, *field.spec[0]) for field in fields_of(config)}
    for key, shape in needed.items():
        if key not in spec:
            raise ValueError(f"{name}: the dataset's batches have no {key}; make it with this model's config")
        found = tuple(getattr(spec[key], "shape", shape))
        if not tf.TensorShape(found).is_compatible_with(shape):
            raise ValueError(
                f"{name}: {key} has shape {list(found)}, and the model takes {list(shape)}; make the dataset with this "
                "model's config"
            )


def _check_config(name: str, made_for: Config, config: Config) -> None:
    """Compare what batches mean."""
    for field in SEEN_ALIKE:
        theirs, own = getattr(made_for, field), getattr(config, field)
        both_have_masks = field == "mask_head" and "none" not in (
            theirs,
            own,
        )  # which are alike for all heads
        if theirs != own and not both_have_masks:
            raise ValueError(
                f"{name}: the dataset was made with Config.{field}={theirs!r}, and the model has {own!r}; make it with "
                "this model's config"
            )
