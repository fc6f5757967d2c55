import math

import numpy as np
import pytest
import tensorflow as tf

from keras_maskrcnn.layers.detections import SelectDetections
from keras_maskrcnn.ops.dialect import write_in
from keras_maskrcnn.ops.nms import suppress, suppress_levels

SIGMA = 0.5
"""Of the paper's experiments (Bodla et al. 2017, section 4)."""


@pytest.fixture(autouse=True, params=["native", "elementary"])
def dialect(request):
    """Each test is run with TensorFlow's suppression, and with the one for other runtimes."""
    with write_in(request.param):
        yield


def iou(box, others):
    """IoU of a box [4] with others [N, 4], float64."""
    low, high = np.maximum(box[:2], others[:, :2]), np.minimum(box[2:], others[:, 2:])
    shared = np.prod(np.maximum(high - low, 0), axis=1)
    areas = np.prod(others[:, 2:] - others[:, :2], axis=1)
    return shared / (areas + np.prod(box[2:] - box[:2]) - shared)


def paper(boxes, scores, threshold, sigma):
    """Figure 2 of the paper with equation 3, until no score exceeds the threshold: [(row, score), ...]."""
    boxes, scores = np.float64(boxes), np.float64(scores)
    left, kept = np.ones(len(scores), bool), []
    while left.any():
        best = int(np.where(left, scores, -np.inf).argmax())
        if scores[best] <= threshold:
            break
        left[best] = False
        kept.append((best, scores[best]))
        scores = np.where(left, scores * np.exp(-(iou(boxes[best], boxes) ** 2) / sigma), scores)
    return kept


def expected_of_image(boxes, scores, threshold, sigma, across_classes, limit):
    """What is kept of boxes [R, K, 4] with scores [R, K]: boxes, scores and classes, best first."""
    classes = scores.shape[1]
    if across_classes:
        kept = [
            (score, boxes.reshape(-1, 4)[row], row % classes + 1)
            for row, score in paper(boxes.reshape(-1, 4), scores.ravel(), threshold, sigma)
        ]
    else:
        kept = [
            (score, boxes[row, k], k + 1)
            for k in range(classes)
            for row, score in paper(boxes[:, k], scores[:, k], threshold, sigma)
        ]
    kept = sorted(kept, key=lambda one: -one[0])[:limit]
    return [np.array(column) for column in (zip(*kept, strict=True))]


def run(boxes, scores, threshold=0.05, limit=50, nms_iou=0.5, sigma=SIGMA, across_classes=False):
    """`suppress` on a batch of one; what it returns without the padding, which must be zeros."""
    found = suppress(
        tf.constant([boxes], tf.float32),
        tf.constant([scores], tf.float32),
        tf.constant([threshold], tf.float32),
        *(limit, nms_iou, sigma, across_classes),
    )
    assert found[0].shape == (1, limit, 4) and found[1].shape == found[2].shape == (1, limit)
    boxes, scores, classes = (one.numpy()[0] for one in found)
    count = (classes > 0).sum()
    assert not (boxes[count:].any() or scores[count:].any() or classes[count:].any())
    return boxes[:count], scores[:count], classes[:count]


def crowd(rng, rows, classes):
    """Boxes [R, K, 4] that overlap much, and scores [R, K]."""
    corners = rng.uniform(0, 60, (rows, classes, 2))
    boxes = np.concatenate([corners, corners + rng.uniform(15, 40, corners.shape)], axis=2)
    return boxes.astype(np.float32), rng.uniform(0, 1, (rows, classes)).astype(np.float32)


A, B, FAR = [0.0, 0, 10, 10], [5.0, 0, 15, 10], [50.0, 50, 60, 60]


def test_an_overlapped_box_loses_score_by_hand():
    boxes, scores, _ = run([[A], [B], [FAR]], [[0.9], [0.8], [0.7]])
    np.testing.assert_array_equal(boxes, [A, FAR, B])  # A and B share 50 of 150
    np.testing.assert_allclose(scores, [0.9, 0.7, 0.8 * math.exp(-(1 / 9) / 0.5)], rtol=1e-6)


