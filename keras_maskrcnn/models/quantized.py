"""Which layers of a model are quantized, so that a saved file is loaded as it was."""

from collections.abc import Sequence
from typing import Any

import keras

from keras_maskrcnn.utils.keras_internals import all_layers


def check_quantization(mode: Any, config: Any) -> None:
    """Refuse what a saved file does not tell.

    Args:
        mode, config: what `quantize` was called with; Keras adds the config of the mode.

    Raises:
        ValueError: they are not those of "int8".
    """
    plain = keras.quantizers.Int8QuantizationConfig().get_config()
    if mode != "int8" or (config is not None and config.get_config() != plain):
        raise ValueError(
            f'A MaskRCNN is quantized by quantize("int8") alone, without a config; got mode {mode!r}, and '
            f"{type(config).__name__}"
        )


def quantized_layers(model: keras.Model) -> list[str]:
    """Return the paths of the layers that `quantize("int8")` has changed."""
    return [layer.path for layer in all_layers(model) if _is_quantized(layer)]


def quantize_layers(model: keras.Model, paths: Sequence[str]) -> None:
    """Quantize the layers with these paths, but for those that were made so, as a custom backbone's are."""
    for layer in all_layers(model):
        if layer.path in paths and not _is_quantized(layer):
            layer.quantize("int8")


def _is_quantized(layer: keras.layers.Layer) -> bool:
    return getattr(layer.dtype_policy, "quantization_mode", None) is not None
