"""The sources' own models: the same weights and photographs give the same numbers.

Every figure: `python tests/support/parity_report.py`.
"""

import numpy as np
import pytest
from parity import NAMES, OWN_NAMES, own_kit, shared_kit
from parity_report import Comparison, gradient_error

from keras_maskrcnn.weights.sources.table import save

SLOW = {"mmdet_mask_rcnn_x101_32x8d_fpn"}
EVERY = [
    *(
        pytest.param((own_kit, name), id=name, marks=[pytest.mark.slow] if name in SLOW else [])
        for name in OWN_NAMES
    ),
    *(pytest.param((shared_kit, name), id=f"shared {name}", marks=pytest.mark.slow) for name in NAMES),
]
FILES = {
    "torchvision_maskrcnn_resnet50_fpn",
    "detectron2_mask_rcnn_R_50_C4",
    "mmdet_mask_rcnn_r50_caffe_fpn",
    "matterport_mask_rcnn_coco",
}
"""One kit of each source has its weights go through a file, which takes a while."""


@pytest.fixture(scope="module", params=EVERY)
def comparison(request):
    read, name = request.param
    return Comparison(read(name), as_file=name in FILES or read is shared_kit)


def test_dense_stages(comparison):
    assert max(comparison.inference.dense_stages().values()) < 1e-3


def test_roi_stages_on_the_recorded_proposals_and_detections(comparison):
    assert max(comparison.inference.roi_stages().values(), default=0) < 1e-3


def test_proposals_one_to_one(comparison):
    # many of Matterport's candidates have equal probabilities in float32, and TensorFlow 1 takes such in the order
    # in which they fall out of its heap
    least = 0.98 if comparison.kit.source == "matterport" else 0.99
    assert min(comparison.inference.proposals().values()) >= least


def test_detections_one_to_one_with_their_masks_and_keypoints(comparison):
    for name, value in comparison.inference.detections().items():
        if name.startswith("mask area"):
            assert value < 0.02, name
        elif name.startswith("keypoints"):
            # a heat map is resized to whole pixels, rounded up: the last bit of a side decides, as it does of two peaks
            assert value >= 0.98, name
        else:
            assert value >= 0.99, name


@pytest.mark.slow
def test_test_time_augmentation(comparison):
    if "tta.boxes" not in comparison.kit.arrays:
        pytest.skip("nothing was recorded with test-time augmentation in this kit")
    figures = comparison.inference.augmented()
    assert figures["augmented detections"] >= 0.99
    assert figures["augmented mask iou"] >= 0.99
    assert figures["augmented masks"] < 1e-3  # probabilities, in their deviations


def test_losses_counts_and_every_gradient(comparison):
    if not comparison.kit.trained:
        pytest.skip("no training was recorded in this kit")
    training = comparison.training
    for loss, (ours, recorded) in training.losses().items():
        bound = 0.01 if loss in ("mask_loss", "keypoint_loss") else 0.005
        assert ours == pytest.approx(recorded, rel=bound), loss
    for count, (ours, recorded) in training.counts().items():
        assert ours == recorded, count
    for key, (ours, recorded) in training.gradients().items():
        assert gradient_error(ours, recorded) < 0.02, key


def test_names_convert_back_to_equal_tensors(comparison):
    back, state = save(comparison.table), comparison.kit.state()
    left = {key for key in state if key not in back}
    assert all(key.endswith("num_batches_tracked") for key in left), left
    for key, value in back.items():
        np.testing.assert_array_equal(value, state[key])
