"""Detections as supervision's, read by the library itself where it is installed."""

import sys

import numpy as np
import pytest

from keras_maskrcnn.detections.detections import Detections
from keras_maskrcnn.masks.rle import mask_to_rle


def detections(as_rle=False, **changes):
    masks = np.zeros((2, 20, 30), bool)
    masks[0, 2:8, 3:9] = masks[1, 10:20, 1:30] = True  # the second reaches beyond its box
    values = {
        "boxes": np.array([[3.5, 2, 9, 8], [5, 12, 20, 18]], np.float32),
        "scores": np.array([0.9, 0.6]),
        "class_ids": np.array([2, 1]),
        "class_names": ["dog", "cat"],
        "height": 20,
        "width": 30,
        "masks": [mask_to_rle(mask) for mask in masks] if as_rle else masks,
    }
    return Detections(**{**values, **changes})


@pytest.mark.parametrize("as_rle", [False, True])
def test_boxes_scores_classes_and_masks_are_the_same(as_rle):
    sv = pytest.importorskip("supervision")
    found = detections()
    given = detections(as_rle).to_supervision()
    assert isinstance(given, sv.Detections) and len(given) == 2
    np.testing.assert_array_equal(given.xyxy, found.boxes)
    np.testing.assert_array_equal(given.confidence, found.scores)
    assert given.class_id.tolist() == [1, 0]  # from 0
    assert given.data["class_name"].tolist() == ["dog", "cat"]
    np.testing.assert_array_equal(np.asarray(given.mask), found.masks)
    assert isinstance(given.mask, sv.CompactMask)
    one = given[given.confidence > 0.7]
    assert one.data["class_name"].tolist() == ["dog"] and np.asarray(one.mask).sum() == 36


def test_tracks_are_the_same():
    pytest.importorskip("supervision")
    assert detections().to_supervision().tracker_id is None
    assert detections(track_ids=[4, -1]).to_supervision().tracker_id.tolist() == [4, -1]


def test_an_older_supervision_is_given_arrays(monkeypatch):
    sv = pytest.importorskip("supervision")
    monkeypatch.delattr(sv, "CompactMask")
    given = detections(as_rle=True).to_supervision()
    assert given.mask.dtype == bool
    np.testing.assert_array_equal(given.mask, detections().masks)


@pytest.mark.parametrize("masks", [[], None, np.zeros((0, 20, 30), bool)])
def test_no_detections_are_none_of_supervision_and_join_others(masks):
    sv = pytest.importorskip("supervision")
    nothing = detections()[:0]
    nothing.masks = masks
    given = nothing.to_supervision()
    assert given.is_empty() and given.xyxy.shape == (0, 4) and given.class_id.shape == (0,)
    assert len(sv.Detections.merge([given, detections().to_supervision()])) == 2


def test_keypoints_and_mask_scores_go_with_the_rows():
    pytest.importorskip("supervision")
    points = np.arange(12, dtype=np.float32).reshape(2, 2, 3)
    given = detections(masks=None, keypoints=points, mask_scores=[0.5, 0.25]).to_supervision()
    assert given.mask is None
    np.testing.assert_array_equal(given[1].data["keypoints"], points[1:])
    assert given.data["mask_score"].tolist() == [0.5, 0.25]


def test_without_supervision_the_error_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "supervision", None)
    with pytest.raises(ImportError, match=r'pip install "keras3-maskrcnn\[supervision\]"'):
        detections().to_supervision()
