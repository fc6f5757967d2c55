"""A field's declaration is its check, its error message and its documentation."""

import dataclasses
import math
import pydoc
from typing import Literal

import numpy as np
import pytest

from keras_maskrcnn.config.config import Config
from keras_maskrcnn.config.fields import (
    check_value,
    descriptions,
    documented,
    expected,
    frozen,
    network_fields,
    ranged,
    rule_of,
    structural,
)


@documented
@dataclasses.dataclass(frozen=True)
class Example:
    """An example."""

    count: int = ranged(1, 1)
    """Number
    of things."""
    angle: float = ranged(0.0, 0, 180)
    beta: float = ranged(0.5, 0, above=True)
    iou: float = ranged(0.5, 0, 1, above=True)
    offset: float = ranged(0.0)
    flag: bool = False
    """Whether."""
    kind: Literal["a", "b"] = structural("a")
    depth: Literal[18, 50] = 18
    weights: tuple[float, ...] = ranged((1.0, 1.0), 0, above=True, length=2, network=True)
    levels: tuple[tuple[int, ...], ...] = ranged(((1,),), 1, non_empty=True)
    names: tuple[str, ...] = ()


FIELDS = {field.name: field for field in dataclasses.fields(Example)}


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("count", 1),
        ("count", np.int64(3)),
        ("angle", 180),
        ("angle", np.float32(7.5)),
        ("offset", -3),
        ("offset", 10**400),
        ("kind", "b"),
        ("depth", 50),
        ("weights", [1, np.float64(2)]),
        ("weights", np.array([1.5, 2])),
        ("levels", [[1, 2], (3,)]),
        ("levels", ()),
        ("names", ["a"]),
    ],
)
def test_values_of_the_declared_type_and_range_are_taken(name, value):
    check_value(FIELDS[name], frozen(value))


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("count", 0, "must be an integer of at least 1; got 0"),
        ("count", 1.0, "must be an integer of at least 1; got 1.0"),
        ("count", True, "must be an integer of at least 1; got True"),
        ("count", "2", "must be an integer of at least 1; got '2'"),
        ("count", None, "must be an integer of at least 1; got None"),
        ("angle", 181, "must be a number in 0..180; got 181"),
        ("angle", math.nan, "must be a number in 0..180; got nan"),
        ("beta", 0, "must be a finite number above 0; got 0"),
        ("beta", math.inf, "must be a finite number above 0; got inf"),
        ("iou", 0.0, "must be a number above 0 and at most 1; got 0.0"),
        ("offset", math.nan, "must be a finite number; got nan"),
        ("offset", -math.inf, "must be a finite number; got -inf"),
        ("offset", False, "must be a finite number; got False"),
        ("flag", 1, "must be true or false; got 1"),
        ("kind", "c", "must be one of a, b; got 'c'"),
        ("kind", ["a"], r"must be one of a, b; got \('a',\)"),
        ("depth", 19, "must be one of 18, 50; got 19"),
        ("depth", 18.0, "must be one of 18, 50; got 18.0"),
        ("weights", 1.0, "must be a sequence of 2 finite numbers above 0; got 1.0"),
        ("weights", (1.0,), r"must be a sequence of 2 finite numbers above 0; got \(1.0,\)"),
        ("weights", (1.0, math.nan), "must be a sequence of 2 finite numbers above 0; got"),
        ("weights", (1.0, 0.0), "must be a sequence of 2 finite numbers above 0; got"),
        ("levels", (1, 2), "must be a sequence of non-empty sequences of integers of at least 1; got"),
        ("levels", ((),), "must be a sequence of non-empty sequences of integers of at least 1; got"),
        ("levels", ((0,),), "must be a sequence of non-empty sequences of integers of at least 1; got"),
        ("names", "ab", "must be a sequence of strings; got 'ab'"),
        ("names", ("a", 1), "must be a sequence of strings; got"),
    ],
)
def test_the_message_says_all_that_the_field_may_hold_and_what_it_got(name, value, message):
    with pytest.raises(ValueError, match=rf"Config\.{name} {message}"):
        check_value(FIELDS[name], frozen(value))


def test_what_the_network_is_made_of_is_declared():
    assert network_fields(Example) == ["kind", "weights"]


def test_the_strings_below_fields_are_their_descriptions_in_help():
    assert descriptions(Example) == {"count": "Number of things.", "flag": "Whether."}
    shown = pydoc.render_doc(Example, renderer=pydoc.plaintext)
    assert "count (an integer of at least 1): Number of things." in shown


def test_without_the_source_there_are_no_descriptions():
    made = dataclasses.make_dataclass("Made", [("count", int, ranged(1, 1))])
    made.__module__ = "no_such_module"
    assert descriptions(made) == {}
    assert "count (an integer of at least 1):" in documented(made).__doc__


def test_every_default_of_the_config_is_what_its_field_may_hold():
    for field in dataclasses.fields(Config)[1:]:
        check_value(field, field.default)
        assert expected(field.type, rule_of(field))


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_no_number_of_a_config_is_nan_or_infinite(value):
    def poisoned(default):
        if isinstance(default, tuple):
            return (poisoned(default[0] if default else 0.0), *default[1:])
        return value

    for field in dataclasses.fields(Config)[1:]:
        if "number" in expected(field.type, rule_of(field)):
            with pytest.raises(ValueError, match=rf"Config\.{field.name} must be"):
                check_value(field, poisoned(field.default))


def test_every_field_of_the_config_is_described_and_seen_by_help():
    texts = descriptions(Config)
    shown = pydoc.render_doc(Config, renderer=pydoc.plaintext)
    for field in dataclasses.fields(Config):
        assert texts[field.name].endswith("."), field.name
        assert f"{field.name} (" in shown
