"""Ids: what is one, and which of two lists mean the same."""

from pathlib import Path

import numpy as np
import pytest

from keras_maskrcnn.utils.ids import find_id, plain_id


@pytest.mark.parametrize(
    ("value", "plain"),
    [
        (5, 5),
        (np.int64(5), 5),
        (np.uint8(5), 5),
        (5.0, 5),
        (np.float32(5), 5),
        (2**70, 2**70),
        ("a", "a"),
        (np.str_("a"), "a"),
        (Path("scans/a.png"), "scans/a.png"),
    ],
)
def test_whole_numbers_texts_and_paths_are_ids(value, plain):
    found = plain_id(value)
    assert found == plain and type(found) is type(plain)


@pytest.mark.parametrize("value", [1.7, float("nan"), float("inf"), True, np.bool_(True), None, [1], b"a"])
def test_nothing_else_is_an_id(value):
    with pytest.raises(ValueError, match="an id must be a whole number or text"):
        plain_id(value)


@pytest.mark.parametrize(
    ("known", "value", "found"),
    [
        ({1, 2}, 1, 1),
        ({1, 2}, "1", 1),
        ({1, 2}, 1.0, 1),
        ({"1", "2"}, 1, "1"),
        ({1, "1"}, "1", "1"),  # both are there: each means its own
        ({1, "1"}, 1, 1),
        ({-3}, "-3", -3),
        ({1}, "01", None),
        ({1}, "1.0", None),
        ({1}, True, None),
        ({1}, [1], None),
        ({1}, "9" * 5000, None),
    ],
)
def test_an_id_is_found_among_those_of_the_other_type(known, value, found):
    result = find_id(known, value)
    assert result == found and type(result) is type(found)
