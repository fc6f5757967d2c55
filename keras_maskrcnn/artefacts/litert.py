"""The LiteRT format, by TensorFlow's converter, with LiteRT's built-in operations only."""

from pathlib import Path

import tensorflow as tf

from keras_maskrcnn.artefacts.graph import InferenceModule


def write_litert(module: InferenceModule, path: Path, description: str) -> None:
    """Write a module's function as a `.tflite` file.

    Of int8, weights alone are stored as whole numbers: with the ranges of activations fixed too, the converter
    quantises coordinates, of which 8 bits are not enough.
    """
    converter = tf.lite.TFLiteConverter.from_concrete_functions(
        [module.function.get_concrete_function()], module
    )
    converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS]
    if module.request.int8:
        converter.optimizations = [tf.lite.Optimize.DEFAULT]
    path.write_bytes(converter.convert())
