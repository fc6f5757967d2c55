"""What callbacks remember, as JSON and back."""

import collections
import json
import math
from pathlib import Path

import keras
import numpy as np
import pytest

from keras_maskrcnn.training.memory import CallbackMemory


class Notes(keras.callbacks.Callback):
    """Keeps what it is given, under the argument's name and others."""

    def __init__(self, patience=3, **kept):
        super().__init__()
        self.patience = patience
        vars(self).update(kept)


def after_resume(callback, fresh):
    """A fresh callback that has read what another remembered, by way of JSON."""
    CallbackMemory(fresh).write(json.loads(json.dumps(CallbackMemory(callback).read())))
    return fresh


@pytest.mark.parametrize(
    "value",
    [
        None,
        True,
        7,
        0.1,
        math.inf,
        "text",
        [1, [2.5]],
        (1, (2,)),
        {3, 4},
        {"a": 1, 2: (3,)},
        {},
        np.float32(0.1),
    ],
    ids=repr,
)
def test_plain_values_come_back_as_they_were(value):
    found = after_resume(Notes(state=value), Notes(state=0)).state
    assert found == value and type(found) is type(value)


def test_arrays_come_back_with_their_type():
    array = np.arange(6, dtype=np.int16).reshape(2, 3)
    found = after_resume(Notes(state=array), Notes()).state
    np.testing.assert_array_equal(found, array)
    assert found.dtype == array.dtype


def test_not_a_number_is_remembered():
    assert math.isnan(after_resume(Notes(state=math.nan), Notes()).state)


def test_arguments_are_those_of_the_new_run_unless_training_has_changed_them():
    memory = CallbackMemory(used := Notes(patience=3, waited=2))
    assert set(memory.read()) >= {"waited"} and "patience" not in memory.read()
    used.patience = 1  # counts down, say
    fresh = Notes(patience=9)
    CallbackMemory(fresh).write(memory.read())
    assert (fresh.patience, fresh.waited) == (1, 2)
    assert after_resume(Notes(patience=3), Notes(patience=9)).patience == 9


def test_what_keras_gives_and_what_does_not_change_is_left_alone():
    callback = Notes(function=len, folder=Path("run"))
    callback.set_model(keras.Sequential())
    callback.set_params({"epochs": 3})
    assert not {"_model", "params", "function", "folder"} & set(CallbackMemory(callback).read())


@pytest.mark.parametrize(
    "value",
    [collections.deque(), object(), [{"a": b"bytes"}], np.array(["x"])],
    ids=["deque", "object", "bytes", "array of text"],
)
def test_what_cannot_be_remembered_is_named(value):
    with pytest.raises(ValueError, match=r"Notes\.state cannot be remembered: it holds a "):
        CallbackMemory(Notes(state=value))


@pytest.mark.parametrize(
    "callback",
    [
        keras.callbacks.EarlyStopping("loss"),
        keras.callbacks.ModelCheckpoint("best.keras", save_best_only=True),
        keras.callbacks.ReduceLROnPlateau("loss", cooldown=2),
    ],
    ids=lambda callback: type(callback).__name__,
)
def test_keras_own_can_be_remembered(callback):
    names = set(CallbackMemory(callback).read())
    assert "best" in names and names.isdisjoint({"patience", "monitor", "cooldown", "factor", "filepath"})
