"""AP of keypoints: by hand on small cases, and equal to pycocotools run on COCO's own files."""

import dataclasses
import math

import numpy as np
import pytest
from places import COCO_MINI
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from keras_maskrcnn.config.keypoints import PERSON_SIGMAS
from keras_maskrcnn.data.formats.coco import load_coco
from keras_maskrcnn.data.records import make_record
from keras_maskrcnn.detections.detections import Detections
from keras_maskrcnn.evaluation.coco import score_coco

DATA = COCO_MINI
SIDE = 200
BOXES = [[10, 10, 60, 60], [100, 100, 150, 150]]


def people(count=2):
    """[count, 17, 3] labelled keypoints inside BOXES."""
    inside = np.random.default_rng(0).integers(5, 45, (count, 17, 2))
    points = inside + np.array(BOXES)[:count, None, :2]
    return np.concatenate([points, np.full((count, 17, 1), 2)], axis=2).astype(np.float32)


def record(keypoints, boxes=BOXES, **options):
    image = np.zeros((SIDE, SIDE), np.uint8)
    return make_record(image, boxes, [1] * len(boxes), keypoints=keypoints, image_id="a", **options)


def found(keypoints, boxes=BOXES, scores=None, **options):
    return Detections(
        boxes=np.reshape(boxes, (-1, 4)),
        scores=np.linspace(0.9, 0.1, len(boxes)) if scores is None else scores,
        class_ids=[1] * len(boxes),
        class_names=["person"] * len(boxes),
        height=SIDE,
        width=SIDE,
        keypoints=keypoints,
        **options,
    )


def score(records, detections, **options):
    return score_coco(records, detections, ["person"], **options)


def test_perfect_keypoints_score_one():
    scores = score([record(people())], [found(people())], per_class=True)
    keypoint = {name: value for name, value in scores.items() if name.startswith("keypoint_")}
    metrics = ["AP", "AP50", "AP75", "AP_medium", "AP_large", "AR20", "AR_medium", "AR_large", "AP/person"]
    assert list(keypoint) == [f"keypoint_{metric}" for metric in metrics]
    assert math.isnan(keypoint.pop("keypoint_AP_large")) and math.isnan(keypoint.pop("keypoint_AR_large"))
    assert all(value == pytest.approx(1) for value in keypoint.values())


def test_the_similarity_is_cocos():
    # One keypoint, off by as much as leaves a similarity of exp(-1/4) = 0.78: above six of ten bounds, 0.50 to 0.75.
    truth = np.zeros((1, 17, 3), np.float32)
    truth[0, 5] = [30, 40, 2]
    area, sigma = 50 * 50, PERSON_SIGMAS[5]
    moved = truth + np.float32([np.sqrt(area / 2) * 2 * sigma, 0, 0])
    scores = score([record(truth, BOXES[:1])], [found(moved, BOXES[:1])])
    assert scores["keypoint_AP"] == pytest.approx(0.6)
    assert scores["box_AP"] == pytest.approx(1)


def test_the_offset_of_detections_is_taken_off():
    shifted = people() + np.float32([20, 20, 0])
    assert score([record(people())], [found(shifted)])["keypoint_AP"] < 0.1
    scores = score([record(people())], [found(shifted, keypoint_offset=20.0)])
    assert scores["keypoint_AP"] == pytest.approx(1)


def test_objects_without_labels_are_neither_missed_nor_false_alarms():
    half = people()
    half[1, :, 2] = 0
    assert score([record(half)], [found(people()[:1], BOXES[:1])])["keypoint_AP"] == pytest.approx(1)
    first_unlabelled = found(people()[::-1], BOXES[::-1])
    assert score([record(half)], [first_unlabelled])["keypoint_AP"] == pytest.approx(1)
    nothing = people()
    nothing[..., 2] = 0
    assert math.isnan(score([record(nothing)], [found(people())])["keypoint_AP"])


