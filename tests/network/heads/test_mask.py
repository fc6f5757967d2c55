"""The mask heads of a cascade: each is trained on the RoIs of its box stage."""

import numpy as np
import pytest
import tensorflow as tf
from examples import batch, tiny
from variants import VARIANTS

from keras_maskrcnn.layers.targets import MaskTargets
from keras_maskrcnn.models.mask_rcnn import MaskRCNN
from keras_maskrcnn.network.training_graph import all_losses, training_stages


@pytest.fixture(scope="module")
def model():
    return MaskRCNN(tiny(**VARIANTS["cascade of masks"]))


@pytest.fixture(scope="module")
def stages(model):
    return training_stages(model.network, batch(model.config, size=(96, 128)))


def positives(stage):
    """The boxes `[M, 4]` and classes of a stage's positive RoIs."""
    sample = stage["sample"]
    chosen = sample["classes"].numpy() > 0
    return sample["boxes"].numpy()[chosen], sample["classes"].numpy()[chosen]


def test_every_stages_positive_rois_get_masks(stages):
    rois = stages["mask_rois"]
    boxes, classes = (
        np.concatenate(part) for part in zip(*map(positives, stages["box_stages"]), strict=True)
    )
    valid = rois["valid"].numpy()
    assert len(boxes) >= 3 and valid.sum() == len(boxes)
    np.testing.assert_array_equal(rois["boxes"].numpy()[valid], boxes)
    np.testing.assert_array_equal(rois["classes"].numpy()[valid], classes)
    assert len(stages["mask_logits"]) == len(stages["mask_targets"]) == len(valid)


def test_each_head_sees_the_rois_of_its_stage_and_returns_the_true_classs_mask(model, stages):
    classes = stages["mask_rois"]["classes"].numpy()[:, None, None, None]
    counts = [max(len(positives(stage)[0]), 1) for stage in stages["box_stages"]]
    start = 0
    for number, count in enumerate(counts):
        own = slice(start, start + count)
        logits = model.mask_head(stages["mask_features"][own], stage=number)
        of_class = np.take_along_axis(logits.numpy(), classes[own], axis=3)  # the background has a mask too
        np.testing.assert_allclose(stages["mask_logits"][own], of_class, atol=1e-5)
        start += count
    assert start == len(stages["mask_logits"])


def test_targets_are_of_the_stages_boxes(model, stages):
    config, truth = model.config, stages["truth"]
    targets = MaskTargets(size=config.mask_size, binary=config.binary_mask_targets)
    expected = targets(stages["mask_rois"], truth["gt_boxes"], truth["gt_masks"])
    np.testing.assert_array_equal(stages["mask_targets"], expected)


def test_the_loss_is_the_mean_over_all_stages(model, stages):
    losses = all_losses(model.network, stages)
    rois, logits = stages["mask_rois"], stages["mask_logits"].numpy()
    each = tf.nn.sigmoid_cross_entropy_with_logits(stages["mask_targets"], logits[..., 0])
    expected = np.mean(each.numpy()[rois["valid"].numpy()])
    assert float(losses["mask_loss"]) == pytest.approx(expected, rel=1e-5)
