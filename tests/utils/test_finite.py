"""Weights that are NaN or Inf."""

import keras
import numpy as np
import pytest

from keras_maskrcnn.utils import finite
from keras_maskrcnn.utils.finite import WeightCheck, WeightsError, check_finite, not_finite


def weights():
    return [
        keras.Variable(np.ones(shape, "float32"), name=name) for name, shape in (("a", (3, 2)), ("b", (4,)))
    ]


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_weights_are_named(value):
    one, other = weights()
    check_finite([one, other], "here")
    other.assign([1, 1, 1, value])
    assert not_finite([one, other]) == ["b"]
    with pytest.raises(WeightsError, match=r"here: the weights b hold NaN or Inf"):
        check_finite([one, other], "here")
    one.assign(np.full((3, 2), value))
    with pytest.raises(WeightsError, match=r"the weights a and 1 more hold NaN"):
        check_finite([one, other], "here")


def test_integers_are_what_they_are():
    whole = keras.Variable(np.ones(2, "int8"), dtype="int8", trainable=False)
    check_finite([whole, *weights()], "here")
    WeightCheck([whole, *weights()])()


@pytest.mark.parametrize("traced_from", [1, 2, 100])
def test_weights_are_looked_at_once_for_each_set_of_them(monkeypatch, traced_from):
    monkeypatch.setattr(finite, "TRACED_FROM", traced_from)
    looked = []
    monkeypatch.setattr(finite, "check_finite", lambda weights, where: looked.append(where))
    one, other = weights()
    check = WeightCheck([one, other])
    check(), check()
    assert len(looked) == 1
    other.assign(2 * np.ones(4))
    check(), check()
    assert len(looked) == 2


def test_weights_that_became_nan_since_are_found():
    one, other = weights()
    check = WeightCheck([one, other])
    check()
    one.assign(np.full((3, 2), np.nan))
    for _ in range(2):
        with pytest.raises(WeightsError):
            check()
