"""The images of a COCO file: ids, sizes that are missing, and boxes that only masks tell."""

import logging

import numpy as np
import pytest
from coco_files import HEIGHT, WIDTH, annotation, content, load, with_images

from keras_maskrcnn.masks.rle import mask_to_rle


@pytest.fixture
def folder(tmp_path):
    return with_images(tmp_path)


def image(**changes):
    row = {"id": 7, "file_name": "a.png", "height": HEIGHT, "width": WIDTH}
    return {key: value for key, value in {**row, **changes}.items() if value is not ...}


@pytest.mark.parametrize(
    "size", [{"height": ..., "width": ...}, {"height": -1, "width": -1}, {"width": None}, {"height": 0}]
)
def test_sizes_that_are_missing_are_the_files(folder, size):
    for options in ({}, {"check_images": False}):
        records, _ = load(folder, content(annotation(), images=[image(**size)]), **options)
        assert (records[0].height, records[0].width) == (HEIGHT, WIDTH)
        assert "1 image without a size, which their files tell" in records.report.notes


def test_a_file_that_cannot_tell_its_size_is_a_problem(folder):
    problems = []
    rows = [image(height=..., width=...), image(id=8, file_name="gone.png", height=...)]
    records, _ = load(folder, content(annotation(), images=rows), problems=problems)
    assert [record.image_id for record in records] == [7]
    assert len(problems) == 1 and "gone.png: there is no such image file" in problems[0]


@pytest.mark.parametrize(
    "size", [{"height": 39.5}, {"width": "wide"}, {"width": float("nan")}, {"height": True}]
)
def test_a_size_that_is_no_number_is_refused(folder, size):
    with pytest.raises(ValueError, match=r"image a.png: .*must be a whole number"):
        load(folder, content(images=[image(**size)]))


def test_annotation_ids_may_count_per_image(folder):
    rows = [image(), image(id=8, file_name="b.png")]
    records, _ = load(folder, content(annotation(1), annotation(1, image_id=8), images=rows))
    assert [len(record.boxes) for record in records] == [1, 1]
    assert "ids that occur more than once (annotation 1)" in records.report.notes


@pytest.mark.parametrize("bbox", [..., None, []])
def test_a_box_that_is_missing_is_around_its_segmentation(folder, bbox):
    mask = np.zeros((HEIGHT, WIDTH), bool)
    mask[10:20, 30:50] = True
    rows = [annotation(1, bbox=bbox), annotation(2, bbox=bbox, segmentation=mask_to_rle(mask), area=...)]
    for options in ({}, {"masks": False}):
        records, _ = load(folder, content(*rows), **options)
        np.testing.assert_array_equal(records[0].boxes, [[10, 5, 30, 35], [30, 10, 50, 20]])
    with pytest.raises(ValueError, match='"bbox" must be four finite numbers'):
        load(folder, content(annotation(bbox=bbox, segmentation=[])))
    with pytest.raises(ValueError, match=r"annotation 1: .*6 numbers"):
        load(folder, content(annotation(bbox=bbox, segmentation=[[1, 2, 3, 4]])))


def test_an_empty_mask_without_a_box_is_left_out(folder, caplog):
    empty = mask_to_rle(np.zeros((HEIGHT, WIDTH), bool))
    with caplog.at_level(logging.WARNING):
        records, _ = load(folder, content(annotation(1), annotation(2, bbox=..., segmentation=empty)))
    assert len(records[0].boxes) == 1 and list(records.report.unusable.values()) == [[2]]
