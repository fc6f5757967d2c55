"""Which object a detection chooses, in small cases by hand; `test_scorer.py` compares with pycocotools."""

import numpy as np

from keras_maskrcnn.evaluation.greedy import NONE, choose_objects
from keras_maskrcnn.evaluation.similarity import Pairs


def chosen(rows, crowd=(False,) * 3, ignored=None, thresholds=(0.5,), groups=(0, 0, 0)):
    """{detection: objects [A, T]} of rows (detection, object, value)."""
    detections, objects, values = np.array(rows, float).reshape(-1, 3).T
    pairs = Pairs(detections.astype(int), objects.astype(int), values)
    ignored = np.array([crowd] if ignored is None else ignored).T
    compared, found = choose_objects(
        pairs, np.array(groups), np.array(crowd), ignored, np.array(thresholds, float)
    )
    return dict(zip(compared.tolist(), found.tolist(), strict=True))


def test_the_best_detection_chooses_first_and_what_is_most_alike():
    rows = (1, 0, 0.9), (0, 0, 0.6), (0, 1, 0.7), (1, 1, 0.95)
    assert chosen(rows) == {0: [[1]], 1: [[0]]}


def test_of_equally_alike_objects_the_last_is_chosen():
    assert chosen([(0, 2, 0.7), (0, 0, 0.7), (0, 1, 0.7)]) == {0: [[2]]}


def test_each_threshold_has_its_own_matches():
    rows = (0, 0, 0.6), (1, 0, 0.9)
    assert chosen(rows, thresholds=(0.5, 0.75)) == {0: [[0, NONE]], 1: [[NONE, 0]]}


def test_a_pair_of_exactly_the_threshold_matches_and_identity_matches_one():
    assert chosen([(0, 0, 0.5)]) == {0: [[0]]}
    assert chosen([(0, 0, 1 - 1e-11)], thresholds=(1.0,)) == {0: [[0]]}


def test_a_crowd_is_chosen_often_and_only_where_no_object_is_left():
    rows = (0, 0, 0.6), (0, 1, 0.9), (1, 0, 0.8), (1, 1, 0.7), (2, 1, 0.9)
    assert chosen(rows, crowd=(False, True, False)) == {0: [[0]], 1: [[1]], 2: [[1]]}


def test_what_a_size_ignores_is_chosen_last_and_once():
    rows = (0, 0, 0.6), (0, 1, 0.9), (1, 1, 0.9), (2, 1, 0.9)
    ignored = [[False, False, False], [False, True, False]]
    assert chosen(rows, ignored=ignored) == {
        0: [[1], [0]],
        1: [[NONE], [1]],
        2: [[NONE], [NONE]],
    }


def test_groups_choose_for_themselves():
    rows = (5, 0, 0.6), (7, 0, 0.9), (6, 2, 0.7)
    assert chosen(rows, groups=(9, 9, 4)) == {5: [[0]], 6: [[2]], 7: [[NONE]]}


def test_without_pairs_nothing_is_chosen():
    assert chosen([]) == {}
