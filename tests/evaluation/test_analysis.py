"""A scene whose every metric is known by hand, and pycocotools' own values on random ones."""

import numpy as np
import pytest
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval
from scenes import CAT, DOG, HIDDEN, NAMES, found, record, scene

from keras_maskrcnn.evaluation.analysis import analyse
from keras_maskrcnn.evaluation.coco import score_coco
from keras_maskrcnn.masks.rle import mask_to_rle


def test_the_confusion_matrix_counts_true_classes_by_predicted_ones():
    assert scene().confusion_matrix().tolist() == [
        [0, 1, 2],  # no object, predicted as a cat (the second time) and twice as a dog
        [1, 1, 0],  # cats: one missed, one detected
        [0, 1, 0],  # the dog was predicted as a cat
    ]


def test_the_right_class_is_matched_before_a_wrong_one_that_is_more_confident():
    assert scene().confusion_matrix(score_threshold=0.3).tolist() == [[0, 2, 2], [1, 1, 0], [0, 0, 1]]


def test_thresholds_decide_what_counts():
    assert scene().confusion_matrix(score_threshold=0.99).tolist() == [[0, 0, 0], [2, 0, 0], [1, 0, 0]]
    strict = scene().confusion_matrix(iou_threshold=1.0)
    assert strict[1].tolist() == [1, 1, 0]  # the cat's box is exact
    with pytest.raises(ValueError, match="iou_threshold must be above 0 and at most 1; got 0"):
        scene().confusion_matrix(iou_threshold=0)
    with pytest.raises(ValueError, match=r"score_threshold must be in 0\.\.1; got 2"):
        scene().confusion_matrix(score_threshold=2)


def test_false_positives_come_most_confident_first_and_misses_largest_first():
    analysis = scene()
    wrong = analysis.false_positives()
    assert [(m.image, m.detection, m.object, m.nearest) for m in wrong] == [
        (0, 4, None, None),
        (0, 1, None, 0),
        (0, 2, 1, None),
        (1, 0, None, None),
    ]
    assert [round(m.iou, 3) for m in wrong] == [0, 0.95, 1, 0]
    (missed,) = analysis.misses()
    assert (missed.image, missed.object, missed.detection, missed.iou) == (0, 2, None, 0)
    all_missed = analysis.misses(score_threshold=0.99)
    assert [m.object for m in all_missed] == [1, 0, 2]
    assert all_missed[0].nearest in (2, 3) and all_missed[0].iou == 1  # detected, but with too low a score


def test_objects_are_matched_by_their_masks_where_there_are_masks():
    masks = np.zeros((1, 100, 100), bool)
    masks[0, :20, :20] = True
    half = np.zeros((100, 100), bool)
    half[:20, :8] = True  # the box is right, the mask covers two fifths
    truth = record([CAT], [1], masks=masks)
    by_mask = analyse([truth], [found((1, 0.9, CAT), masks=[mask_to_rle(half)])], NAMES)
    assert by_mask.kind == "mask"
    assert by_mask.confusion_matrix().tolist() == [[0, 1, 0], [1, 0, 0], [0, 0, 0]]
    assert by_mask.confusion_matrix(iou_threshold=0.4)[1].tolist() == [0, 1, 0]
    by_box = analyse([truth], [found((1, 0.9, CAT))], NAMES)
    assert by_box.kind == "box" and by_box.confusion_matrix()[1, 1] == 1


def test_mask_scores_are_what_thresholds_of_masks_compare():
    masks = np.zeros((1, 100, 100), bool)
    masks[0, :20, :20] = True
    truth = record([CAT], [1], masks=masks)
    weak = found((1, 0.9, CAT), masks=[mask_to_rle(masks[0])])
    weak.mask_scores = np.array([0.4], np.float32)
    analysis = analyse([truth], [weak], NAMES)
    assert analysis.confusion_matrix(score_threshold=0.5)[1].tolist() == [1, 0, 0]
    assert analysis.confusion_matrix(score_threshold=0.3)[1].tolist() == [0, 1, 0]
    (match,) = analysis.matches(score_threshold=0.3)
    assert analysis.score(match) == pytest.approx(0.4)


def test_precision_at_each_recall_is_what_a_pencil_gives():
    """Right, wrong, right of two cats: precision 1 up to recall 1/2, then 2/3; dogs have no ground truth."""
    truth = record([CAT, HIDDEN], [1, 1])
    rows = (1, 0.9, CAT), (1, 0.8, DOG), (1, 0.7, HIDDEN)
    precision = analyse([truth], [found(*rows)], NAMES).precision("box")
    assert precision.shape == (10, 101, 2)
    np.testing.assert_allclose(precision[:, :51, 0], 1)
    np.testing.assert_allclose(precision[:, 51:, 0], 2 / 3)
    assert np.isnan(precision[:, :, 1]).all()
    with pytest.raises(ValueError, match="There are curves of box; got 'mask'"):
        analyse([truth], [found(*rows)], NAMES).precision("mask")


