"""The models of torchvision, Detectron2 and Matterport: the same weights and photographs give the same numbers.

Every figure: `python tests/parity_report.py`.
"""

import numpy as np
import pytest
from parity import NAMES, Kit
from parity_report import Inference, Training, config_of, gradient_error, loaded

from keras_maskrcnn.weights.sources.table import save

QUICK = "detectron2_mask_rcnn_R_50_C4"
EVERY = [name if name == QUICK else pytest.param(name, marks=pytest.mark.slow) for name in NAMES]
TRAINED = [
    name
    for name in NAMES
    if name not in ("matterport_mask_rcnn_coco", "detectron2_mask_rcnn_X_101_32x8d_FPN")
]


@pytest.fixture(scope="module", params=EVERY)
def inference(request):
    return Inference(request.param)


def test_dense_stages(inference):
    assert max(inference.dense_stages().values()) < 1e-3


def test_roi_stages_on_the_recorded_proposals_and_detections(inference):
    assert max(inference.roi_stages().values(), default=0) < 1e-3


def test_proposals_one_to_one(inference):
    # many of Matterport's candidates have equal probabilities in float32, and TensorFlow 1 takes such in the order
    # in which they fall out of its heap
    least = 0.98 if inference.kit.source == "matterport" else 0.99
    assert min(inference.proposals().values()) >= least


def test_detections_one_to_one_with_their_masks_and_keypoints(inference):
    for name, value in inference.detections().items():
        if name.startswith(("detections", "mask iou")):
            assert value >= 0.99, name
        else:
            assert value < {"keypoints": 0.5, "mask area": 0.02}[name.split(".")[0]], name


@pytest.mark.slow
@pytest.mark.parametrize("name", TRAINED)
def test_training_losses_counts_and_every_gradient(name):
    training = Training(name)
    for loss, (ours, recorded) in training.losses().items():
        bound = 0.01 if loss in ("mask_loss", "keypoint_loss") else 0.005
        assert ours == pytest.approx(recorded, rel=bound), loss
    for count, (ours, recorded) in training.counts().items():
        assert ours == recorded, count
    for key, (ours, recorded) in training.gradients().items():
        assert gradient_error(ours, recorded) < 0.02, key


@pytest.mark.parametrize("name", EVERY)
def test_names_convert_back_to_equal_tensors(name):
    kit = Kit(name)
    _, table = loaded(kit, config_of(kit))
    back, state = save(table), kit.state()
    left = {key for key in state if key not in back}
    assert all(key.endswith("num_batches_tracked") for key in left), left
    for key, value in back.items():
        np.testing.assert_array_equal(value, state[key])
