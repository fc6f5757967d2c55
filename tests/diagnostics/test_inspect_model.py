"""Every stage is held to what follows from the one before it, computed in plain numpy."""

import numpy as np
import pytest
from inspected import HEIGHT, WIDTH, ious

from keras_maskrcnn.diagnostics.draw_stages import draw_inspection
from keras_maskrcnn.diagnostics.inspect_model import inspect_model
from keras_maskrcnn.images.resize import resize_image
from keras_maskrcnn.images.sizes import resized_size
from keras_maskrcnn.masks.crop_paste import paste_masks

pytestmark = [
    pytest.mark.usefixtures("without_traces"),
    pytest.mark.filterwarnings("ignore:Even though the `tf.config.experimental_run_functions_eagerly`"),
]


def test_the_stages_end_in_what_detect_returns(inspected):
    model, image, stages = inspected
    (found,) = model.detect(image)
    assert len(found) == 5 and found.class_names == stages.detections.class_names
    np.testing.assert_allclose(stages.detections.boxes, found.boxes, atol=1e-3)
    np.testing.assert_allclose(stages.detections.scores, found.scores, atol=1e-5)
    if found.masks is not None:
        assert (stages.detections.masks == found.masks).mean() > 0.999
    if found.keypoints is not None:
        np.testing.assert_allclose(stages.detections.keypoints[..., 2], found.keypoints[..., 2], atol=1e-4)


def test_the_networks_input_is_the_image_normalised_and_padded_with_zeros(inspected):
    model, image, stages = inspected
    values = stages.network_input
    pixels = values * np.array(model.config.pixel_std) + np.array(model.config.pixel_mean)
    # Matterport's surroundings are black before they are normalised, the others' zero after it
    inside = (pixels > 1).any(axis=2) if model.config.square else values.any(axis=2)
    rows, columns = inside.any(1).sum(), inside.any(0).sum()
    assert columns / rows == pytest.approx(WIDTH / HEIGHT, rel=0.02)
    np.testing.assert_allclose(pixels[inside].mean(axis=0), image.reshape(-1, 3).mean(axis=0), atol=3)


def test_nothing_but_the_configs_resizing_and_normalisation_is_done_to_pixels(inspected):
    model, image, stages = inspected
    config = model.config
    if config.square:
        pytest.skip("Matterport's square is held to the recorded outputs of its own")
    size = resized_size(HEIGHT, WIDTH, config.min_size, config.max_size, config.size_rounding)
    resized = np.asarray(resize_image(image, size, config.resize), np.float64)
    expected = (resized - np.array(config.pixel_mean)) / np.array(config.pixel_std)
    found = stages.network_input
    np.testing.assert_allclose(found[: size[0], : size[1]], expected, atol=1e-5)
    assert not found[size[0] :].any() and not found[:, size[1] :].any()


def test_anchors_lie_over_the_image_with_the_configs_areas(inspected):
    model, _, stages = inspected
    assert list(stages.anchors) == list(stages.features) == list(stages.objectness)
    scale = HEIGHT / resized_height(model.config)
    for (level, anchors), sizes in zip(stages.anchors.items(), model.config.anchor_sizes, strict=True):
        height, width, _ = stages.features[level].shape
        assert len(anchors) == len(stages.objectness[level]) == height * width * 3 * len(sizes)
        sides = anchors[:, 2:] - anchors[:, :2]
        largest = np.sqrt(sides.astype(np.float64).prod(axis=1).max())
        assert largest == pytest.approx(scale * max(sizes), rel=0.06)  # corners are whole pixels of the input


def resized_height(config):
    """What the short side of the image becomes: Matterport's enlarges by no less than the long side allows."""
    return min(config.min_size, config.max_size * HEIGHT / WIDTH)


def test_proposals_are_the_best_refined_anchors(inspected):
    model, _, stages = inspected
    scores = stages.anchor_scores
    assert len(scores) and (np.diff(scores) <= 0).all() and (scores >= 0).all() and (scores <= 1).all()
    np.testing.assert_allclose(stages.proposals[0], stages.refined_anchors[0], atol=1e-4)
    distance = np.abs(stages.proposals[:, None] - stages.refined_anchors[None]).max(axis=2)
    assert (distance.min(axis=1) < 1e-3).all()
    assert len(stages.best_anchors) == len(stages.refined_anchors) >= len(stages.proposals)
    assert len(stages.proposals) <= model.config.post_nms_top_k
    # each row is one anchor before and after: those that lie in the image overlap themselves more than others
    inside = ((stages.best_anchors >= 0) & (stages.best_anchors <= [WIDTH, HEIGHT] * 2)).all(axis=1)
    overlaps = ious(stages.best_anchors[inside], stages.refined_anchors[inside])
    assert np.diag(overlaps).min() > 0.3 and np.diag(overlaps).mean() > 2 * overlaps.mean()


