"""Which detections are right and which objects are missed, on boxes whose overlaps are counted by hand."""

import numpy as np
from scenes import CAT, DOG, found, record

from keras_maskrcnn.data.outcomes import IN_CROWD, NO_OBJECT, matched_objects
from keras_maskrcnn.masks.rle import mask_to_rle


def test_each_object_is_matched_once_by_the_most_confident_detection_of_its_class():
    truth = record([CAT, DOG], [1, 2])
    detections = found((1, 0.6, CAT), (1, 0.9, CAT), (1, 0.8, DOG), (2, 0.3, DOG))
    assert matched_objects(detections, truth).tolist() == [NO_OBJECT, 0, NO_OBJECT, 1]


def test_a_detection_takes_the_free_object_that_it_overlaps_most():
    beside = [4, 0, 24, 20]  # IoU with CAT: 16 / 24
    truth = record([CAT, beside], [1, 1])
    assert matched_objects(found((1, 0.9, [3, 0, 23, 20]), (1, 0.8, CAT)), truth).tolist() == [1, 0]


def test_the_threshold_decides():
    truth = record([CAT], [1])
    half = found((1, 0.9, [0, 0, 20, 10]))
    assert matched_objects(half, truth, 0.5).tolist() == [0]
    assert matched_objects(half, truth, 0.51).tolist() == [NO_OBJECT]


def test_detections_inside_a_crowd_of_their_class_are_neither_right_nor_wrong():
    truth = record([DOG], [2], crowd=[True])
    part = [40, 40, 60, 60]
    detections = found((2, 0.9, part), (2, 0.8, part), (1, 0.7, part))
    assert matched_objects(detections, truth).tolist() == [IN_CROWD, IN_CROWD, NO_OBJECT]


def test_masks_are_compared_where_both_have_them():
    masks = np.zeros((1, 100, 100), bool)
    masks[0, :20, :20] = True
    quarter = np.zeros((100, 100), bool)
    quarter[:10, :10] = True
    truth = record([CAT], [1], masks=masks)
    assert matched_objects(found((1, 0.9, CAT), masks=[mask_to_rle(quarter)]), truth).tolist() == [NO_OBJECT]
    assert matched_objects(found((1, 0.9, CAT)), truth).tolist() == [0]


def test_nothing_on_either_side():
    assert matched_objects(found(), record([CAT], [1])).tolist() == []
    assert matched_objects(found((1, 0.9, CAT)), record([], [])).tolist() == [NO_OBJECT]
