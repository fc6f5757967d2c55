import dataclasses
import tracemalloc

import numpy as np
import pytest
import tensorflow as tf
from examples import tiny

import keras_maskrcnn as km
from keras_maskrcnn.diagnostics import anchor_matching, anchors
from keras_maskrcnn.diagnostics.anchor_matching import (
    ResizedObjects,
    best_overlaps,
    resized_objects,
    trains_none,
)
from keras_maskrcnn.diagnostics.anchors import AnchorAdvice, AnchorChoice, anchor_advice
from keras_maskrcnn.images.sizes import resized_size
from keras_maskrcnn.layers.matching import POSITIVE, match_image
from keras_maskrcnn.layers.rpn import Anchors
from keras_maskrcnn.layers.square import SquareWindows, ToSquare
from keras_maskrcnn.ops import boxes as box_ops


def record(boxes, height=90, width=130, crowd=None, number=0):
    boxes = np.asarray(boxes, np.float32).reshape(-1, 4)
    image = np.zeros((height, width, 3), np.uint8)
    return km.make_record(image, boxes, [1] * len(boxes), crowd=crowd, image_id=f"made {number}")


def random_records(count=12, seed=0):
    rng = np.random.default_rng(seed)
    records = []
    for number in range(count):
        height, width = rng.integers(40, 160, 2)
        sides = np.exp(rng.uniform(np.log(2), np.log(0.9 * min(height, width)), (rng.integers(1, 9), 2)))
        start = rng.uniform(0, [width, height] - sides)
        records.append(record(np.concatenate([start, start + sides], axis=1), height, width, number=number))
    return records


