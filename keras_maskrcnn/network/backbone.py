"""The backbone: a ResNet that the Config describes, or any Keras model or layer that returns feature maps by level."""

from typing import Any

import keras

from keras_maskrcnn.config.config import Config
from keras_maskrcnn.config.values import ALL_STAGES
from keras_maskrcnn.layers.resnet import Res5, ResNet

STRIDES = {"C2": 4, "C3": 8, "C4": 16, "C5": 32}
"""Image pixels per feature pixel of the levels that an FPN takes."""
LEVELS = {"fpn": tuple(STRIDES), "c4": ("C4",), "dc5": ("C5",)}
"""The levels that each architecture takes of its backbone."""
SINGLE_STRIDE = 16
"""Of the one level without an FPN: a C4, or a C5 whose last stage is dilated."""


def resnet_arguments(config: Config) -> dict[str, Any]:
    """Return what ResNet and its res5 on RoIs have in common."""
    return {
        "depth": config.depth,
        "stem_channels": config.stem_channels,
        "stride_in_1x1": config.stride_in_1x1,
        "norm": config.norm,
        "epsilon": config.norm_epsilon,
        "groups": config.groups,
        "group_width": config.group_width,
        "bias": config.conv_bias,
    }


def make_backbone(config: Config) -> ResNet:
    """Make the ResNet of a Config: without res5 for C4, with a dilated one for DC5."""
    return ResNet(
        **resnet_arguments(config),
        frozen_stages=config.frozen_stages,
        last_stage=4 if config.architecture == "c4" else 5,
        dilated=config.architecture == "dc5",
        pool_padding=config.pool_padding,
        recomputed_stages=config.recomputed_stages,
        name="backbone",
    )


def make_res5(config: Config) -> Res5 | None:
    """Make what C4 models run on each RoI."""
    if config.architecture != "c4":
        return None
    layer = Res5(**resnet_arguments(config), name="res5")
    layer.trainable = config.frozen_stages < ALL_STAGES
    return layer


def check_backbone(backbone: Any, config: Config) -> None:
    """Check that a custom backbone returns what the architecture takes.

    Args:
        backbone: a Keras model or layer: normalised images `[B, H, W, channels]` -> {"C2": `[B, H/4, W/4, .]`, "C3",
            "C4", "C5": `[B, H/32, W/32, .]`}, further levels allowed; for `architecture="c4"` or "dc5" the one level
            "C4" or "C5" at stride 16.
        config: of the model that it is for.

    Raises:
        ValueError: it is no Keras layer, lacks a level, or a level has another stride; the message says which.
    """
    if not isinstance(backbone, keras.layers.Layer):
        raise ValueError(f"backbone must be a Keras model or layer; got a {type(backbone).__name__}")
    if config.recomputed_stages:
        raise ValueError("Config.recomputed_stages is for the ResNets of this package, not a custom backbone")
    side = 4 * 32
    shapes = _output_shapes(backbone, (1, side, side, config.channels))
    for level in LEVELS[config.architecture]:
        stride = STRIDES[level] if config.architecture == "fpn" else SINGLE_STRIDE
        expected = side // stride
        if level not in shapes:
            raise ValueError(
                f'backbone must return a dict with "{level}" for architecture="{config.architecture}"; it returns '
                f"{', '.join(shapes) or 'no dict'}"
            )
        if len(shapes[level]) != 4 or tuple(shapes[level][1:3]) != (expected, expected):
            raise ValueError(
                f"backbone's {level} must have stride {stride}: [B, {expected}, {expected}, C] for images of {side} x "
                f"{side} pixels; got {tuple(shapes[level])}"
            )


def _output_shapes(backbone: keras.layers.Layer, shape: tuple[int, ...]) -> dict[str, tuple[int, ...]]:
    try:
        outputs = backbone(keras.KerasTensor(shape))
    except Exception as error:  # whatever its layers raise for images that they cannot take
        raise ValueError(f"backbone cannot be called on images of shape {list(shape)}: {error}") from error
    return {level: x.shape for level, x in outputs.items()} if isinstance(outputs, dict) else {}


def freeze_backbone(backbone: keras.layers.Layer, stages: int) -> None:
    """Train all but the first `stages` of a backbone, 0..5.

    Raises:
        ValueError: a custom backbone without a method `freeze` is to be frozen in part.
    """
    freeze = getattr(backbone, "freeze", None)
    if freeze is not None:
        freeze(stages)
    elif stages in (0, ALL_STAGES):
        backbone.trainable = stages == 0
    else:
        raise ValueError(
            f"Config.frozen_stages={stages}: this backbone has no method freeze(stages), so it is trained whole (0) or "
            f"not at all ({ALL_STAGES})"
        )
