"""Repeat factors, by hand."""

import math

import numpy as np
import pytest
from examples import tiny

from keras_maskrcnn.data.pipeline.dataset import make_dataset
from keras_maskrcnn.data.records import make_record
from keras_maskrcnn.data.report import LoadReport, Records
from keras_maskrcnn.data.sampling import repeat_factor_sampling, repeat_factors


def record(number, *classes, crowd=None):
    boxes = [[1, 1, 9, 9]] * len(classes)
    image = np.zeros((16, 16, 3), np.uint8)
    return make_record(image, boxes=boxes, class_ids=classes, crowd=crowd, image_id=number)


def test_factors_follow_the_formula_of_the_paper():
    # class 1 on 8 of 10 images, class 2 on 2, class 3 on 1
    classes = [{1}] * 7 + [{1, 2}, {2, 3}, set()]
    threshold = 0.4
    common, seldom, rare = 1.0, math.sqrt(0.4 / 0.2), math.sqrt(0.4 / 0.1)
    assert repeat_factors(classes, threshold) == pytest.approx([common] * 7 + [seldom, rare, 1.0])
    assert rare == 2.0


def test_images_come_as_often_as_their_factor_says():
    records = [record(i, 1) for i in range(99)] + [record(99, 1, 2)]
    chosen = repeat_factor_sampling(records, threshold=0.09)
    assert [r.image_id for r in chosen] == [*range(99), 99, 99, 99]  # sqrt(0.09 / 0.01) = 3


def test_fractions_are_drawn_once_from_the_seed():
    records = [record(i, 1) for i in range(400)] + [record(i, 2) for i in range(400, 500)]
    once, again, other = (repeat_factor_sampling(records, 0.45, seed) for seed in (0, 0, 1))
    assert [r.image_id for r in once] == [r.image_id for r in again] != [r.image_id for r in other]
    times = [sum(r.image_id == i for r in once) for i in range(400, 500)]
    assert set(times) == {1, 2}
    assert np.mean(times) == pytest.approx(1.5, abs=0.15)  # sqrt(0.45 / 0.2), three std


def test_crowds_do_not_make_a_class_more_common():
    records = [record(i, 1) for i in range(3)] + [record(3, 1, 2), record(4, 1, 2, crowd=[False, True])]
    chosen = repeat_factor_sampling(records, threshold=0.8)  # class 2 on one image of five: factor 2
    assert [r.image_id for r in chosen] == [0, 1, 2, 3, 3, 4]


def test_every_image_comes_once_at_a_threshold_of_zero():
    records = [record(0, 1), record(1)]
    assert repeat_factor_sampling(records, 0.0) == records


def test_lists_keep_their_report_and_lazy_sequences_stay_lazy():
    report = LoadReport(keypoint_names=("nose",))
    records = Records([record(0, 1), record(1, 1, 2)], report)
    chosen = repeat_factor_sampling(records, 1.0)
    assert isinstance(chosen, Records) and chosen.report.keypoint_names == ("nose",)
    assert report.images == 2 and chosen.report.images == len(chosen)

    class Lazy:
        def __len__(self):
            return 50

        def __getitem__(self, index):
            return record(index, 1 if index else 2)

    lazy = repeat_factor_sampling(Lazy(), 0.18)  # sqrt(0.18 / 0.02) = 3
    assert [lazy[i].image_id for i in range(len(lazy))] == [0, 0, 0, *range(1, 50)]


def test_a_dataset_takes_the_repeated_records():
    config = tiny(mask_head="none")
    chosen = repeat_factor_sampling([record(i, 1) for i in range(3)] + [record(3, 2)], 1.0)
    data = make_dataset(chosen, config, batch_size=2, training=True)
    assert (
        sum(len(batch["images"]) for batch in data)
        == len(chosen)
        == 3 * 1 + sum(r.image_id == 3 for r in chosen)
    )


def test_refuses_what_makes_no_sense():
    for records, threshold in (([], 0.1), ([record(0, 1)], 1.5), ([record(0, 1)], -0.1)):
        with pytest.raises(ValueError, match="repeat_factor_sampling needs records and a threshold"):
            repeat_factor_sampling(records, threshold)
