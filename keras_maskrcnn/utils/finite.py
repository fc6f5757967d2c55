"""Weights that are NaN or Inf, as a training that diverged leaves them."""

from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf

TRACED_FROM = 100
"""The call of a `WeightCheck` that is the first worth tracing, which takes a hundred times what it saves of one."""


class WeightsError(ValueError):
    """Weights are NaN or Inf; the message names them."""


def not_finite(weights: Sequence[keras.Variable]) -> list[str]:
    """Return the paths of the weights that hold NaN or Inf."""
    return [one.path for one in _floats(weights) if not bool(tf.reduce_all(tf.math.is_finite(one.value)))]


def check_finite(weights: Sequence[keras.Variable], where: Any) -> None:
    """Refuse weights that hold NaN or Inf: what is computed with them can look plausible, as ReLU makes 0 of NaN.

    Args:
        weights: of a model.
        where: the file or the model, for the message.

    Raises:
        WeightsError: names the first of them.
    """
    wrong = not_finite(weights)
    if wrong:
        more = f" and {len(wrong) - 1} more" if len(wrong) > 1 else ""
        raise WeightsError(
            f"{where}: the weights {wrong[0]}{more} hold NaN or Inf, as a training that diverged leaves them; take "
            "weights from before (StopOnNaN ends such a training, and names the images)"
        )


class WeightCheck:
    """`check_finite` of a model's weights, once for each set of values that they have.

    That the values have changed is told by the first number of each weight: training or loading changes some of them.

    Args:
        weights: of the model.
    """

    def __init__(self, weights: Sequence[keras.Variable]):
        self._weights = _floats(weights)
        self._traced = tf.function(self._first_numbers, autograph=False)
        self._checked: np.ndarray | None = None
        self._calls = 0

    def __call__(self) -> None:
        """Raise a `WeightsError` if the weights hold NaN or Inf."""
        self._calls += 1
        numbers = (self._first_numbers if self._calls < TRACED_FROM else self._traced)().numpy()
        if self._checked is None or not np.array_equal(numbers, self._checked):
            check_finite(self._weights, "model")
            self._checked = numbers

    def _first_numbers(self) -> tf.Tensor:
        flat, start, one = tf.constant([-1]), tf.constant([0]), tf.constant([1])
        rows = [tf.reshape(weight.value, flat) for weight in self._weights]
        return tf.concat([tf.cast(tf.slice(row, start, one), tf.float32) for row in rows], axis=0)


def _floats(weights: Sequence[keras.Variable]) -> list[keras.Variable]:
    """Those that can be NaN; quantized ones are integers."""
    return [one for one in weights if keras.backend.is_float_dtype(one.dtype)]
