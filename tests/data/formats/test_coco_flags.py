"""What marks annotations as crowds, or as to be ignored."""

import logging

import pytest
from coco_files import annotation, content, load, with_images

from keras_maskrcnn.data.formats.coco_flags import flag, is_ignored, many_crowds


@pytest.mark.parametrize(
    ("value", "found"), [(0, False), (1, True), (False, False), (True, True), (1.0, True), (None, False)]
)
def test_flags_are_zero_and_one(value, found):
    assert flag({"iscrowd": value}, "iscrowd") is found
    assert flag({}, "iscrowd") is False


@pytest.mark.parametrize("value", ["0", "1", "false", "", 2, -1, 0.5, float("nan"), [], {}])
def test_nothing_else_is_a_flag(value):
    with pytest.raises(ValueError, match='"iscrowd" must be 0 or 1; got'):
        flag({"iscrowd": value}, "iscrowd")


@pytest.mark.parametrize(
    ("fields", "found"),
    [
        ({"ignore": 1}, True),
        ({"difficult": True}, True),
        ({"attributes": {"ignore": True}}, True),
        ({"attributes": {"difficult": "1"}}, True),
        ({"attributes": {"difficult": "hard"}}, False),
        ({"attributes": {"ignore": "false", "occluded": True}}, False),
        ({"attributes": ["ignore"]}, False),
        ({"ignore": 0}, False),
    ],
)
def test_marks_are_read_from_the_annotation_and_its_attributes(fields, found):
    assert is_ignored(fields) is found


def test_what_is_to_be_ignored_is_read_as_a_crowd_and_counted(tmp_path):
    rows = [annotation(1), annotation(2, ignore=1), annotation(3, attributes={"difficult": True})]
    records, _ = load(with_images(tmp_path), content(*rows))
    assert records[0].crowd.tolist() == [False, True, True]
    assert (
        "2 objects marked to be ignored or difficult, read as crowds (annotation 2, 3)"
        in records.report.notes
    )


def test_a_mark_that_is_no_flag_is_refused(tmp_path):
    with pytest.raises(ValueError, match=r'annotation 1: .*"ignore" must be 0 or 1'):
        load(with_images(tmp_path), content(annotation(ignore="no")))


def test_many_crowds_are_told_aloud(tmp_path, caplog):
    rows = [annotation(1), *(annotation(number, iscrowd=1) for number in range(2, 7))]
    with caplog.at_level(logging.WARNING):
        load(with_images(tmp_path), content(*rows))
    assert "5 of 6 objects are crowds" in caplog.text and "also where their masks are RLE" in caplog.text


def test_few_crowds_are_not():
    assert many_crowds(1, 100) is None and many_crowds(0, 0) is None and many_crowds(0, 5) is None
    assert many_crowds(20, 100) is not None
