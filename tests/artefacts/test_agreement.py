import numpy as np
import pytest

from keras_maskrcnn.artefacts.agreement import agree


def rows(boxes, scores, classes):
    return {
        "boxes": np.array(boxes, np.float32).reshape(-1, 4),
        "scores": np.array(scores, np.float32),
        "classes": np.array(classes, np.int32),
    }


ONE, BESIDE, FAR = [0, 0, 10, 10], [0, 0, 10, 8], [50, 50, 60, 60]


def test_the_same_objects_agree_and_how_far_is_told():
    found = agree([rows([ONE, FAR], [0.9, 0.8], [1, 2])], [rows([BESIDE, FAR], [0.7, 0.8], [1, 2])])
    assert (found.compared, found.shared, found.share) == (4, 4, 1.0)
    assert found.mean_iou == pytest.approx((0.8 + 1.0) / 2)
    assert found.score_difference == pytest.approx(0.1)
    assert found.passes and str(found).startswith(
        "4 of 4 objects (scores from 0.5) found by both: mean IoU of boxes 0.900"
    )


def test_an_object_is_shared_though_the_other_is_less_sure_of_it():
    found = agree([rows([ONE], [0.55], [1])], [rows([ONE], [0.45], [1])])
    assert (found.compared, found.shared) == (1, 1)


def test_objects_that_one_lacks_or_calls_otherwise_are_not_shared():
    assert agree([rows([ONE, FAR], [0.9, 0.9], [1, 1])], [rows([ONE], [0.9], [1])]).share == pytest.approx(
        2 / 3
    )
    other = agree([rows([ONE], [0.9], [1])], [rows([ONE], [0.9], [2])])
    assert other.share == 0.0 and not other.passes


def test_one_detection_is_not_the_other_of_two():
    found = agree([rows([ONE, BESIDE], [0.9, 0.8], [1, 1])], [rows([ONE], [0.9], [1])])
    assert (found.compared, found.shared) == (3, 2)


def test_rows_without_a_detection_and_weak_ones_are_no_objects():
    padded = rows([ONE, FAR, [0, 0, 0, 0]], [0.9, 0.3, 0.0], [1, 1, 0])
    found = agree([padded], [padded])
    assert (found.compared, found.shared) == (2, 2)
    nothing = agree([rows([], [], [])], [rows([], [], [])])
    assert nothing.share == 1.0 and nothing.compared == 0
    assert agree([rows([ONE], [0.9], [1])], [rows([], [], [])]).share == 0.0


def test_images_are_compared_each_with_its_own():
    one, other = rows([ONE], [0.9], [1]), rows([FAR], [0.9], [1])
    assert agree([one, other], [other, one]).share == 0.0
