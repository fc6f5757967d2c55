"""Initial weights, which nobody draws for a model that is about to get those of a file."""

import contextlib
from collections.abc import Callable, Iterator, Sequence
from contextvars import ContextVar

import keras

from keras_maskrcnn.utils.keras_internals import set_initial_values

_from_file: ContextVar[bool] = ContextVar("from_file", default=False)


@contextlib.contextmanager
def weights_from_file() -> Iterator[None]:
    """Let the weights that are made within a `with` block be zeros, because all of them are read from a file."""
    token = _from_file.set(True)
    try:
        yield
    finally:
        _from_file.reset(token)


def make_weights(build: Callable[[], Sequence[keras.Variable]]) -> None:
    """Make weights by a function that returns them.

    Of weights from a file, too, initializers are given their seeds: so what is drawn later is the same.
    """
    if not _from_file.get():
        build()
        return
    with keras.StatelessScope():  # in which values are not computed before its end
        set_initial_values(build(), keras.initializers.Zeros())
