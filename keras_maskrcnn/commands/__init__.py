"""The commands of `maskrcnn`: `train`, `evaluate`, `predict`, each with a `run` that returns the exit code.

`keras_maskrcnn.cli` imports them after it has checked the arguments, because they load TensorFlow.
"""
