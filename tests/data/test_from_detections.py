"""Detections become records with the same boxes, masks, classes and keypoints."""

import logging

import numpy as np
import pytest
from PIL import Image

from keras_maskrcnn.data.from_detections import detections_to_record
from keras_maskrcnn.detections.detections import Detections
from keras_maskrcnn.masks.rle import mask_to_rle, segmentation_to_mask


def detections(**changes):
    masks = np.zeros((2, 20, 30), bool)
    masks[0, 2:8, 3:9] = masks[1, 10:12, 1:3] = True
    values = {
        "boxes": np.array([[3.5, 2, 9, 8], [1, 10, 3, 12]], np.float32),
        "scores": np.array([0.9, 0.6]),
        "class_ids": np.array([2, 1]),
        "class_names": ["dog", "cat"],
        "height": 20,
        "width": 30,
        "masks": masks,
        "image": np.full((20, 30, 3), 100, np.uint8),
    }
    return Detections(**{**values, **changes})


@pytest.mark.parametrize("as_rle", [False, True])
def test_boxes_masks_and_classes_are_the_detections(as_rle):
    masks = detections().masks
    found = detections(masks=[mask_to_rle(mask) for mask in masks] if as_rle else masks)
    record, scores = detections_to_record(found, image_id=7, class_names=["cat", "dog"])
    np.testing.assert_array_equal(record.boxes, found.boxes)
    assert record.class_ids.tolist() == [2, 1] and record.class_names == ("cat", "dog")
    assert record.image_id == 7 and record.areas.tolist() == [36, 4] and not record.crowd.any()
    for mask, segmentation in zip(masks, record.masks, strict=True):
        np.testing.assert_array_equal(segmentation_to_mask(segmentation, 20, 30), mask)
    np.testing.assert_array_equal(scores, found.scores)


def test_the_image_may_be_a_file_and_is_its_id_then(tmp_path):
    Image.fromarray(np.zeros((20, 30, 3), np.uint8)).save(tmp_path / "a.png")
    record, _ = detections_to_record(detections(image=None), tmp_path / "a.png")
    assert record.image == record.image_id == str(tmp_path / "a.png")


def test_keypoints_are_visible_and_in_the_convention_of_files():
    points = np.full((2, 1, 3), 5, np.float32)
    found = detections(keypoints=points, keypoint_names=("nose",), keypoint_offset=0.5)
    record, _ = detections_to_record(found, image_id=1)
    assert record.keypoints.tolist() == [[[4.5, 4.5, 2]]] * 2 and record.keypoint_names == ("nose",)


def test_boxes_alone_and_nothing_at_all_are_records_too():
    assert detections_to_record(detections(masks=None), image_id=1)[0].masks is None
    record, scores = detections_to_record(detections()[:0], image_id=1)
    assert len(record.boxes) == len(scores) == 0
    record, scores = detections_to_record(
        detections(masks=[mask_to_rle(m) for m in detections().masks])[:0], image_id=1
    )
    assert len(record.boxes) == len(scores) == 0


def test_what_has_no_pixel_is_left_out_with_a_warning(caplog):
    masks = detections().masks
    masks[0] = False
    with caplog.at_level(logging.WARNING):
        record, scores = detections_to_record(detections(masks=masks), image_id="a")
    assert record.class_ids.tolist() == [1] and scores.tolist() == pytest.approx([0.6])
    assert "image 'a': 1 detection without a pixel left out" in caplog.text
    boxes = [[3, 2, 9, 8], [4, 10, 4, 12]]
    assert len(detections_to_record(detections(boxes=boxes, masks=None), image_id="a")[1]) == 1


def test_what_does_not_fit_is_refused():
    with pytest.raises(ValueError, match="hold no image"):
        detections_to_record(detections(image=None))
    with pytest.raises(ValueError, match=r"image 1: the image is 9 x 9 .*of one of 30 x 20"):
        detections_to_record(detections(masks=None, image=None), np.zeros((9, 9), np.uint8), image_id=1)
    with pytest.raises(ValueError, match="class 2 of its detections is 'dog', which is class 1"):
        detections_to_record(detections(), image_id=1, class_names=["dog", "cat"])
