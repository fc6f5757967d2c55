"""The commands of `maskrcnn`, each with a `run` that returns the exit code.

`keras_maskrcnn.cli.main` imports them after it has checked the arguments, because most of them load TensorFlow.
"""
