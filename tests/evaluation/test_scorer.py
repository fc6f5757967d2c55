"""Every figure is pycocotools' own: precision, recall and scores of random scenes, to the last bit."""

import numpy as np
import pytest
from pycocotools_alone import evaluated

from keras_maskrcnn.config.keypoints import PERSON_SIGMAS
from keras_maskrcnn.data.records import make_record
from keras_maskrcnn.detections.detections import Detections
from keras_maskrcnn.evaluation import scorer
from keras_maskrcnn.evaluation.coco import coco_evaluations

SIDE = 160
NAMES = ("cat", "dog", "bird", "unicorn")
"""Of the last one there are detections and no objects."""


def random_scenes(seed, images=8, objects=10, found=30):
    """Images with crowds, equal scores, equal boxes, areas at the limits of sizes, and nothing at all now and then."""
    rng = np.random.default_rng(seed)
    records, detections = [], []
    for number in range(images):
        truth = boxes(rng, 0 if number % 4 == 1 else objects)
        class_ids = rng.integers(1, 4, len(truth))
        near = truth[rng.integers(0, len(truth), found // 2)] if len(truth) else truth
        near = near + rng.integers(-3, 4, near.shape)
        near = np.concatenate([near, truth[: found // 4], boxes(rng, found // 2)]).clip(0, SIDE)
        near = near[(near[:, 2:] > near[:, :2]).all(axis=1)]
        near = near[: 0 if number % 4 == 2 else None]
        records.append(record(rng, truth, class_ids, number))
        detections.append(detected(rng, near))
    return records, detections


def boxes(rng, count):
    corners = rng.integers(0, SIDE - 20, (count, 2))
    sizes = np.where(rng.random((count, 1)) < 0.3, 32, rng.integers(4, 110, (count, 2)))
    return np.concatenate([corners, (corners + sizes).clip(0, SIDE)], axis=1)


def record(rng, truth, class_ids, number):
    crowd = rng.random(len(truth)) < 0.2
    crowd[:1] = False
    sizes = np.prod(truth[:, 2:] - truth[:, :2], axis=1)
    areas = np.where(rng.random(len(truth)) < 0.3, rng.choice([32**2, 96**2], len(truth)), sizes)
    image = np.zeros((SIDE, SIDE), np.uint8)
    points = keypoints(rng, truth)
    points[:, :, 2] = rng.integers(0, 3, points.shape[:2]) * (rng.random((len(points), 1)) < 0.8)
    return make_record(
        image, truth, class_ids, filled(truth), crowd, areas.clip(0, SIDE**2), points, image_id=number
    )


def detected(rng, near):
    class_ids = rng.integers(1, 5, len(near))
    masks = filled(near)
    masks &= rng.random(masks.shape) < 0.95
    return Detections(
        boxes=near,
        scores=rng.integers(1, 8, len(near)) / 8,
        class_ids=class_ids,
        class_names=[NAMES[class_id - 1] for class_id in class_ids],
        height=SIDE,
        width=SIDE,
        masks=masks,
        keypoints=keypoints(rng, near),
        mask_scores=rng.integers(1, 8, len(near)) / 8,
    )


def filled(truth):
    masks = np.zeros((len(truth), SIDE, SIDE), bool)
    for mask, (x1, y1, x2, y2) in zip(masks, truth.astype(int), strict=True):
        mask[y1:y2, x1:x2] = True
    return masks


def keypoints(rng, truth):
    """Along the diagonal of boxes, with some noise."""
    places = np.linspace(0, 1, 17)[:, None]
    points = truth[:, None, :2] + places * (truth[:, None, 2:] - truth[:, None, :2])
    points = points + rng.normal(0, 2, points.shape)
    return np.concatenate([points, np.full((len(truth), 17, 1), 0.5)], axis=2)


def assert_equal(records, detections, max_detections=None, kinds=("box", "mask", "keypoint")):
    ours = coco_evaluations(records, detections, NAMES, max_detections)
    assert tuple(ours) == kinds
    for kind, evaluation in ours.items():
        theirs = evaluated(records, detections, len(NAMES), kind, evaluation.params.maxDets)
        assert theirs.eval["counts"] == evaluation.eval["counts"]
        for name in ("precision", "recall", "scores"):
            np.testing.assert_array_equal(evaluation.eval[name], theirs.eval[name], f"{kind} {name}")
        if len(evaluation.params.maxDets) == 3:
            theirs.summarize()
            evaluation.summarize()
            np.testing.assert_array_equal(evaluation.stats, theirs.stats)


@pytest.mark.parametrize("seed", range(6))
def test_figures_equal_pycocotools(seed):
    assert_equal(*random_scenes(seed))


@pytest.mark.parametrize("max_detections", [1, 3, 100, None])
def test_figures_of_fewer_detections_than_there_are_equal_pycocotools(max_detections):
    assert_equal(*random_scenes(10, images=3, objects=40, found=400), max_detections)


def test_matching_some_images_at_a_time_changes_nothing(monkeypatch):
    monkeypatch.setattr(scorer, "_BLOCK", 20)
    assert_equal(*random_scenes(11))


def test_figures_without_any_detection_equal_pycocotools():
    records, detections = random_scenes(12, images=3)
    assert_equal(records, [one[:0] for one in detections])


def test_figures_where_no_detection_is_near_an_object_equal_pycocotools():
    records, detections = random_scenes(13, images=3)
    for one in detections:
        one.boxes = one.boxes * 0 + np.float32([0, 0, 1, 1])
        one.masks = np.zeros_like(one.masks)
        one.keypoints[:, :, :2] += 900
    assert_equal(records, detections)


def test_sigmas_are_those_given():
    records, detections = random_scenes(14)
    sigmas = [sigma * 2 for sigma in PERSON_SIGMAS]
    ours = coco_evaluations(records, detections, NAMES, keypoint_sigmas=sigmas)["keypoint"]
    theirs = evaluated(records, detections, len(NAMES), "keypoint", sigmas=sigmas)
    np.testing.assert_array_equal(ours.eval["precision"], theirs.eval["precision"])
    assert ours.eval["precision"].max() > 0.1


def test_what_is_scored_is_left_as_it_was():
    records, detections = random_scenes(15, images=2)
    before = [one.boxes.copy() for one in detections], [one.masks.copy() for one in detections]
    coco_evaluations(records, detections, NAMES)
    for kept, now in zip(before[0], detections, strict=True):
        np.testing.assert_array_equal(kept, now.boxes)
    for kept, now in zip(before[1], detections, strict=True):
        np.testing.assert_array_equal(kept, now.masks)
