"""Detection with an exported artefact: numpy and a runtime, without TensorFlow."""

from keras_maskrcnn.runtime.model import ExportedModel

__all__ = ["ExportedModel"]