def test_a_box_is_weighed_down_by_each_better_one():
    _, scores, _ = run([[A], [A], [A]], [[0.9], [0.8], [0.7]], threshold=0.0)
    np.testing.assert_allclose(scores, [0.9, 0.8 * math.exp(-2), 0.7 * math.exp(-4)], rtol=1e-6)


def test_what_is_left_of_a_score_must_exceed_the_threshold():
    assert len(run([[A], [B]], [[0.9], [0.8]], threshold=0.64)[0]) == 2  # 0.8 becomes 0.6406
    assert len(run([[A], [B]], [[0.9], [0.8]], threshold=0.641)[0]) == 1


def test_other_classes_count_only_across_classes():
    boxes, scores = [[A, A]], [[0.9, 0.8]]
    np.testing.assert_allclose(run(boxes, scores)[1], [0.9, 0.8], rtol=1e-6)
    found = run(boxes, scores, across_classes=True)
    np.testing.assert_allclose(found[1], [0.9, 0.8 * math.exp(-2)], rtol=1e-6)
    assert found[2].tolist() == [1, 2]


@pytest.mark.parametrize("across_classes", [False, True])
@pytest.mark.parametrize("sigma", [0.1, 0.5, 2.0])
def test_a_crowd_as_the_paper_says(sigma, across_classes):
    boxes, scores = crowd(np.random.default_rng(1), 40, 3)
    expected = expected_of_image(boxes, scores, 0.05, sigma, across_classes, 50)
    found = run(boxes, scores, sigma=sigma, across_classes=across_classes)
    np.testing.assert_array_equal(found[0], expected[1])
    np.testing.assert_allclose(found[1], expected[0], rtol=1e-5)
    assert found[2].tolist() == expected[2].tolist()


def test_images_have_their_own_candidates_and_thresholds():
    rng = np.random.default_rng(2)
    images = [crowd(rng, 20, 2) for _ in range(2)]
    boxes, scores = (tf.constant(np.stack(one)) for one in zip(*images, strict=True))
    found = suppress(boxes, scores, tf.constant([0.3, 0.05]), 30, 0.5, SIGMA, False)
    for row, (image, threshold) in enumerate(zip(images, (0.3, 0.05), strict=True)):
        expected = run(*image, threshold=threshold, limit=30)
        for one, other in zip(found, expected, strict=True):
            # a register's exponential and a single one's differ in the last bit
            np.testing.assert_allclose(one[row, : len(other)], other, rtol=1e-6)


@pytest.mark.parametrize("across_classes", [False, True])
def test_a_lower_limit_and_a_higher_threshold_leave_the_first_of_the_same(across_classes):
    boxes, scores = crowd(np.random.default_rng(3), 30, 2)
    all_kept = run(boxes, scores, threshold=0.0, limit=60, across_classes=across_classes)
    few = run(boxes, scores, threshold=0.0, limit=7, across_classes=across_classes)
    good = run(boxes, scores, threshold=0.3, limit=60, across_classes=across_classes)
    assert len(few[0]) == 7 and 7 < len(good[0]) < len(all_kept[0])
    for one, of_few, of_good in zip(all_kept, few, good, strict=True):
        np.testing.assert_array_equal(one[:7], of_few)
        np.testing.assert_array_equal(one[: len(of_good)], of_good)


def test_a_tiny_sigma_is_hard_nms_of_any_overlap():
    boxes, scores = crowd(np.random.default_rng(4), 30, 2)
    for one, other in zip(
        run(boxes, scores, sigma=1e-9), run(boxes, scores, 0.05, 50, 0.0, 0.0), strict=True
    ):
        np.testing.assert_array_equal(one, other)


def test_a_huge_sigma_leaves_every_candidate_its_score():
    boxes, scores = crowd(np.random.default_rng(5), 30, 1)
    found = run(boxes, scores, threshold=0.4, sigma=1e9)
    np.testing.assert_allclose(found[1], np.sort(scores[scores > 0.4])[::-1], rtol=1e-6)