def test_boxes_are_pooled_from_the_level_of_their_size(inspected):
    model, _, stages = inspected
    first = stages.box_stages[0]
    np.testing.assert_allclose(first.boxes, stages.proposals, atol=1e-4)
    assert len(first.levels) == len(first.pooled) == len(first.probabilities) == len(first.boxes)
    np.testing.assert_allclose(first.probabilities.sum(axis=1), 1, atol=1e-4)
    if len(stages.features) == 1:
        assert set(first.levels) == set(stages.features)
        return
    sides = first.boxes[:, 2:] - first.boxes[:, :2]
    level = 4 + np.log2(np.sqrt(sides.prod(axis=1)) * resized_height(model.config) / HEIGHT / 224)
    rounded = np.round(level) if model.config.level_rule == "matterport" else np.floor(level)
    certain = np.abs(level - rounded - (0 if model.config.level_rule == "matterport" else 0.5)) < 0.45
    expected = [f"P{int(number)}" for number in rounded.clip(2, 5)]
    assert certain.sum() > 5
    assert [a for a, s in zip(first.levels, certain, strict=True) if s] == [
        a for a, s in zip(expected, certain, strict=True) if s
    ]


def test_a_cascades_stages_hand_their_boxes_on(inspected):
    model, _, stages = inspected
    assert len(stages.box_stages) == 1 + len(model.config.cascade_ious)
    for before, after in zip(stages.box_stages, stages.box_stages[1:], strict=False):
        np.testing.assert_array_equal(before.refined, after.boxes)


def test_detections_are_the_candidates_that_nms_keeps(inspected):
    model, _, stages = inspected
    found, last = stages.candidates, stages.box_stages[-1]
    votes = np.mean([stage.probabilities for stage in stages.box_stages], axis=0)[:, 1:]
    if not model.config.one_class_per_box:
        assert len(found) == (votes > 0.3).sum()
    assert found.scores[0] == pytest.approx(
        votes.max() if not model.config.one_class_per_box else found.scores[0]
    )
    assert (np.diff(found.scores) <= 0).all() and (found.scores > 0.3).all()
    assert ((np.abs(found.boxes[:, None] - last.refined[None]).max(axis=2)).min(axis=1) < 1e-3).any()
    kept = []
    for row in range(len(found)):
        same = [k for k in kept if found.class_ids[k] == found.class_ids[row]]
        if not same or ious(found.boxes[[row]], found.boxes[same]).max() <= model.config.nms_iou:
            kept.append(row)
    kept = kept[: model.config.max_detections]
    np.testing.assert_allclose(stages.detected_boxes, found.boxes[kept], atol=1e-3)
    assert stages.detected_classes.tolist() == found.class_ids[kept].tolist()


def test_masks_pasted_into_their_boxes_are_the_detections(inspected):
    model, _, stages = inspected
    if model.config.mask_head == "none":
        assert stages.masks is None and stages.detections.masks is None
        return
    side = model.config.mask_size
    assert stages.masks.shape == (5, side, side) and 0 <= stages.masks.min() <= stages.masks.max() <= 1
    if model.config.paste == "exact":
        pasted = paste_masks(stages.masks, stages.detected_boxes, HEIGHT, WIDTH)
        assert (pasted == stages.detections.masks).all()


def test_keypoints_are_where_their_maps_are_largest(inspected):
    model, _, stages = inspected
    if not model.config.keypoint_names:
        assert stages.keypoint_maps is None
        return
    maps, boxes = stages.keypoint_maps, stages.detected_boxes
    assert maps.shape == (5, 56, 56, 2)
    for row, (x1, y1, x2, y2) in enumerate(boxes):
        points = stages.detections.keypoints[row, :, :2]
        cells = np.floor((points - [x1, y1]) / [x2 - x1, y2 - y1] * 56).astype(int)
        assert (cells >= 0).all() and (cells < 56).all()
        for joint, (x, y) in enumerate(
            cells
        ):  # the maps are noise, and fewer pixels are left of them in the image
            assert maps[row, y, x, joint] > np.quantile(maps[row, :, :, joint], 0.9)


def test_no_detections_are_inspected_as_well(inspected):
    model, image, _ = inspected
    stages = inspect_model(model, image, score_threshold=0.999)
    assert not len(stages.detections) and not len(stages.candidates) and not len(stages.detected_boxes)
    images = draw_inspection(stages)
    assert "masks" not in images and "keypoint maps" not in images
