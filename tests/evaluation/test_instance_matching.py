"""TP, FP and FN of label images are those that StarDist counts; records and detections are compared as such images."""

import dataclasses
import json

import numpy as np
import pytest
from label_scenes import THRESHOLDS, chain, scenes
from labelled import found_of, masks_of, record_of
from places import ROOT

from keras_maskrcnn.data.records import make_record
from keras_maskrcnn.evaluation.instance_matching import METRICS, score_label_images, score_matching

STARDIST = json.loads((ROOT / "tests" / "evaluation" / "stardist_matching.json").read_text())
"""By tests/support/record_stardist.py with stardist 0.9.2, whose IoUs are float32."""


def assert_equal(scores, recorded):
    for name, values in recorded.items():
        np.testing.assert_allclose(getattr(scores, name), values, rtol=1e-6, atol=2e-7, err_msg=name)


@pytest.mark.parametrize("index", range(len(STARDIST["images"])))
def test_an_image_scores_as_with_stardist(index):
    true, predicted = scenes()[index]
    assert_equal(score_label_images(true, predicted, THRESHOLDS), STARDIST["images"][index])


def test_all_images_together_score_as_with_stardist():
    scores = score_label_images(*zip(*scenes(), strict=True), THRESHOLDS)
    assert set(STARDIST["together"]) == set(METRICS) and scores.images == len(scenes())
    assert_equal(scores, STARDIST["together"])


def test_the_numbers_of_labels_mean_nothing_however_large():
    true, predicted = scenes()[0]
    expected = score_label_images(true, predicted).to_dict()
    mirrored = np.where(predicted > 0, 60_000 - predicted, 0)
    sparse = true.astype(np.int64) * 2**40
    assert score_label_images(sparse, mirrored).to_dict() == expected
    volume = score_label_images(
        np.stack([true] * 2), np.stack([predicted] * 2)
    )  # one image of three dimensions
    assert volume.to_dict() == expected


def test_as_many_as_possible_match_not_the_greatest_iou_first():
    true, predicted = chain()
    scores = score_label_images(true, predicted, [0.2, 0.3])
    assert scores.tp.tolist() == [6, 3]
    assert scores.mean_matched_score == pytest.approx([(2 / 10 + 4 / 18) / 2, 8 / 14])


def test_thresholds_of_numpys_range_are_the_decimals_that_they_mean():
    true, predicted = np.zeros((2, 4, 5), int)
    true[:], predicted[:, :3] = 1, 1  # IoU 3/5, and arange has 0.6000000000000001
    assert score_label_images(true, predicted, np.arange(0.5, 1, 0.05)).tp.tolist() == [1] * 3 + [0] * 7


def dsb2018(true, predicted):
    """The contest's score of images by its text, mask by mask."""
    images = []
    for one, other in zip(true, predicted, strict=True):
        masks = [one == value for value in np.unique(one) if value]
        found = [other == value for value in np.unique(other) if value]
        ious = np.array([[(a & b).sum() / (a | b).sum() for b in found] for a in masks])
        fractions = []
        for threshold in range(50, 100, 5):
            hits = int((100 * ious > threshold).sum())
            fractions.append(hits / (len(masks) + len(found) - hits))
        images.append(np.mean(fractions))
    return np.mean(images)


def test_the_contests_score_is_the_mean_over_images_of_pairs_above_each_threshold():
    pairs = [pair for pair in scenes() if pair[0].any() or pair[1].any()]
    assert score_label_images(*zip(*pairs, strict=True)).dsb2018 == pytest.approx(
        dsb2018(*zip(*pairs, strict=True))
    )
    true, predicted = np.zeros((2, 10, 10), int)
    true[:], predicted[:5] = 1, 1
    assert score_label_images(true, predicted).accuracy[0] == 1  # an IoU of 0.5 is enough for StarDist
    assert score_label_images(true, predicted).dsb2018 == 0  # and not for the contest
    nothing = np.zeros((10, 10), int)
    assert score_label_images([true, nothing], [true, nothing]).dsb2018 == 1  # no mistake was made
    assert score_label_images([true, nothing], [true, true]).dsb2018 == 0.5