def matched_by_the_model(one, config):
    """Best IoU of each object with any anchor of the model's own layers, and whether `match` gives it one."""
    size = resized_size(one.height, one.width, config.min_size, config.max_size, config.size_rounding)
    gt = one.boxes * np.tile([size[1] / one.width, size[0] / one.height], 2).astype(np.float32)
    padded = [-(-side // config.size_divisor) * config.size_divisor for side in size]
    if config.square:
        padded = [config.max_size] * 2
        windows = SquareWindows(config.max_size)(np.array([size], np.int32))
        gt = ToSquare()(gt[None].astype(np.float32), windows)[0]
    nominal = (4, 8, 16, 32, 64) if config.architecture == "fpn" else (16,)
    features = {
        f"P{number}": tf.zeros((1, -(-padded[0] // stride), -(-padded[1] // stride), 1))
        for number, stride in enumerate(nominal)
    }
    strides = nominal if config.fixed_anchor_strides else ()
    layer = Anchors(
        config.anchor_sizes, config.anchor_ratios, config.round_anchors, strides, last_pixel=config.square
    )
    anchors = tf.concat(list(layer(features, tf.zeros((1, *padded, 3))).values()), axis=0)
    gt = tf.constant(gt, tf.float32)
    best = tf.reduce_max(box_ops.iou(gt, anchors), axis=1).numpy()
    thresholds = config.rpn_positive_iou, config.rpn_negative_iou
    classes, crowd = tf.ones(len(gt), tf.int32), tf.zeros(len(gt), bool)
    owners, labels = match_image(anchors, gt, classes, crowd, thresholds, True, config.crowd_overlap)
    trained = set(owners.numpy()[labels.numpy() == POSITIVE].tolist())
    return best, np.array([number in trained for number in range(len(gt))])


CONFIGS = {
    "fpn": {},
    "fixed strides, not rounded": {"fixed_anchor_strides": True, "round_anchors": False},
    "one level": {"architecture": "dc5", "anchor_sizes": ((8, 32, 64),), "size_divisor": 1},
    "square": {"square": True, "max_size": 128, "fixed_anchor_strides": True, "size_rounding": "half_even"},
}


@pytest.mark.parametrize("changes", CONFIGS.values(), ids=CONFIGS)
def test_best_overlaps_and_lost_objects_are_those_of_the_models_own_anchors(changes):
    config = tiny(**changes)
    records = random_records()
    resized = resized_objects(records, config)
    overlaps = best_overlaps(resized, config)
    ours_lost = trains_none(resized, overlaps, config)
    expected, trained = zip(*(matched_by_the_model(one, config) for one in records), strict=True)
    np.testing.assert_allclose(overlaps.max(axis=1), np.concatenate(expected), atol=1e-5)
    assert ours_lost.sum() > 0
    if config.round_anchors:  # or else float32 decides at random which of equally good anchors are the best
        np.testing.assert_array_equal(ours_lost, ~np.concatenate(trained))


def crowded_record(count, side, seed=0):
    """Many small objects that lie close together in one square image; no pixel of it is read."""
    rng = np.random.default_rng(seed)
    sides = rng.uniform(2, 12, (count, 2))
    start = rng.uniform(0, side - 12, (count, 2))
    image = np.broadcast_to(np.uint8(0), (side, side, 3))
    return km.make_record(
        image, np.concatenate([start, start + sides], axis=1), [1] * count, image_id=f"crowded {seed}"
    )


@pytest.mark.parametrize("pairs", [7, anchor_matching._PAIRS])
def test_lost_objects_are_those_of_comparing_all_best_places_with_all_objects_at_once(monkeypatch, pairs):
    monkeypatch.setattr(anchor_matching, "_PAIRS", pairs)
    config = tiny(min_size=128, max_size=128)
    records = [crowded_record(90, 128), record([]), crowded_record(40, 128, seed=1)]
    resized = resized_objects(records, config)
    overlaps = best_overlaps(resized, config)
    best = overlaps.max(axis=1)
    expected = best < config.rpn_positive_iou
    for image in np.unique(resized.images):
        rows = np.flatnonzero(resized.images == image)
        places = [
            anchor_matching._best_places(
                ResizedObjects(*(field[row] for field in resized)),
                *anchor_matching._anchors(config)[tie],
                config,
            )
            for row in rows[expected[rows]]
            for tie in np.flatnonzero(overlaps[row] > best[row] - 1e-6)
        ]
        owners = anchor_matching._pairwise_iou(np.concatenate(places), resized.boxes[rows]).argmax(axis=1)
        expected[rows[owners]] = False
    assert 0 < expected.sum() < len(best)
    np.testing.assert_array_equal(trains_none(resized, overlaps, config), expected)


def test_an_image_of_many_objects_needs_little_memory():
    config = tiny(min_size=2000, max_size=2000)
    resized = resized_objects([crowded_record(1000, 2000)], config)
    overlaps = best_overlaps(resized, config)
    tracemalloc.start()
    trains_none(resized, overlaps, config)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 50e6


# TINY's short side is 64: in images of 64 x 64 pixels nothing is resized. Its anchors of P2 are 16 x 16, 12 x 22 and
# 22 x 12 pixels, centred on multiples of 4.
def test_fractions_can_be_counted_by_hand():
    exact = [24, 24, 40, 40]  # an anchor itself
    half = [26, 25, 38, 39]  # 12 x 14 inside 16 x 16: 168 / 256 = 0.66
    crowded = [[4, 4, 8, 8], [4, 8, 8, 12], [0, 0, 16, 16]]  # two of 4 x 4 under one that fits an anchor
    advice = anchor_advice([record([exact], 64, 64), record([half], 64, 64)], tiny())
    assert (advice.objects, advice.matched, advice.lost) == (2, 0.5, 0)
    assert [(one.low, one.high, one.objects, one.matched) for one in advice.bins] == [
        (8, 16, 1, 0.0),
        (16, 32, 1, 1.0),
    ]
    advice = anchor_advice([record(crowded, 64, 64)], tiny())
    assert advice.matched == pytest.approx(1 / 3)


def test_crowds_do_not_count():
    with_crowd = record([[24, 24, 40, 40], [0, 0, 3, 3]], 64, 64, crowd=[False, True])
    advice = anchor_advice([with_crowd], tiny())
    assert (advice.objects, advice.matched) == (1, 1.0)


def test_each_training_size_counts_alike():
    config = tiny(train_min_sizes=(64, 32))  # 16 x 16 at 64, 8 x 8 at 32
    advice = anchor_advice([record([[24, 24, 40, 40]], 64, 64)], config)
    assert (advice.objects, advice.matched) == (1, 0.5)


def test_choices_reach_what_they_say():
    rng = np.random.default_rng(3)
    start = rng.uniform(0, 50, (40, 2))
    small = [record(np.concatenate([[s], [s + [9, 7]]], axis=1), 64, 64) for s in start]
    config = tiny()
    advice = anchor_advice(small, config)
    assert advice.matched == 0
    assert advice.choices
    for choice in advice.choices:
        changed = dataclasses.replace(config, **choice.changes)
        assert anchor_advice(small, changed).matched == choice.matched
    fractions = [choice.matched for choice in advice.choices]
    assert fractions == sorted(fractions) and fractions[-1] >= 0.8


def test_anchors_that_fit_are_left_alone():
    advice = anchor_advice([record([[24, 24, 40, 40]], 64, 64)], tiny())
    assert advice.matched == 1 and not advice.choices
    assert "no other" in str(advice)


def test_the_best_anchors_are_applied_and_those_of_a_pretrained_rpn_stay_as_many():
    """128 x 128 pixels with squares of 22 pixels: anchors of 16 x 16 overlap them by 256 / 484."""
    config = tiny(min_size=128, max_size=128)
    advice = anchor_advice([record([[10, 10, 32, 32], [70, 60, 92, 82]], 128, 128)], config)
    assert advice.matched == 0 and not advice.fits
    alike, more = advice.best(pretrained_rpn=True), advice.best()
    assert [len(sizes) for sizes in advice.apply(config, pretrained_rpn=True).anchor_sizes] == [
        len(sizes) for sizes in config.anchor_sizes
    ]
    assert alike.note == anchors.NEW_ANCHORS and more == alike  # which match all
    assert advice.apply(config).anchor_sizes == alike.changes["anchor_sizes"]
    assert anchor_advice([record([[10, 10, 32, 32]], 128, 128)], advice.apply(config)).matched == 1


def test_larger_images_are_no_choice_of_anchors():
    larger = AnchorChoice({"min_size": 256}, 0.9, anchors.LARGER_IMAGES)
    new_head = AnchorChoice({"anchor_sizes": ((8, 16),) * 5}, 0.8, anchors.NEW_HEAD)
    advice = AnchorAdvice(9, 0.7, 0.2, 0.0, (), (new_head, larger))
    assert advice.best() == new_head and advice.best(pretrained_rpn=True) is None
    config = tiny()
    assert advice.apply(config).anchor_sizes == ((8, 16),) * 5
    assert advice.apply(config, pretrained_rpn=True) is config


@pytest.mark.parametrize(
    ("matched", "lost", "fits"), [(0.3, 0.0, True), (0.29, 0.0, False), (0.5, 0.1, False)]
)
def test_anchors_of_a_pretrained_rpn_that_fit_stay(matched, lost, fits):
    choice = AnchorChoice({"anchor_sizes": ((8,),) * 5}, 0.8, anchors.NEW_ANCHORS)
    advice = AnchorAdvice(9, 0.7, matched, lost, (), (choice,))
    assert advice.best(pretrained_rpn=True) == (None if fits else choice) and advice.best() == choice


def test_report_names_fractions_and_fields_and_what_they_cost():
    text = str(anchor_advice([record([[12, 12, 20, 20]], 64, 64)], tiny()))
    assert text.startswith("Anchors: 0% of 1 object overlap one by an IoU of 0.7 or more; 100% train only")
    assert "8-16 px" in text
    assert "anchor_sizes=((8,), (16,), (32,), (48,), (64,)) (a pretrained RPN has to learn them anew)" in text


@pytest.mark.parametrize(
    ("matched", "lost", "said"),
    [
        (0.34, 0.0, "These anchors fit: keep them"),
        (
            0.2,
            0.05,
            "less well than is usual, yet nearly all objects train some: keep them with a pretrained RPN",
        ),
        (0.5, 0.1, "Too many objects train no anchor"),
    ],
)
def test_the_verdict_compares_with_what_is_usual(matched, lost, said):
    advice = anchor_advice([record([[24, 24, 40, 40]], 64, 64)], tiny())
    verdict = dataclasses.replace(advice, matched=matched, lost=lost).verdict
    assert said in verdict and "of COCO's photographs and anchors these are 37%, 62% and 0.6%" in verdict


def test_data_without_objects_or_records():
    assert str(anchor_advice([record([])], tiny())) == "Anchors: there are no objects to match"
    with pytest.raises(ValueError, match="needs records"):
        anchor_advice([], tiny())
