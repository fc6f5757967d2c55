"""Pairs of objects and detections are pycocotools' true positives."""

import numpy as np
import pytest
from pycocotools_alone import evaluated
from scenes import NAMES, found, record, scene

from keras_maskrcnn.evaluation.analysis import analyse


def random_scene(seed):
    """Three images of overlapping boxes of two classes, crowds among them, and scores of which several are equal."""
    rng = np.random.default_rng(seed)

    def boxes(count):
        corners = rng.integers(0, 30, (count, 2))
        return np.concatenate([corners, corners + rng.integers(8, 40, (count, 2))], axis=1)

    records, detections = [], []
    for number in range(3):
        truth = boxes(8)
        crowd = rng.random(8) < 0.2
        crowd[0] = False
        records.append(record(truth, rng.integers(1, 3, 8), crowd, image_id=f"{seed} {number}"))
        near = np.concatenate([truth + rng.integers(-2, 3, truth.shape), boxes(6)])
        rows = [(int(rng.integers(1, 3)), float(rng.choice([0.3, 0.6, 0.9])), box) for box in near]
        detections.append(found(*rows))
    return analyse(records, detections, NAMES)


@pytest.mark.parametrize("threshold", [0.5, 0.75])
@pytest.mark.parametrize("seed", range(8))
def test_pairs_within_classes_are_those_of_pycocotools(seed, threshold):
    analysis = random_scene(seed)
    evaluation = evaluated(analysis.records, analysis.detections, len(NAMES), "box")
    index = int(np.abs(evaluation.params.iouThrs - threshold).argmin())
    expected = set()
    offsets = np.cumsum([0, *(len(one) for one in analysis.detections)])
    objects = np.cumsum([0, *(len(one.boxes) for one in analysis.records)])
    for one in evaluation.evalImgs:
        if one is None or one["aRng"] != evaluation.params.areaRng[0]:
            continue
        for number, match, ignored in zip(
            one["dtIds"], one["dtMatches"][index], one["dtIgnore"][index], strict=True
        ):
            if match and not ignored:
                image = one["image_id"]
                expected.add((image, int(match) - 1 - objects[image], number - 1 - offsets[image]))
    pairs = {
        (match.image, match.object, match.detection)
        for match in analysis.matches(threshold, score_threshold=0)
        if analysis.true_class(match) == analysis.predicted_class(match) != 0
    }
    assert pairs == expected


def test_an_evaluation_that_keeps_nothing_of_its_matches_changes_nothing():
    whole, other = scene(), scene()
    for evaluation in other.evaluations.values():  # as those of packages that take pycocotools' place
        evaluation.evalImgs, evaluation.cocoGt, evaluation.cocoDt, evaluation.ious = [], None, None, {}
    assert other.confusion_matrix().tolist() == whole.confusion_matrix().tolist()
    assert other.false_positives() == whole.false_positives() and other.misses() == whole.misses()


def test_detections_in_crowds_of_their_class_count_for_nothing():
    truth = record([[0, 0, 10, 10], [50, 50, 90, 90]], [1, 1], [0, 1])
    in_crowd = found((1, 0.9, [55, 55, 70, 70]), (1, 0.8, [60, 60, 80, 80]), (2, 0.7, [60, 60, 80, 80]))
    analysis = analyse([truth], [in_crowd], NAMES)
    assert analysis.confusion_matrix().tolist() == [[0, 0, 1], [1, 0, 0], [0, 0, 0]]
