import numpy as np
import pytest
import tensorflow as tf

from keras_maskrcnn.layers.matching import IGNORED, NEGATIVE, POSITIVE
from keras_maskrcnn.layers.targets import AnchorTargets, MaskTargets, PositiveRoIs, ProposalTargets, sample

LABELS = tf.constant([POSITIVE] * 10 + [NEGATIVE] * 30 + [IGNORED] * 60)


def _drawn(labels, size, fraction, seed=(1, 2)):
    indices, valid = sample(labels, size, fraction, tf.constant(seed))
    return labels.numpy()[indices.numpy()[valid.numpy()]], indices.numpy()[valid.numpy()]


def test_sample_keeps_to_the_size_and_to_the_share_of_positives():
    labels, indices = _drawn(LABELS, 16, 0.25)
    assert (labels == POSITIVE).sum() == 4 and (labels == NEGATIVE).sum() == 12
    assert len(set(indices.tolist())) == 16


def test_sample_fills_up_with_negatives_when_positives_are_few():
    labels, _ = _drawn(LABELS, 36, 0.5)
    assert (labels == POSITIVE).sum() == 10 and (labels == NEGATIVE).sum() == 26


def test_sample_larger_than_the_candidates_takes_all_that_are_labelled():
    labels, _ = _drawn(LABELS, 10**7, 0.5)
    assert (labels == POSITIVE).sum() == 10 and (labels == NEGATIVE).sum() == 30


def test_sample_puts_the_drawn_rows_first_and_positives_before_negatives():
    indices, valid = sample(LABELS, 64, 0.5, tf.constant([0, 0]))
    assert valid.numpy().tolist() == [True] * 40 + [False] * 24
    assert (LABELS.numpy()[indices.numpy()[:10]] == POSITIVE).all()


def test_same_seed_same_sample_other_seed_other_sample():
    first, again, other = (_drawn(LABELS, 8, 0.5, seed)[1] for seed in ((1, 2), (1, 2), (1, 3)))
    np.testing.assert_array_equal(first, again)
    assert set(first.tolist()) != set(other.tolist())


def test_sample_draws_every_candidate_equally_often():
    counts = np.zeros(30)
    for seed in range(300):
        _, indices = _drawn(LABELS, 10, 0.0, (seed, 0))
        counts[indices - 10] += 1
    assert counts.min() > 60 and counts.max() < 145  # 100 each on average, standard deviation 8


ANCHORS = {"P2": tf.constant([[0.0, 0, 10, 10], [0, 0, 10, 5]]), "P3": tf.constant([[50.0, 50, 60, 60]])}


def _anchor_targets(gt, classes, crowd):
    return AnchorTargets(0.7, 0.3, 8, 0.5, 0.7)(
        ANCHORS, tf.constant([gt]), tf.constant([classes]), tf.constant([crowd]), tf.constant([[1, 1]])
    )


def test_anchor_targets():
    found = _anchor_targets([[0.0, 0, 10, 10]], [1], [False])
    indices, valid, labels = (found[key].numpy()[0] for key in ("indices", "valid", "labels"))
    assert indices[valid].tolist() == [0, 2]  # anchor 1 has IoU 0.5: ignored
    assert labels[valid].tolist() == [1, 0]


def test_anchor_targets_of_an_image_without_objects_are_all_background():
    found = _anchor_targets([[0.0, 0, 0, 0]], [0], [False])
    assert found["valid"].numpy().all() and not found["labels"].numpy().any()
    assert not found["deltas"].numpy().any()


def _proposal_targets(proposals, gt, classes, crowd=None, valid=None):
    return ProposalTargets(0.5, 8, 0.5, 0.7, (10, 10, 5, 5))(
        tf.constant([proposals]),
        tf.constant([valid or [True] * len(proposals)]),
        tf.constant([gt]),
        tf.constant([classes]),
        tf.constant([crowd or [False] * len(gt)]),
        tf.constant([[1, 1]]),
    )


def test_ground_truth_joins_the_proposals():
    found = _proposal_targets([[50.0, 50, 60, 60]], [[0.0, 0, 10, 10]], [2])
    assert found["classes"].numpy().tolist() == [[2, 0]]
    np.testing.assert_array_equal(found["boxes"][0, 0], [0, 0, 10, 10])


