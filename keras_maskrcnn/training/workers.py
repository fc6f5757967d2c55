"""What callbacks do in a process that is not the chief: they read all that is read together, and write nothing."""

from collections.abc import Sequence
from typing import Any

import keras

from keras_maskrcnn.training.averages import WithAveragedWeights
from keras_maskrcnn.training.tensorboard import TensorBoardImages, TensorBoardScalars
from keras_maskrcnn.utils.keras_internals import read_only_backup

WRITERS = (
    keras.callbacks.CSVLogger,
    keras.callbacks.TensorBoard,
    TensorBoardImages,
    TensorBoardScalars,
)
"""Callbacks that do nothing but write, which the chief does for all."""


def callbacks_of_worker(callbacks: Any) -> list[keras.callbacks.Callback]:
    """Return the callbacks that a worker beside the chief needs; models themselves know who saves them.

    Args:
        callbacks: what `fit` was given: None, one callback, several, or Keras' list of them.
    """
    if isinstance(callbacks, keras.callbacks.CallbackList):
        callbacks = callbacks.callbacks
    if isinstance(callbacks, keras.callbacks.Callback):
        callbacks = [callbacks]
    return _without_writers(callbacks or [])


def _without_writers(callbacks: Sequence[keras.callbacks.Callback]) -> list[keras.callbacks.Callback]:
    kept = [callback for callback in callbacks if not isinstance(callback, WRITERS)]
    for callback in kept:
        if isinstance(callback, keras.callbacks.BackupAndRestore):
            read_only_backup(callback)
        if isinstance(callback, WithAveragedWeights):
            callback.callbacks = _without_writers(callback.callbacks)
    return kept
