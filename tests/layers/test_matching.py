import numpy as np
import pytest
import tensorflow as tf

from keras_maskrcnn.layers import matching
from keras_maskrcnn.layers.matching import IGNORED, NEGATIVE, POSITIVE, match, match_image
from keras_maskrcnn.ops import boxes


def assign(iou, positive_iou, negative_iou, low_quality):
    """`match` of IoUs [G, N]."""
    iou = tf.constant(iou, tf.float32)
    return match(lambda start, stop: iou[start:stop], *iou.shape, positive_iou, negative_iou, low_quality)


def test_match_by_hand():
    iou = [[0.8, 0.5, 0.2, 0.0], [0.1, 0.6, 0.25, 0.0]]
    matched, labels = assign(iou, 0.7, 0.3, low_quality=False)
    np.testing.assert_array_equal(matched[:3], [0, 1, 1])
    np.testing.assert_array_equal(labels, [POSITIVE, IGNORED, NEGATIVE, NEGATIVE])


def test_low_quality_match_gives_every_object_its_best_candidate():
    iou = [[0.8, 0.5, 0.2, 0.0], [0.1, 0.6, 0.25, 0.0]]
    _, labels = assign(iou, 0.7, 0.3, low_quality=True)
    np.testing.assert_array_equal(labels, [POSITIVE, POSITIVE, NEGATIVE, NEGATIVE])


def test_a_low_quality_match_keeps_the_object_it_overlaps_most():
    iou = [[0.5, 0.0], [0.6, 0.9]]  # candidate 0 is object 0's best, but overlaps object 1 more
    matched, labels = assign(iou, 0.7, 0.3, low_quality=True)
    assert matched[0] == 1 and labels[0] == POSITIVE


def test_thresholds_are_inclusive_for_positives_and_exclusive_for_negatives():
    _, labels = assign([[0.7, 0.3]], 0.7, 0.3, low_quality=False)
    np.testing.assert_array_equal(labels, [POSITIVE, IGNORED])


def test_an_object_that_nothing_overlaps_makes_nothing_positive():
    _, labels = assign(np.zeros((1, 3)), 0.7, 0.3, low_quality=True)
    np.testing.assert_array_equal(labels, [NEGATIVE] * 3)


def _match(candidates, gt, classes, crowd):
    return match_image(
        tf.constant(candidates, tf.float32),
        tf.constant(gt, tf.float32),
        tf.constant(classes),
        tf.constant(crowd),
        (0.5, 0.5),
        False,
        0.7,
    )


def test_a_candidate_inside_a_crowd_is_neither_positive_nor_negative():
    # it fills a hundredth of the crowd: IoU would call it background
    _, labels = _match([[10, 10, 20, 20], [200, 200, 210, 210]], [[0, 0, 100, 100]], [1], [True])
    np.testing.assert_array_equal(labels, [IGNORED, NEGATIVE])


def test_an_object_inside_a_crowd_is_still_positive():
    matched, labels = _match([[10, 10, 20, 20]], [[0, 0, 100, 100], [10, 10, 20, 20]], [1, 2], [True, False])
    assert labels[0] == POSITIVE and matched[0] == 1


def test_padded_ground_truth_matches_nothing():
    _, labels = _match([[0, 0, 10, 10], [0, 0, 0, 0]], [[0, 0, 0, 0]], [0], [False])
    np.testing.assert_array_equal(labels, [NEGATIVE, NEGATIVE])


def in_one_piece(candidates, gt, classes, crowd, thresholds, low_quality, crowd_overlap):
    """The rules on whole matrices of overlaps, in numpy."""
    real = (classes > 0) & ~crowd
    iou = np.where(real[:, None], boxes.iou(gt, candidates), 0)
    best, labels = iou.max(axis=0), np.full(len(candidates), IGNORED)
    labels[best < thresholds[1]] = NEGATIVE
    labels[best >= thresholds[0]] = POSITIVE
    if low_quality:
        best_of_gt = iou.max(axis=1, keepdims=True)
        labels[((iou == best_of_gt) & (best_of_gt > 0)).any(axis=0)] = POSITIVE
    inside = boxes.intersection_over_area(candidates, gt[crowd]).numpy()
    labels[(inside >= crowd_overlap).any(axis=1) & (labels != POSITIVE)] = IGNORED
    return iou.argmax(axis=0), labels


@pytest.mark.parametrize("low_quality", [False, True])
@pytest.mark.parametrize("block", [1, 100, 2**20])
def test_a_crowd_in_blocks_is_assigned_as_in_one_piece(monkeypatch, block, low_quality):
    monkeypatch.setattr(matching, "BLOCK", block)
    random = np.random.default_rng(1)

    def drawn(count):  # at whole places, so that overlaps tie
        corners = random.integers(0, 40, (count, 2))
        return np.concatenate([corners, corners + random.integers(4, 12, (count, 2))], axis=1)

    gt = np.float32(np.concatenate([drawn(30), np.zeros((4, 4))]))
    classes = np.array([1] * 30 + [0] * 4)
    crowd = np.arange(34) == 7
    given = np.float32(drawn(60)), gt, classes, crowd
    for thresholds in ((0.5, 0.3), (0.5, 0.5)):
        expected = in_one_piece(*given, thresholds, low_quality, 0.7)
        found = match_image(*map(tf.constant, given), thresholds, low_quality, 0.7)
        for one, other in zip(found, expected, strict=True):
            np.testing.assert_array_equal(one, other)
