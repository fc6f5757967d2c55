"""torchvision's Mask R-CNN v1, stage by stage: the same weights, the same photographs, the same numbers."""

import dataclasses

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
from keras_maskrcnn.masks import crop_mask, segmentation_to_mask
from keras_maskrcnn.model import MaskRCNN, image_batch
from keras_maskrcnn.weights import torchvision
from keras_maskrcnn.weights.table import load, save

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


def ground_truth(kit, config):
    """The annotations of the two photographs, in the form that `make_dataset` gives them."""
    _, annotations = kit.annotations()
    most = int(kit["train.num_gt"].max())
    values = {
        "gt_boxes": np.zeros((2, most, 4), np.float32),
        "gt_classes": np.zeros((2, most), np.int32),
        "gt_crowd": np.zeros((2, most), bool),
        "gt_masks": np.zeros((2, most, config.mask_crop_size, config.mask_crop_size), np.uint8),
        "seeds": np.zeros((2, 2), np.int32),
    }
    for i, of_image in enumerate(annotations):
        (height, width), (new_height, new_width) = kit["image_sizes"][i], kit["resized_sizes"][i]
        usable = [a for a in of_image if min(a["bbox"][2:]) > 1]  # as recorded: no side of at most a pixel
        assert len(usable) == kit["train.num_gt"][i]
        for j, annotation in enumerate(usable):
            x, y, w, h = annotation["bbox"]
            box = np.clip([x, y, x + w, y + h], 0, [width, height] * 2)
            mask = segmentation_to_mask(annotation["segmentation"], height, width)
            values["gt_boxes"][i, j] = box * ([new_width / width, new_height / height] * 2)
            values["gt_classes"][i, j] = annotation["category_id"]
            values["gt_masks"][i, j] = crop_mask(mask, box, config.mask_crop_size)
    return {key: tf.constant(value) for key, value in values.items()}


RECORDED_LOSSES = {
    "class_loss": ("loss_classifier", 0.005),
    "box_loss": ("loss_box_reg", 0.005),
    "mask_loss": ("loss_mask", 0.01),
    "rpn_class_loss": ("loss_objectness", 0.005),
    "rpn_box_loss": ("loss_rpn_box_reg", 0.005),
}


def test_training_losses_and_every_gradient(kit, batch):
    # all anchors and all proposals count, so that no random choice is in the numbers
    config = dataclasses.replace(
        CONFIG, rpn_batch_size=10**7, box_batch_size=10**7, box_positive_fraction=0.5
    )
    model = MaskRCNN(config)
    load(torchvision.table(model), kit.state(), model, torchvision.IGNORED)
    inputs = {**batch, **ground_truth(kit, config)}

    @tf.function
    def step():
        with tf.GradientTape() as tape:
            losses = model(inputs, training=False)  # batch norm as recorded: by its moving statistics
            total = tf.add_n(list(losses.values()))
        return losses, tape.gradient(total, model.trainable_variables)

    losses, gradients = step()
    for ours, (theirs, bound) in RECORDED_LOSSES.items():
        print(f"{ours} {float(losses[ours]):.6f} recorded {float(kit[f'train.{theirs}']):.6f}")
        assert float(losses[ours]) == pytest.approx(float(kit[f"train.{theirs}"]), rel=bound)
    norms = {id(v): float(tf.norm(g)) for v, g in zip(model.trainable_variables, gradients, strict=True)}
    ours = {
        entry.key: norms[id(entry.variable)]
        for entry in torchvision.table(model)
        if id(entry.variable) in norms
    }
    recorded = dict(zip(kit["train.grad_names"].tolist(), kit["train.grad_norms"].tolist(), strict=True))
    assert set(recorded) == set(ours)
    worst = max(recorded, key=lambda key: abs(ours[key] - recorded[key]) / max(recorded[key], 5e-4))
    print(
        f"{len(recorded)} gradients; the worst is {worst}: {ours[worst]:.6g}, recorded {recorded[worst]:.6g}"
    )
    for key, norm in recorded.items():
        assert ours[key] == pytest.approx(norm, rel=0.02, abs=1e-5), key


def test_names_convert_back_to_equal_tensors(kit, model):
    back, state = save(torchvision.table(model)), kit.state()
    assert set(back) == {key for key in state if not key.endswith(torchvision.IGNORED)}
    for key, value in back.items():
        np.testing.assert_array_equal(value, state[key])
