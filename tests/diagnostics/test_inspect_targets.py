"""Training targets are held to what the overlaps say, computed in plain numpy."""

import numpy as np
import pytest
from inspected import HEIGHT, WIDTH, annotated, ellipse, ious

from keras_maskrcnn.data.records import make_record
from keras_maskrcnn.diagnostics.draw_stages import draw_targets
from keras_maskrcnn.diagnostics.inspect_targets import inspect_targets

pytestmark = [
    pytest.mark.usefixtures("without_traces"),
    pytest.mark.filterwarnings("ignore:Even though the `tf.config.experimental_run_functions_eagerly`"),
]


def test_targets_are_what_the_overlaps_say(inspected):
    model, _, _ = inspected
    record = annotated(model)
    targets = inspect_targets(model, record)
    anchors, truth = targets.anchors.astype(float), record.boxes.astype(float)
    if model.config.square:  # boxes end on their last pixel, and the image's last pixel is the input's
        step = (np.array([WIDTH, HEIGHT] * 2) - 1) / (np.array([90, 64] * 2) - 1)
        anchors -= [0, 0, 1, 1]
        truth = (truth * np.array([90, 64] * 2) / [WIDTH, HEIGHT, WIDTH, HEIGHT] - [0, 0, 1, 1]) * step
    overlaps = ious(truth[:2], anchors)
    best = overlaps.max(axis=0)
    labels = np.where(best >= 0.7, 1, np.where(best < 0.3, 0, -1))
    labels[(overlaps >= overlaps.max(axis=1, keepdims=True) - 1e-6).any(axis=0)] = 1
    a, c = anchors, truth[2]
    inside = (np.minimum(a[:, 2:], c[2:]) - np.maximum(a[:, :2], c[:2])).clip(0).prod(axis=1)
    fraction = inside / (a[:, 2:] - a[:, :2]).prod(axis=1)
    labels[(fraction >= 0.7) & (labels != 1)] = -1
    near = (np.abs(best - 0.7) < 0.02) | (np.abs(best - 0.3) < 0.02) | (np.abs(fraction - 0.7) < 0.02)
    assert (targets.anchor_labels == labels)[~near].all()
    assert {0, 1, -1} == set(labels.tolist())
    assert targets.anchor_matches[labels == 1].tolist() == overlaps.argmax(axis=0)[labels == 1].tolist()
    sampled = targets.anchor_labels[targets.sampled_anchors]
    assert len(sampled) == 32 and (sampled >= 0).all() and (np.diff(sampled) <= 0).all()
    assert len(targets.anchor_levels) == len(targets.anchors)

    for stage, least in zip(targets.box_stages, [0.5, *model.config.cascade_ious], strict=True):
        overlaps = ious(stage.boxes, record.boxes[:2])
        positive = stage.classes > 0
        assert positive.any() and (overlaps[positive].max(axis=1) > least - 0.02).all()
        assert (overlaps[~positive].max(axis=1) < least + 0.02).all()
        assert stage.classes[positive].tolist() == record.class_ids[stage.matched[positive]].tolist()
    if model.config.mask_head == "none":
        assert targets.mask_targets is None
        return
    first = targets.box_stages[0]
    np.testing.assert_allclose(targets.mask_boxes, first.boxes[first.classes > 0], atol=1e-4)
    for box, object_, mask in zip(targets.mask_boxes, first.matched, targets.mask_targets, strict=False):
        assert mask.mean() == pytest.approx(ellipse_fraction(record.boxes[object_], box), abs=0.06)


def ellipse_fraction(frame, box):
    """Which fraction of a box the ellipse in a frame covers."""
    y, x = (np.mgrid[:200, :200] + 0.5) / 200
    x, y = box[0] + x * (box[2] - box[0]), box[1] + y * (box[3] - box[1])
    return ellipse(x, y, frame).mean()


def test_an_image_without_objects_has_background_alone(inspected):
    model, image, _ = inspected
    targets = inspect_targets(model, make_record(image, image_id="empty"))
    assert (targets.anchor_labels == 0).all() and (targets.box_stages[0].classes == 0).all()
    assert "mask targets" not in draw_targets(targets)
