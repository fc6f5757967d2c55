"""Packed polygons keep each number, and what is no well-formed polygon stays as it is."""

import copy
import math
import pickle

import pytest

from keras_maskrcnn.masks.packed_polygons import Segmentations, is_packed, pack_polygons, unpacked

GOOD = [[10, 5, 30, 5, 30.125, 35], [0.1, 1e-300, 99999, 2, 3, 0.30000000000000004]]


def test_numbers_are_those_that_were_packed():
    (packed,) = pack_polygons([GOOD])
    assert is_packed(packed) and unpacked(packed) == GOOD
    assert all(type(number) is float for polygon in unpacked(packed) for number in polygon)


@pytest.mark.parametrize(
    "bad",
    [
        [[1, 2, 3, 4]], [[1, 2, 3, 4, 5, 6, 7]], [[]], [], [[1, 2, 3, 4, 5, "6"]], [[1, 2, 3, 4, 5, None]], ["123456"],
        [1, 2, 3, 4, 5, 6], [{"a": 2}],
        [[1, 2, 3, 4, 5, math.nan]], [[1, 2, 3, 4, 5, math.inf]], [[1, 2, 3, 4, 5, 1e6]],
        [[1, 2, 3, 4, 5, 10**400]], [[1, 2, 3, 4, 5, 10**30]], [[True, False, True, True, False, True]],
        [[[1, 2], [3, 4], [5, 6]]], [GOOD[0], [1, 2]], {"size": [1, 2], "counts": []}, None, "text", 5,
    ],
)  # fmt: skip
def test_what_is_not_well_formed_stays_as_it_is(bad):
    before = copy.deepcopy(bad)
    first, left, last = pack_polygons([GOOD, bad, GOOD])
    assert left is bad and repr(bad) == repr(before)
    assert unpacked(first) == unpacked(last) == GOOD


def test_segmentations_are_like_a_tuple_of_lists():
    rle = {"size": [4, 4], "counts": "abc"}
    held = Segmentations([*pack_polygons([GOOD]), rle])
    assert len(held) == 2 and held[0] == GOOD and held[-1] is rle and list(held) == [GOOD, rle]
    assert held == (GOOD, rle) and (GOOD, rle) == held and held != (GOOD,) and held != [GOOD, rle]
    assert held[:1] == (GOOD,) and rle in held and held.index(rle) == 1
    assert eval(repr(held)) == held
    assert pickle.loads(pickle.dumps(held)) == held == copy.deepcopy(held)
    with pytest.raises(IndexError):
        held[2]