def test_proposal_targets_leave_out_rows_that_do_not_count():
    found = _proposal_targets([[50.0, 50, 60, 60], [1, 1, 9, 9]], [[0.0, 0, 0, 0]], [0], valid=[True, False])
    assert found["valid"].numpy().tolist() == [[True]] and found["classes"].numpy().tolist() == [[0]]


def test_a_crowd_is_no_proposal_and_shields_those_inside():
    found = _proposal_targets([[5.0, 5, 9, 9], [80, 80, 90, 90]], [[0.0, 0, 50, 50]], [1], [True])
    np.testing.assert_array_equal(found["boxes"][0][found["valid"][0]], [[80, 80, 90, 90]])


def test_positive_rois_are_never_none():
    found = _proposal_targets([[50.0, 50, 60, 60]], [[0.0, 0, 0, 0]], [0])
    rois = PositiveRoIs()(found)
    assert rois["valid"].numpy().tolist() == [False] and rois["boxes"].shape == (1, 4)


OBJECT = [10.0, 40, 30, 80]
"""Whose corner and sides all differ, so that no axis passes for the other."""


def _mask_targets(roi, crop, size=4):
    rois = {
        "boxes": tf.constant([roi], tf.float32),
        "image_indices": tf.constant([0]),
        "matched": tf.constant([0]),
    }
    return MaskTargets(size)(rois, tf.constant([[OBJECT]]), tf.constant(crop)[None, None]).numpy()[0]


def test_the_mask_target_of_the_objects_own_box_is_its_crop():
    crop = np.zeros((8, 8), np.uint8)
    crop[:4] = 255
    expected = np.zeros((4, 4))
    expected[:2] = 1
    np.testing.assert_allclose(_mask_targets(OBJECT, crop), expected, atol=0.26)
    np.testing.assert_array_equal(_mask_targets(OBJECT, crop) > 0.5, expected > 0.5)


def test_a_mask_target_is_empty_where_the_roi_leaves_the_objects_box():
    full = np.full((8, 8), 255, np.uint8)
    target = _mask_targets([10, 40, 50, 80], full)  # twice as wide as the object
    np.testing.assert_allclose(target[:, 2:], 0, atol=1e-6)
    np.testing.assert_allclose(target[1:3, 0], 1, atol=1e-6)


def test_the_mask_target_of_a_quarter_of_the_box_is_that_quarter_of_the_crop():
    crop = np.arange(64, dtype=np.uint8).reshape(8, 8) * 4
    upper_right = crop[:4, 4:] / 255
    np.testing.assert_allclose(_mask_targets([20, 40, 30, 60], crop), upper_right, atol=1e-6)


@pytest.mark.parametrize("roi", [[100, 100, 120, 120], [10, 10, 10, 10]])
def test_mask_targets_are_finite_for_any_roi(roi):
    assert np.isfinite(_mask_targets(roi, np.full((8, 8), 255, np.uint8))).all()


def test_mask_targets_may_be_cut_at_one_half():
    gt_masks = np.zeros((1, 1, 4, 4), np.uint8)
    gt_masks[..., :3] = 255  # three quarters of the box from the left
    rois = {
        "boxes": tf.constant([[0.0, 0, 8, 8]]),
        "image_indices": tf.constant([0]),
        "matched": tf.constant([0]),
    }
    for binary, expected in ((False, [1.0, 0.5]), (True, [1.0, 1.0])):
        found = MaskTargets(2, binary)(rois, tf.constant([[[0.0, 0, 8, 8]]]), tf.constant(gt_masks))
        np.testing.assert_allclose(found[0, 0], expected, atol=1e-6)


def test_each_roi_has_the_mask_of_its_own_image_and_object():
    gt_masks = np.zeros((2, 3, 4, 4), np.uint8) + np.arange(6, dtype=np.uint8).reshape(2, 3, 1, 1) * 51
    gt_boxes = np.float32([[[10 * o, 50 * i, 10 * o + 8, 50 * i + 8] for o in range(3)] for i in range(2)])
    images, objects = np.array([1, 0, 1, 0]), np.array([2, 1, 0, 1])
    rois = {
        "boxes": tf.constant(gt_boxes[images, objects]),
        "image_indices": tf.constant(images, tf.int32),
        "matched": tf.constant(objects, tf.int32),
    }
    found = MaskTargets(1)(rois, tf.constant(gt_boxes), tf.constant(gt_masks))
    np.testing.assert_allclose(found[:, 0, 0], [1.0, 0.2, 0.6, 0.2], atol=1e-6)
