import numpy as np
import pytest
from label_scenes import scenes
from labelled import found_of, masks_of, record_of

from keras_maskrcnn.evaluation.instance_matching import score_matching
from keras_maskrcnn.evaluation.score_threshold import SCORES, best_score_threshold


def noisy(seed):
    """Records, and detections that overlap, the better ones with higher scores on the whole."""
    rng = np.random.RandomState(seed)
    records, detections = [], []
    for number, (true, predicted) in enumerate(scenes()[:3]):
        good, junk = masks_of(true), masks_of(predicted)
        junk = np.stack([np.roll(mask, rng.randint(-9, 10, 2), (0, 1)) for mask in junk])
        scores = np.concatenate([0.3 + 0.6 * rng.rand(len(good)), 0.6 * rng.rand(len(junk))])
        order = np.argsort(-scores)
        records.append(record_of(true, image_id=number))
        detections.append(found_of(np.concatenate([good, junk])[order], scores[order]))
    return records, detections


@pytest.mark.parametrize("ious", [0.5, [0.3, 0.7]])
def test_each_threshold_is_tried_exactly(ious):
    records, detections = noisy(0)
    tried = [0.05, 0.2, 0.35, 0.5, 0.65, 0.8]
    values = [
        score_matching(records, detections, score, np.atleast_1d(ious).tolist()).accuracy.mean()
        for score in tried
    ]
    assert best_score_threshold(records, detections, ious, tried) == (tried[np.argmax(values)], max(values))
    assert 0 < np.argmax(values) < 5 and len(set(values)) == 6
    for score, value in zip(tried, values, strict=True):
        assert best_score_threshold(records, detections, ious, [score]) == (score, value)


def test_of_equally_good_thresholds_the_middle_one_is_chosen():
    true = np.zeros((20, 20), int)
    true[2:8, 2:8] = 1
    wrong = np.zeros((20, 20), bool)
    wrong[12:18, 12:18] = True
    found = found_of([true == 1, wrong], [0.8, 0.3])
    assert best_score_threshold([record_of(true)], [found]) == (0.56, 1.0)  # of 0.31 to 0.80
    assert SCORES[0] == 0.01 and SCORES[-1] == 0.99 and len(SCORES) == 99


def test_scores_to_try_are_checked():
    records, detections = noisy(1)
    for wrong in ([], [0.5, 1.5], [float("nan")]):
        with pytest.raises(ValueError, match=r"scores to try must be in 0\.\.1"):
            best_score_threshold(records, detections, scores=wrong)
    with pytest.raises(ValueError, match="IoU thresholds must be"):
        best_score_threshold(records, detections, iou=0)
