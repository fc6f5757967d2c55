"""TensorFlow's SavedModel, in TensorFlow's own operations."""

from pathlib import Path

import tensorflow as tf

from keras_maskrcnn.artefacts.graph import InferenceModule


def write_saved_model(module: InferenceModule, path: Path, description: str) -> None:
    """Write a module as a folder, which any TensorFlow loads; of uint8 inputs with an endpoint for encoded images."""
    signatures = {"serving_default": module.function}
    if module.request.inputs == "uint8":
        spec = tf.TensorSpec([], tf.string, name="image_bytes")
        signatures["serving_bytes"] = tf.function(module.of_bytes, input_signature=[spec])
    tf.saved_model.save(module, str(path), signatures=signatures)