def test_without_sigma_it_is_tensorflows_hard_nms():
    boxes, scores = crowd(np.random.default_rng(6), 40, 3)
    expected = tf.image.combined_non_max_suppression(
        boxes[None], scores[None], 50, 50, iou_threshold=0.4, score_threshold=0.05, clip_boxes=False
    )
    found = run(boxes, scores, nms_iou=0.4, sigma=0.0)
    np.testing.assert_array_equal(found[0], expected[0][0, : expected[3][0]])
    assert (found[2] - 1).tolist() == expected[2].numpy()[0, : len(found[2])].tolist()


@pytest.mark.parametrize("across_classes", [False, True])
def test_the_layer_detects_softly_by_the_scores_that_are_left(across_classes):
    layer = SelectDetections(
        *(0.05, 0.5, across_classes, 4, 1e-2, (10, 10, 5, 5), True), soft_nms_sigma=SIGMA
    )
    proposals = [A, B, FAR, FAR]
    probabilities = [[0.1, 0.9, 0], [0.2, 0.8, 0], [0.3, 0, 0.7], [0, 0, 1]]
    given = [
        tf.constant(probabilities),
        tf.zeros((4, 3, 4)),
        tf.constant([proposals]),
        tf.constant([[True, True, True, False]]),  # a padded row, which takes from nobody
        tf.constant([[0.0, 0, 100, 100]]),
    ]
    boxes, scores, classes = layer(*given)
    np.testing.assert_array_equal(boxes[0], [A, FAR, B, [0, 0, 0, 0]])
    np.testing.assert_allclose(scores[0], [0.9, 0.7, 0.8 * math.exp(-(1 / 9) / 0.5), 0], rtol=1e-6)
    assert classes.numpy()[0].tolist() == [1, 2, 1, 0]
    np.testing.assert_allclose(layer(*given, score_threshold=tf.constant([0.65]))[1][0], [0.9, 0.7, 0, 0])


def greedy(boxes, scores, nms_iou):
    """The rows of one level that hard NMS keeps, best first, float64."""
    kept = []
    for row in np.argsort(-scores, kind="stable"):
        if scores[row] > -np.inf and all(
            iou(np.float64(boxes[row]), np.float64(boxes[[k]]))[0] <= nms_iou for k in kept
        ):
            kept.append(row)
    return kept


@pytest.mark.parametrize("limit", [5, 40, 200])
def test_levels_suppress_each_by_itself_and_share_the_limit(limit):
    rng = np.random.default_rng(7)
    levels, expected = [], [[], []]
    for rows in (60, 30, 1):
        corners = rng.uniform(0, 60, (2, rows, 2))
        boxes = np.concatenate([corners, corners + rng.uniform(15, 40, corners.shape)], 2).astype(np.float32)
        scores = -np.sort(-rng.normal(0, 3, (2, rows)).astype(np.float32))
        scores[:, rows // 2 :: 4] = -np.inf  # too small, say
        levels.append((tf.constant(boxes), tf.constant(scores)))
        for image in range(2):
            kept = greedy(boxes[image], scores[image], 0.5)
            expected[image] += [(scores[image, row], boxes[image, row]) for row in kept]
    found, valid = suppress_levels(levels, limit, 0.5)
    counts = [min(limit, len(rows)) for rows in expected]
    assert found.shape == (2, max(counts), 4) and valid.numpy().sum(1).tolist() == counts
    for image, rows in enumerate(expected):
        best = [box for _, box in sorted(rows, key=lambda row: -row[0])][: counts[image]]
        np.testing.assert_array_equal(found[image, : counts[image]], best)
        assert not found[image, counts[image] :].numpy().any()


def test_levels_without_a_candidate_give_one_row_that_is_not_valid():
    found, valid = suppress_levels([(tf.ones((1, 3, 4)), tf.fill((1, 3), -float("inf")))], 5, 0.5)
    assert not found.numpy().any() and valid.numpy().tolist() == [[False]]