def test_metrics_have_names_with_their_threshold():
    true, predicted = scenes()[1]
    scores = score_label_images(true, predicted, [0.5, 0.75])
    named = scores.to_dict()
    assert list(named)[:3] == ["tp_50", "tp_75", "fp_50"] and list(named)[-1] == "dsb2018"
    assert named["accuracy_75"] == scores.accuracy[1] and len(named) == 2 * len(METRICS) + 1


@pytest.mark.parametrize(
    ("true", "predicted", "thresholds", "reason"),
    [
        (
            np.zeros((4, 5), int),
            np.zeros((5, 4), int),
            [0.5],
            r"0: the true one is \(4, 5\), the predicted one \(5, 4",
        ),
        ([np.zeros((4, 5), int)] * 2, [np.zeros((4, 5), int)], [0.5], "2 true label images, but 1 predicted"),
        (np.zeros((4, 5), int), [np.zeros((4, 5), int)], [0.5], "both be a label image, or both a list"),
        ([], [], [0.5], "no images to compare"),
        (np.zeros((4, 5)), np.zeros((4, 5), int), [0.5], "array of whole numbers from 0; got float64"),
        (np.zeros((4, 5), bool), np.zeros((4, 5), int), [0.5], "array of whole numbers from 0; got bool"),
        ([[[0, 1]]], [[[0, 1]]], [0.5], "array of whole numbers from 0; got list"),
        (np.full((4, 5), -1), np.zeros((4, 5), int), [0.5], "array of whole numbers from 0; got int64"),
        (
            np.zeros((4, 5), int),
            np.zeros((4, 5), int),
            [],
            "IoU thresholds must be a list of numbers above 0 to 1",
        ),
        (np.zeros((4, 5), int), np.zeros((4, 5), int), [0.5, 0], "IoU thresholds must be"),
        (np.zeros((4, 5), int), np.zeros((4, 5), int), [float("nan")], "IoU thresholds must be"),
        (np.zeros((4, 5), int), np.zeros((4, 5), int), 0.5, "IoU thresholds must be a list"),
    ],
)
def test_what_cannot_be_compared_is_refused(true, predicted, thresholds, reason):
    with pytest.raises(ValueError, match=reason):
        score_label_images(true, predicted, thresholds)


def test_records_and_detections_score_as_their_label_images():
    pairs = scenes()[:8]
    records = [record_of(true, image_id=number) for number, (true, _) in enumerate(pairs)]
    detections = [found_of(masks_of(predicted)) for _, predicted in pairs]
    scores = score_matching(records, detections, iou_thresholds=THRESHOLDS)
    assert scores.to_dict() == score_label_images(*zip(*pairs, strict=True), THRESHOLDS).to_dict()
    as_arrays = [
        dataclasses.replace(one, masks=masks_of(p)) for one, (_, p) in zip(detections, pairs, strict=True)
    ]
    assert score_matching(records, as_arrays, iou_thresholds=THRESHOLDS).to_dict() == scores.to_dict()


def test_overlapping_detections_are_compared_as_the_label_image_shows_them():
    rng = np.random.RandomState(1)
    true = scenes()[2][0]
    masks = masks_of(true)[rng.randint(0, true.max(), 40)]
    masks = np.stack([np.roll(mask, rng.randint(-3, 4, 2), (0, 1)) for mask in masks])
    found = found_of(masks, rng.rand(40))
    for least in (0.0, 0.3, 0.7):
        scores = score_matching([record_of(true)], [found], least, THRESHOLDS)
        expected = score_label_images(true, found.to_label_image(min_score=least), THRESHOLDS)
        assert scores.to_dict() == expected.to_dict()


