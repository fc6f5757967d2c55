"""torchvision's Mask R-CNN v1, stage by stage: the same weights, the same photographs, the same numbers."""

import numpy as np
import pytest
import tensorflow as tf
from parity import Kit, match

from keras_maskrcnn.config import Config
from keras_maskrcnn.graphs import box_part, dense_part, mask_part
from keras_maskrcnn.images import read_image
from keras_maskrcnn.layers.inputs import Normalize
from keras_maskrcnn.layers.roi_align import RoIAlign
from keras_maskrcnn.layers.rpn import Proposals
from keras_maskrcnn.model import MaskRCNN, image_batch
from keras_maskrcnn.weights import torchvision
from keras_maskrcnn.weights.table import load

# the recorded model has a trainable batch norm, in inference mode, and all stages train
CONFIG = Config(class_names=tuple(f"label {i}" for i in range(1, 91)), norm="batch_norm", frozen_stages=0)


@pytest.fixture(scope="module")
def kit():
    return Kit("torchvision_maskrcnn_resnet50_fpn")


@pytest.fixture(scope="module")
def model(kit):
    model = MaskRCNN(CONFIG)
    load(torchvision.table(model), kit.state(), model, torchvision.IGNORED)
    return model


@pytest.fixture(scope="module")
def batch(kit):
    return image_batch([read_image(photo) for photo in kit.photos], CONFIG)


@pytest.fixture(scope="module")
def dense(model, batch):
    return tf.function(lambda: dense_part(model, batch))()


def test_input_is_resized_and_padded_alike(kit, batch):
    np.testing.assert_array_equal(batch["sizes"], kit["resized_sizes"])
    batch_size, channels, height, width = kit["batch_shape"]
    assert batch["images"].shape == (batch_size, height, width, channels)
    normalized = Normalize(CONFIG.pixel_mean, CONFIG.pixel_std)(batch["images"], batch["sizes"])
    assert kit.difference("input", normalized) < 1e-3


def test_features(kit, dense):
    for stage, level in zip(("0", "1", "2", "3", "pool"), ("P2", "P3", "P4", "P5", "P6"), strict=True):
        assert kit.difference(f"feature.{stage}", dense[0][level]) < 1e-3


def test_rpn_outputs_and_anchors(kit, dense):
    _, logits, deltas, anchors = dense
    for i, level in enumerate(logits):
        assert kit.difference(f"rpn.objectness.{i}", logits[level]) < 1e-3
        assert kit.difference(f"rpn.deltas.{i}", deltas[level]) < 1e-3
    joined = np.concatenate(list(anchors.values()))
    assert len(joined) == kit["anchors.count"]
    np.testing.assert_array_equal(joined[list(range(6)) + list(range(-6, 0))], kit["anchors.first_last"])


def test_proposals(kit, dense, batch):
    _, logits, deltas, anchors = dense
    layer = Proposals(CONFIG.pre_nms_top_k, CONFIG.post_nms_top_k, CONFIG.rpn_nms_iou, CONFIG.rpn_min_size)
    proposals, valid = layer(logits, deltas, anchors, batch["sizes"])
    for i in range(2):
        found = proposals.numpy()[i][valid.numpy()[i]]
        assert len(found) == len(kit[f"proposals.{i}"])
        assert match(found, kit[f"proposals.{i}"]) >= 0.99


def test_second_stage_on_recorded_proposals(kit, model, dense):
    proposals = tf.constant(np.stack([kit["proposals.0"], kit["proposals.1"]]))
    pooled = RoIAlign(7, 2, False, "average")(
        dense[0], tf.reshape(proposals, [-1, 4]), tf.repeat(tf.range(2), 1000)
    )
    assert kit.difference("box_roi_pool", pooled) < 1e-3
    logits, deltas = box_part(model, dense[0], proposals)
    assert kit.difference("class_logits", logits) < 1e-3
    assert kit.difference("box_regression", deltas) < 1e-3


def test_masks_of_recorded_detections(kit, model, dense):
    for i in range(2):
        boxes = tf.constant(kit[f"resized_detections.{i}.boxes"][:20])
        labels = kit[f"detections.{i}.labels"][:20]
        rois = {"boxes": boxes, "image_indices": tf.fill([20], i)}
        masks = tf.sigmoid(mask_part(model, dense[0], rois)).numpy()[np.arange(20), :, :, labels]
        recorded = kit[f"mask_probs28.{i}"]
        assert np.abs(masks - recorded).max() / recorded.std() < 1e-3


def test_detections(kit, model):
    for i, found in enumerate(model.detect(kit.photos, batch_size=2, masks=None)):
        recorded = kit[f"detections.{i}.boxes"]
        assert len(found) == len(recorded)
        same = found.class_ids[:, None] == kit[f"detections.{i}.labels"][None]
        same &= np.abs(found.scores[:, None] - kit[f"detections.{i}.scores"][None]) < 1e-3
        assert match(found.boxes, recorded, same) >= 0.99
