import numpy as np
from scenes import CAT, DOG, NAMES, found, record, scene

from keras_maskrcnn.evaluation.analysis import analyse
from keras_maskrcnn.evaluation.mistakes import describe_mistake, draw_mistake


def test_each_mistake_is_said_in_words():
    analysis = scene()
    assert [describe_mistake(analysis, match) for match in analysis.false_positives()] == [
        "dog 0.95: no object there",
        "cat 0.80: nearest is cat, IoU 0.95",
        "cat 0.70: true dog, IoU 1.00",
        "dog 0.60: no object there",
    ]
    assert [describe_mistake(analysis, match) for match in analysis.misses()] == [
        "missed cat: no detection there"
    ]
    beside = analyse([record([CAT], [1])], [found((2, 0.9, [18, 0, 38, 20]))], NAMES)  # IoU 2 / 38
    assert [describe_mistake(beside, match) for match in beside.false_positives()] == [
        "dog 0.90: no object there"
    ]
    assert [describe_mistake(beside, match) for match in beside.misses()] == [
        "missed cat: no detection there"
    ]
    unsure = analyse([record([DOG], [2])], [found((2, 0.25, DOG))], NAMES)
    assert [describe_mistake(unsure, match) for match in unsure.misses()] == [
        "missed dog: nearest is dog 0.25, IoU 1.00"
    ]


def test_a_mistake_is_drawn_large_with_what_lies_around_it():
    analysis = scene()
    for match in [*analysis.false_positives(), *analysis.misses()]:
        drawn = draw_mistake(analysis, match, side=200)
        assert drawn.mode == "RGB" and max(drawn.size) == 200
        assert len(np.unique(np.asarray(drawn).reshape(-1, 3), axis=0)) > 2


def test_the_prediction_is_red_and_the_truth_green():
    analysis = scene()
    (confused,) = [match for match in analysis.false_positives() if match.object is not None]
    colors = {tuple(color) for color in np.asarray(draw_mistake(analysis, confused)).reshape(-1, 3)}
    assert (46, 204, 113) in colors or (
        230,
        57,
        70,
    ) in colors  # the two boxes are equal, one covers the other
    (missed,) = analysis.misses()
    colors = {tuple(color) for color in np.asarray(draw_mistake(analysis, missed)).reshape(-1, 3)}
    assert (46, 204, 113) in colors and (230, 57, 70) not in colors