def test_a_match_is_of_the_same_class():
    true, predicted = scenes()[1]
    true_classes = 1 + np.arange(len(np.unique(true)) - 1) % 2
    found_classes = 1 + np.arange(len(np.unique(predicted)) - 1) % 2
    scores = score_matching(
        [record_of(true, true_classes)], [found_of(masks_of(predicted), class_ids=found_classes)]
    )
    of_class = []
    for class_id in (1, 2):  # each class alone
        kept = [
            np.where(np.isin(labels, np.unique(labels[labels > 0])[classes == class_id]), labels, 0)
            for labels, classes in ((true, true_classes), (predicted, found_classes))
        ]
        of_class.append(score_label_images(*kept))
    for name in ("tp", "fp", "fn"):
        assert (getattr(scores, name) == sum(getattr(one, name) for one in of_class)).all()
    assert 0 < scores.tp[0] < score_label_images(true, predicted).tp[0]


def test_detections_in_crowds_of_their_class_are_no_mistakes_and_crowds_no_objects():
    true = np.zeros((40, 60), int)
    true[0:10, 0:10], true[20:40, 30:60] = 1, 2
    record = record_of(true, [1, 1], [0, 1])
    inside, half, outside = np.zeros((3, 40, 60), bool)
    inside[22:30, 32:40], half[26:34, 20:40], outside[0:10, 40:50] = True, True, True
    excused = score_matching([record], [found_of([true == 1, inside])])
    assert (excused.tp[0], excused.fp[0], excused.fn[0], excused.dsb2018) == (1, 0, 0, 1)
    for masks, class_ids in (([half], [1]), ([outside], [1]), ([inside], [2])):
        wrong = score_matching([record], [found_of([true == 1, *masks], class_ids=[1, *class_ids])])
        assert (wrong.tp[0], wrong.fp[0], wrong.fn[0], wrong.dsb2018) == (1, 1, 0, 0.5)
    in_object = np.zeros((40, 60), int)
    in_object[0:40, 30:60], in_object[22:32, 32:40] = 2, 1
    matched = score_matching([record_of(in_object, [1, 1], [0, 1])], [found_of([in_object == 1])])
    assert (matched.tp[0], matched.fp[0], matched.fn[0], matched.dsb2018) == (
        1,
        0,
        0,
        1,
    )  # it is in a crowd, too


def test_objects_wholly_under_smaller_ones_are_told_and_left_out():
    masks = np.zeros((3, 10, 10), bool)
    masks[0, :4, :4] = masks[1, :4, :4] = masks[2, 6:, 6:] = True
    record = make_record(np.zeros((10, 10), np.uint8), None, [1, 1, 1], masks, image_id="twice")
    with pytest.warns(UserWarning, match="1 annotated object lie.* first in image 'twice'"):
        scores = score_matching([record], [found_of(masks[1:])])
    assert (scores.tp[0], scores.fp[0], scores.fn[0]) == (2, 0, 0)


def test_records_and_detections_that_do_not_fit_together_are_refused():
    true = scenes()[0][0]
    record, found = record_of(true), found_of(masks_of(true))
    with pytest.raises(ValueError, match="1 detections do not belong to 2 records"):
        score_matching([record, record], [found])
    with pytest.raises(ValueError, match=r"image 'scene' is 72 x 96 .* detections are of 40 x 60"):
        score_matching([record], [found_of(np.ones((1, 40, 60), bool))])
    with pytest.raises(ValueError, match="image 'scene': A label image is made of masks"):
        score_matching([record], [dataclasses.replace(found, masks=None)])
    boxes = make_record(np.zeros((72, 96), np.uint8), [[1, 1, 5, 5]], [1], image_id="boxes")
    with pytest.raises(ValueError, match="image 'boxes': a label image is made of masks"):
        score_matching([boxes], [found])
    with pytest.raises(ValueError, match="nothing to evaluate against"):
        score_matching([record_of(np.zeros((72, 96), int))], [found])
    named = dataclasses.replace(record, class_names=("other", "class 1"))
    with pytest.raises(
        ValueError, match="image 'scene': class 1 of its detections is 'class 1', which is class 2"
    ):
        score_matching([named], [found])
    for wrong in (2, True):
        with pytest.raises(ValueError, match=r"min_score must be in 0\.\.1"):
            score_matching([record], [found], wrong)