def random_scenes(count=12, seed=0):
    rng = np.random.default_rng(seed)
    records, detections = [], []
    for number in range(count):
        corners = rng.uniform(0, 60, (5, 2))
        boxes = np.concatenate([corners, corners + rng.uniform(15, 40, (5, 2))], axis=1)
        classes = rng.integers(1, 3, 5)
        records.append(record(boxes, classes, rng.random(5) < 0.2, image_id=number))
        moved = np.concatenate([boxes, boxes]) + rng.normal(0, 3, (10, 4))
        ids = np.where(rng.random(10) < 0.7, np.tile(classes, 2), rng.integers(1, 3, 10))
        detections.append(found(*zip(ids.tolist(), rng.uniform(0, 1, 10), moved, strict=True)))
    return records, detections


def test_precision_is_pycocotools_own():
    records, detections = random_scenes()
    images = [{"id": i, "height": 100, "width": 100} for i in range(len(records))]
    truth, rows = [], []
    for i, (one, boxes) in enumerate(zip(records, detections, strict=True)):
        for row, box in enumerate(one.boxes.astype(float)):
            x1, y1, x2, y2 = box.tolist()
            truth.append({"id": len(truth) + 1, "image_id": i, "category_id": int(one.class_ids[row]),
                          "bbox": [x1, y1, x2 - x1, y2 - y1], "area": float(one.areas[row]),
                          "iscrowd": int(one.crowd[row])})  # fmt: skip
        rows += boxes.to_coco(i)
    coco = COCO()
    coco.dataset = {"images": images, "annotations": truth, "categories": [{"id": 1}, {"id": 2}], "info": {}}
    coco.createIndex()
    evaluation = COCOeval(coco, coco.loadRes(rows), "bbox")
    evaluation.evaluate()
    evaluation.accumulate()
    analysis = analyse(records, detections, NAMES)
    np.testing.assert_array_equal(analysis.precision("box"), evaluation.eval["precision"][:, :, :, 0, -1])
    assert analysis.scores == pytest.approx(
        score_coco(records, detections, NAMES, per_class=True), nan_ok=True
    )


def test_every_object_and_detection_is_counted_once():
    records, detections = random_scenes(seed=1)
    analysis = analyse(records, detections, NAMES)
    counts = analysis.confusion_matrix(0.5, 0.3)
    objects = np.concatenate([one.class_ids[~one.crowd] for one in records])
    assert counts[1:].sum(axis=1).tolist() == [(objects == 1).sum(), (objects == 2).sum()]
    strong = sum(int((one.scores >= 0.3).sum()) for one in detections)
    assert counts[:, 1:].sum() <= strong  # those inside crowds are left out
    without = [record(one.boxes, one.class_ids, image_id=n) for n, one in enumerate(records)]
    assert analyse(without, detections, NAMES).confusion_matrix(0.5, 0.3)[:, 1:].sum() == strong


def test_pairs_of_a_class_are_those_of_a_plain_greedy_search():
    records, detections = random_scenes(seed=2)
    records = [record(one.boxes, one.class_ids, image_id=n) for n, one in enumerate(records)]
    analysis = analyse(records, detections, NAMES)
    pairs = {
        (match.image, match.object, match.detection)
        for match in analysis.matches(0.5, 0.3)
        if analysis.true_class(match) == analysis.predicted_class(match)
    }
    expected = set()
    for image, (truth, boxes) in enumerate(zip(records, detections, strict=True)):
        free = set(range(len(truth.boxes)))
        for row in np.argsort(-boxes.scores, kind="stable"):
            same = [k for k in free if truth.class_ids[k] == boxes.class_ids[row]]
            overlaps = [iou(truth.boxes[k], boxes.boxes[row]) for k in same]
            if boxes.scores[row] >= 0.3 and overlaps and max(overlaps) >= 0.5:
                best = same[int(np.argmax(overlaps))]
                free.remove(best)
                expected.add((image, best, int(row)))
    assert pairs == expected and len(pairs) > 20


def iou(box, other):
    box, other = box.astype(float), other.astype(float)
    shared = (np.minimum(box[2:], other[2:]) - np.maximum(box[:2], other[:2])).clip(0).prod()
    return shared / ((box[2:] - box[:2]).prod() + (other[2:] - other[:2]).prod() - shared)


def test_without_detections_all_is_missed():
    analysis = analyse([record([CAT, DOG], [1, 2])], [found()], NAMES)
    assert analysis.confusion_matrix().tolist() == [[0, 0, 0], [1, 0, 0], [1, 0, 0]]
    assert not analysis.false_positives() and len(analysis.misses()) == 2
