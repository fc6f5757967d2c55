"""Mask scoring, against values computed by hand."""

import numpy as np
import pytest
import tensorflow as tf

from keras_maskrcnn.layers.mask_iou import ClassMasks, MaskIoUHead, MaskIoULoss, MaskIoUTargets, MaskScores


def rois(boxes, classes=None, images=None, matched=None, valid=None):
    count = len(boxes)
    return {
        "boxes": tf.constant(boxes, tf.float32),
        "classes": tf.constant(classes or [1] * count),
        "image_indices": tf.constant(images or [0] * count),
        "matched": tf.constant(matched or [0] * count),
        "valid": tf.constant(valid or [True] * count),
        "rows": tf.range(count),
    }


def targets(mask, target, roi, gt_box, crop):
    layer = MaskIoUTargets()
    return layer(
        tf.constant([mask], tf.float32),
        tf.constant([target], tf.float32),
        rois([roi]),
        tf.constant([[gt_box]], tf.float32),
        tf.constant([[crop]], tf.uint8),
    ).numpy()[0]


FULL = np.full((4, 4), 255)
LEFT = np.array([[1, 1, 0, 0]] * 4)


def test_a_perfect_mask_has_an_iou_of_one():
    assert targets(LEFT, LEFT, [0, 0, 8, 8], [0, 0, 4, 8], FULL) == pytest.approx(1)


def test_half_of_an_object_is_half():
    # the object fills the RoI, the mask its left half
    assert targets(LEFT, np.ones((4, 4)), [0, 0, 8, 8], [0, 0, 8, 8], FULL) == pytest.approx(0.5)


def test_what_lies_outside_of_the_roi_counts_as_missed():
    # 8 x 8 pixels of an object of 16 x 8 lie in the RoI, all of them in the mask
    ones = np.ones((4, 4))
    assert targets(ones, ones, [0, 0, 8, 8], [0, 0, 16, 8], FULL) == pytest.approx(0.5)


def test_the_objects_area_is_that_of_its_mask_not_of_its_box():
    # the object is the left half of its box: 4 x 8 pixels, as is the mask
    crop = np.where(LEFT, 255, 0)
    assert targets(LEFT, LEFT, [0, 0, 8, 8], [0, 0, 8, 8], crop) == pytest.approx(1)


def test_masks_are_thresholded_at_one_half():
    soft = np.where(LEFT, 0.5, 0.49)
    assert targets(soft, LEFT, [0, 0, 8, 8], [0, 0, 4, 8], FULL) == pytest.approx(1)


def test_an_empty_mask_has_an_iou_of_zero():
    assert targets(np.zeros((4, 4)), LEFT, [0, 0, 8, 8], [0, 0, 4, 8], FULL) == 0


def test_each_roi_is_compared_with_its_own_object():
    masks = tf.ones([2, 2, 2])
    boxes = tf.constant([[[0, 0, 4, 4], [0, 0, 8, 4]], [[0, 0, 4, 4], [0, 0, 4, 16]]], tf.float32)
    crops = tf.fill([2, 2, 4, 4], tf.constant(255, tf.uint8))
    found = MaskIoUTargets()(
        masks, masks, rois([[0, 0, 4, 4]] * 2, images=[0, 1], matched=[1, 1]), boxes, crops
    )
    np.testing.assert_allclose(found, [0.5, 0.25])


def test_the_loss_is_the_squared_error_of_the_true_class():
    ious = tf.constant([[0.9, 0.2], [0.4, 0.5], [0.0, 1.0]])
    sample = rois([[0, 0, 1, 1]] * 3, classes=[1, 2, 1], valid=[True, True, False])
    loss = MaskIoULoss(name="mask_iou_loss")(ious, tf.constant([0.7, 0.8, 0.0]), sample)
    assert float(loss) == pytest.approx((0.2**2 + 0.3**2) / 2)


def test_mask_scores_are_class_scores_times_ious():
    ious = tf.constant([[0.5, 0.1], [0.3, 1.7], [-0.2, 0.4]])  # what a regression may say is kept within 0..1
    sample = rois([[0, 0, 1, 1]] * 3, classes=[1, 2, 1])
    sample["rows"] = tf.constant([0, 1, 3])  # of two images with two detections each
    scores = MaskScores()(ious, sample, tf.constant([[0.8, 0.6], [0.9, 0.5]]))
    np.testing.assert_allclose(scores, [[0.4, 0.6], [0.0, 0.0]], atol=1e-7)


def test_no_gradient_reaches_the_masks():
    logits = tf.random.normal([2, 4, 4, 3], seed=1)
    with tf.GradientTape() as tape:
        tape.watch(logits)
        masks = ClassMasks("sigmoid", background=True)(logits, tf.constant([1, 2]))
    assert tape.gradient(masks, logits) is None
    np.testing.assert_allclose(masks[1], tf.sigmoid(logits[1, :, :, 2]))


def test_the_head_takes_features_and_masks():
    head = MaskIoUHead(num_classes=3, conv_channels=16, fc_channels=8)
    features = tf.random.normal([2, 14, 14, 16], seed=1)
    masks = tf.random.uniform([2, 28, 28], seed=2)
    ious = head(features, masks)
    assert ious.shape == (2, 3) and ious.dtype == tf.float32
    assert head.convs[0].kernel.shape == (3, 3, 17, 16)
    assert [conv.strides for conv in head.convs] == [1, 1, 1, 2]
    assert not np.allclose(ious, head(features, 1 - masks), atol=1e-6)
