import dataclasses
import tracemalloc

import numpy as np
import pytest

from keras_maskrcnn.detections.detections import Detections
from keras_maskrcnn.masks.rle import mask_to_rle


def found(*rows, side=10, as_rle=False):
    """Detections of rows (score, x1, y1, x2, y2), whose masks fill their boxes."""
    masks = np.zeros((len(rows), side, side), bool)
    for mask, (_, x1, y1, x2, y2) in zip(masks, rows, strict=True):
        mask[y1:y2, x1:x2] = True
    return Detections(
        boxes=np.array([row[1:] for row in rows], float).reshape(-1, 4),
        scores=[row[0] for row in rows],
        class_ids=[1] * len(rows),
        class_names=["cell"] * len(rows),
        height=side,
        width=side,
        masks=[mask_to_rle(mask) for mask in masks] if as_rle else masks,
    )


LOW, UPPER_RIGHT, UPPER_LEFT = (0.9, 0, 6, 4, 9), (0.8, 6, 1, 9, 4), (0.6, 1, 2, 5, 5)


@pytest.mark.parametrize("as_rle", [False, True])
def test_numbers_are_in_reading_order_or_by_score(as_rle):
    detections = found(UPPER_LEFT, LOW, UPPER_RIGHT, as_rle=as_rle)
    labels = detections.to_label_image()
    assert labels.dtype == np.uint16 and labels.shape == (10, 10)
    assert labels[1:4, 6:9].tolist() == [[1] * 3] * 3  # its first row is the uppermost
    assert labels[2:5, 1:5].tolist() == [[2] * 4] * 3
    assert labels[6:9, 0:4].tolist() == [[3] * 4] * 3
    assert (labels > 0).sum() == 9 + 12 + 12
    assert detections.label_rows().tolist() == [2, 0, 1]
    by_score = detections.to_label_image("score")
    assert [by_score[y, x] for y, x in ((6, 0), (1, 6), (2, 1))] == [1, 2, 3]
    assert detections.label_rows("score").tolist() == [1, 2, 0]


@pytest.mark.parametrize("as_rle", [False, True])
def test_a_pixel_of_several_belongs_to_the_best_score_and_of_equals_to_the_first(as_rle):
    detections = found((0.6, 0, 0, 6, 2), (0.9, 4, 0, 8, 2), (0.6, 0, 1, 2, 4), as_rle=as_rle)
    labels = detections.to_label_image("score")
    assert labels[0, :9].tolist() == [2, 2, 2, 2, 1, 1, 1, 1, 0]
    assert labels[:5, 0].tolist() == [2, 2, 3, 3, 0]


def test_a_detection_wholly_under_better_ones_has_no_number_and_the_rows_tell():
    detections = found((0.9, 0, 0, 6, 6), (0.8, 1, 1, 3, 3), (0.7, 7, 7, 9, 9), (0.6, 4, 4, 4, 4))
    assert np.unique(detections.to_label_image()).tolist() == [0, 1, 2]
    rows = detections.label_rows()
    assert rows.tolist() == [0, 2]
    labels, shown = detections.to_label_image(), detections[rows]
    for number in (1, 2):
        ys, xs = np.nonzero(labels == number)
        assert shown.boxes[number - 1].tolist() == [xs.min(), ys.min(), xs.max() + 1, ys.max() + 1]


def test_low_scores_are_left_out_as_from_the_least_on():
    detections = found((0.9, 0, 0, 2, 2), (0.7, 4, 4, 6, 6), (0.3, 7, 7, 9, 9))
    assert detections.to_label_image().max() == 2
    assert detections.to_label_image(min_score=0).max() == 3
    assert detections.to_label_image(min_score=np.float64(0.7)).max() == 2  # the score itself counts
    assert detections.to_label_image(min_score=1).max() == 0


def test_more_than_16_bits_hold_is_32_bits_or_refused():
    rows = np.arange(256 * 256)
    many = Detections(
        boxes=np.tile(np.array([0, 0, 1, 1], np.float32), (len(rows), 1)),
        scores=np.ones(len(rows)),
        class_ids=np.ones(len(rows)),
        class_names=["dot"] * len(rows),
        height=256,
        width=256,
        masks=[{"size": [256, 256], "counts": [place, 1, 65535 - place]} for place in rows.tolist()],
    )
    labels = many.to_label_image()
    assert labels.dtype == np.uint32
    np.testing.assert_array_equal(labels, 1 + np.arange(65536).reshape(256, 256))
    with pytest.raises(ValueError, match="uint16 holds the numbers up to 65535; 65536 are needed"):
        many.to_label_image(dtype=np.uint16)
    assert many[:65535].to_label_image().dtype == np.uint16


def test_rles_are_never_all_decoded_at_once():
    side, count = 512, 64
    detections = found(*[(0.9, 0, 0, side, side)] * count, side=side, as_rle=True)
    tracemalloc.start()
    detections.to_label_image()
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < count * side * side  # the bytes of all masks


def test_nothing_detected_is_an_empty_label_image():
    detections = found()
    assert not detections.to_label_image().any() and detections.label_rows().tolist() == []
    assert not dataclasses.replace(detections, masks=None).to_label_image().any()


def test_what_makes_no_label_image_is_refused():
    with pytest.raises(ValueError, match="made of masks, which these Detections lack"):
        dataclasses.replace(found(LOW), masks=None).to_label_image()
    with pytest.raises(ValueError, match='order must be "reading" or "score"; got \'size\''):
        found(LOW).to_label_image("size")
    for wrong in (-0.1, 1.5, float("nan"), True):
        with pytest.raises(ValueError, match=r"min_score must be in 0\.\.1"):
            found(LOW).to_label_image(min_score=wrong)
    with pytest.raises(ValueError, match="dtype of a label image must be uint16 or uint32"):
        found(LOW).to_label_image(dtype=np.int32)
