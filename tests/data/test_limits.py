"""Images with more objects than a config lets be found."""

import dataclasses

import numpy as np
import pytest
from examples import tiny

from keras_maskrcnn.data.limits import limit_advice
from keras_maskrcnn.data.records import make_record


def record(count, name, crowds=0):
    boxes = [[4 * n, 2, 4 * n + 3, 9] for n in range(count + crowds)]
    image = np.zeros((16, 4 * (count + crowds) + 4, 3), np.uint8)
    crowd = [False] * count + [True] * crowds
    return make_record(image, boxes, [1] * len(boxes), crowd=crowd, image_id=name)


RECORDS = [record(3, "few"), record(41, "full"), record(12, "some"), record(10, "crowds", crowds=9)]
CONFIG = tiny(max_detections=10, post_nms_top_k=45, post_nms_top_k_train=100)


def test_objects_out_of_reach_are_counted_and_given_room():
    advice = limit_advice(RECORDS, CONFIG)
    assert (advice.limit, advice.most, advice.images, advice.objects) == (10, 41, 2, 66)
    assert advice.beyond == 31 + 2
    # 1.25 times 41 is 51.25; there are too few proposals for it at inference, and enough in training
    assert advice.changes == {"max_detections": 60, "post_nms_top_k": 60}
    assert str(advice) == (
        "image 'full': of 41 objects at most 10 (max_detections) can be found; 2 images in all have more than that, "
        "and 33 of 66 objects are out of reach; max_detections=60, post_nms_top_k=60 has room for them"
    )


def test_the_advice_is_applied_and_then_there_is_room():
    config = limit_advice(RECORDS, CONFIG).apply(CONFIG)
    assert config == dataclasses.replace(CONFIG, max_detections=60, post_nms_top_k=60)
    advice = limit_advice(RECORDS, config)
    assert advice.changes == {} and advice.beyond == advice.images == 0 and advice.apply(config) == config
    assert str(advice) == "no image has more than 41 objects; max_detections is 60"


def test_as_many_objects_as_detections_are_not_too_many():
    assert limit_advice(RECORDS[3:], CONFIG).changes == {}


def test_there_must_be_records():
    with pytest.raises(ValueError, match="limit_advice needs records; got none"):
        limit_advice([], CONFIG)