def test_only_the_best_twenty_count():
    copies = np.concatenate([np.repeat(people()[:1], 20, axis=0), people()[1:]])
    boxes = [BOXES[0]] * 20 + [BOXES[1]]
    scores = score([record(people())], [found(copies, boxes)])
    assert scores["keypoint_AR20"] == pytest.approx(0.5) and scores["box_AR100"] == pytest.approx(1)
    few = score([record(people())], [found(people())], max_detections=1)
    assert few["keypoint_AR1"] == pytest.approx(0.5) and "keypoint_AR20" not in few


def test_no_detections_score_zero():
    nothing = found(np.zeros((0, 17, 3), np.float32), [])
    assert score([record(people())], [nothing])["keypoint_AP"] == 0


def test_keypoints_on_one_side_only_are_not_scored():
    for records, detections in [
        ([record(None)], [found(people())]),
        ([record(people())], [found(None)]),
    ]:
        assert not any(name.startswith("keypoint") for name in score(records, detections))


def test_other_keypoints_are_scored_with_their_own_sigmas():
    three = people()[:, :3]
    with pytest.raises(ValueError, match="keypoint_sigmas is needed to score these 3 keypoints"):
        score([record(three)], [found(three)])
    scores = score([record(three)], [found(three)], keypoint_sigmas=[0.1, 0.1, 0.2])
    assert scores["keypoint_AP"] == pytest.approx(1)
    horse = [f"part {number}" for number in range(17)]
    with pytest.raises(ValueError, match="keypoint_sigmas is needed"):
        score([record(people())], [found(people(), keypoint_names=horse)])


def test_numbers_of_keypoints_that_differ_are_refused():
    with pytest.raises(ValueError, match="image 'a': its objects have 3 keypoints, its detections 17"):
        score([record(people()[:, :3])], [found(people())])


def noisy_detections(records, names):
    """Four in five objects of each image with keypoints that are off, and a false alarm."""
    rng = np.random.default_rng(0)
    detections = []
    for one in records:
        rows = np.flatnonzero(~one.crowd & (rng.random(len(one.boxes)) < 0.8))
        rows = np.concatenate([rows, rows[:1]]).astype(int)  # and a false alarm
        sides = np.sqrt(np.prod(one.boxes[rows, 2:] - one.boxes[rows, :2], axis=1))[:, None, None]
        points = one.keypoints[rows] + 0.5
        points[..., :2] += rng.normal(0, 0.03, points[..., :2].shape) * sides
        detections.append(
            Detections(
                boxes=one.boxes[rows],
                scores=rng.random(len(rows)),
                class_ids=one.class_ids[rows],
                class_names=[names[0]] * len(rows),
                height=one.height,
                width=one.width,
                keypoints=points,
                keypoint_names=records.report.keypoint_names,
                keypoint_offset=0.5,
            )
        )
    return detections


@pytest.mark.skipif(not DATA.exists(), reason="needs the coco_mini annotations beside the repository")
@pytest.mark.parametrize("split", ["train2017", "val2017"])
def test_metrics_equal_pycocotools_run_on_the_files(split):
    path = DATA / f"annotations/person_keypoints_{split}.json"
    records, names = load_coco(path, DATA / split, masks=False)
    detections = noisy_detections(records, names)
    ours = score_coco(records, detections, names)
    rows = [
        {key: value for key, value in row.items() if key != "bbox"}
        for one, own in zip(records, detections, strict=True)
        for row in own.to_coco(one.image_id, records.report.category_ids)
    ]
    truth = COCO(str(path))
    theirs = COCOeval(truth, truth.loadRes(rows), "keypoints")
    theirs.evaluate()
    theirs.accumulate()
    theirs.summarize()
    metrics = ["AP", "AP50", "AP75", "AP_medium", "AP_large", "AR20", None, None, "AR_medium", "AR_large"]
    for metric, value in zip(metrics, theirs.stats, strict=True):
        if metric is not None:
            assert ours[f"keypoint_{metric}"] == pytest.approx(value, abs=1e-9), metric
    assert 0.2 < ours["keypoint_AP"] < 0.9
    boxes_alone = [dataclasses.replace(one, keypoints=None, keypoint_names=()) for one in detections]
    plain = score_coco(records, boxes_alone, names)
    np.testing.assert_equal(plain, {name: value for name, value in ours.items() if name in plain})
