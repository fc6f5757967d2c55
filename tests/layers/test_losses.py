import math

import numpy as np
import pytest
import tensorflow as tf

from keras_maskrcnn.layers.losses import (
    AnchorBoxLoss,
    BoxLoss,
    ClassLoss,
    MaskLoss,
    ObjectnessLoss,
    select_class,
    smooth_l1,
)


def test_smooth_l1_is_quadratic_below_beta_and_linear_above():
    found = smooth_l1(tf.constant([0.0, 0.05, 0.1, 1.0, -1.0]), 0.1)
    np.testing.assert_allclose(found, [0, 0.0125, 0.05, 0.95, 0.95], rtol=1e-6)


def test_smooth_l1_with_beta_zero_is_l1():
    np.testing.assert_allclose(smooth_l1(tf.constant([-2.0, 0.5]), 0), [2, 0.5])


ANCHOR_TARGETS = {
    "indices": tf.constant([[2, 0, 0]]),
    "labels": tf.constant([[1.0, 0.0, 0.0]]),
    "valid": tf.constant([[True, True, False]]),
    "deltas": tf.constant([[[1.0, 0, 0, 0], [0, 0, 0, 0], [0, 0, 0, 0]]]),
}


def test_objectness_loss_by_hand():
    logits = {"P2": tf.constant([[0.0, 7.0]]), "P3": tf.constant([[math.log(3)]])}
    # anchor 2 is an object and gets 3/4, anchor 0 is not and gets 1/2
    expected = -(math.log(3 / 4) + math.log(1 / 2)) / 2
    assert float(ObjectnessLoss()(logits, ANCHOR_TARGETS)) == pytest.approx(expected, rel=1e-5)


def test_anchor_box_loss_counts_objects_and_divides_by_all_sampled():
    deltas = {"P2": tf.fill((1, 2, 4), 9.0), "P3": tf.zeros((1, 1, 4))}
    assert float(AnchorBoxLoss(0.0)(deltas, ANCHOR_TARGETS)) == pytest.approx(1 / 2)


PROPOSAL_TARGETS = {
    "classes": tf.constant([[2, 0, 0]]),
    "valid": tf.constant([[True, True, False]]),
    "deltas": tf.constant([[[1.0, 1, 0, 0], [0, 0, 0, 0], [0, 0, 0, 0]]]),
}


def _two_images():
    """Targets of two images, three sampled anchors in all: a fixed divisor is another number than theirs."""
    targets = {
        "indices": [[0, 1], [0, 0]],
        "labels": [[1.0, 0.0], [1.0, 0.0]],
        "valid": [[True, True], [True, False]],
    }
    return {name: tf.constant(value) for name, value in targets.items()}


@pytest.mark.parametrize("anchors_per_image, divisor", [(0, 3), (4, 2 * 4)])
def test_objectness_loss_is_divided_by_the_sampled_anchors_or_so_many_per_image(anchors_per_image, divisor):
    logits = {"P2": tf.zeros((2, 2))}
    loss = ObjectnessLoss(anchors_per_image)(logits, _two_images())
    np.testing.assert_allclose(loss, 3 * math.log(2) / divisor, rtol=1e-6)


@pytest.mark.parametrize("anchors_per_image, divisor", [(0, 3), (4, 2 * 4)])
def test_anchor_box_loss_is_divided_by_the_sampled_anchors_or_so_many_per_image(anchors_per_image, divisor):
    targets = {**_two_images(), "deltas": tf.zeros((2, 2, 4))}
    loss = AnchorBoxLoss(0.0, anchors_per_image)({"P2": tf.ones((2, 2, 4))}, targets)
    np.testing.assert_allclose(loss, 2 * 4 / divisor, rtol=1e-6)  # two objects, each off by 1 in four deltas


def test_class_loss_by_hand():
    logits = tf.math.log(tf.constant([[0.1, 0.2, 0.7], [0.5, 0.3, 0.2], [1e-9, 0.5, 0.5]]))
    expected = -(math.log(0.7) + math.log(0.5)) / 2
    assert float(ClassLoss()(logits, PROPOSAL_TARGETS)) == pytest.approx(expected, rel=1e-5)


def test_classes_weigh_what_they_are_given_in_the_mean():
    logits = tf.math.log(tf.constant([[0.1, 0.2, 0.7], [0.5, 0.3, 0.2], [1e-9, 0.5, 0.5]]))
    expected = -(3 * math.log(0.7) + math.log(0.5)) / 4  # class 2 and the background
    assert float(ClassLoss((5.0, 3.0))(logits, PROPOSAL_TARGETS)) == pytest.approx(expected, rel=1e-5)
    only = {**PROPOSAL_TARGETS, "classes": tf.constant([[2, 2, 2]])}
    assert float(ClassLoss((1.0, 0.0))(logits, only)) == 0


@pytest.mark.parametrize(("boxes", "background"), [(3, True), (2, False), (1, True)])
def test_box_loss_looks_at_the_true_class_only(boxes, background):
    deltas = np.full((3, boxes, 4), 100.0, np.float32)
    deltas[0, -1] = 0  # class 2 is the last row in each of the layouts
    assert float(BoxLoss(0.0, background)(tf.constant(deltas), PROPOSAL_TARGETS)) == pytest.approx(2 / 2)


ROIS = {"classes": tf.constant([1, 1]), "valid": tf.constant([True, False])}


def _mask_loss(kind, background, own, other):
    channels = {"softmax": 3, "class_agnostic": 1}.get(kind, 2 + int(background))
    logits = np.full((2, 2, 2, channels), other, np.float32)
    logits[..., 0 if kind == "class_agnostic" or not (background or kind == "softmax") else 1] = own
    masks = tf.constant([[[1.0, 1.0], [0.0, 0.0]]] * 2)
    return float(MaskLoss(kind, background)(tf.constant(logits), masks, ROIS))


@pytest.mark.parametrize("background", [True, False])
def test_sigmoid_masks_of_other_classes_do_not_compete(background):
    expected = -(math.log(3 / 4) + math.log(1 / 4)) / 2
    for other in (-50.0, 50.0):
        assert _mask_loss("sigmoid", background, math.log(3), other) == pytest.approx(expected, rel=1e-5)


def test_class_agnostic_mask_serves_every_class():
    assert _mask_loss("class_agnostic", True, 0.0, 0.0) == pytest.approx(math.log(2), rel=1e-5)


def test_softmax_masks_compete():
    # three equal logits: each pixel has 1/3 for its class, inside and outside
    assert _mask_loss("softmax", True, 0.0, 0.0) == pytest.approx(math.log(3), rel=1e-5)
    assert _mask_loss("softmax", True, 0.0, 5.0) > math.log(3)


def test_without_a_valid_row_the_loss_is_zero_and_the_log_is_untouched():
    layer = ClassLoss()
    layer(tf.zeros((3, 3)), PROPOSAL_TARGETS)
    before = float(layer.tracker.result())
    assert float(layer(tf.zeros((3, 3)), {**PROPOSAL_TARGETS, "valid": tf.zeros((1, 3), tf.bool)})) == 0
    assert float(layer.tracker.result()) == before > 0


def test_select_class_counts_from_one_without_a_background_row():
    rows = tf.reshape(tf.range(6.0), (2, 3))
    np.testing.assert_array_equal(select_class(rows, tf.constant([1, 3]), background=False), [0, 5])
    np.testing.assert_array_equal(select_class(rows, tf.constant([1, 2]), background=True), [1, 5])
