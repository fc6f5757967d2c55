"""The dataset check doubts annotations that are well-formed and hardly meant: areas, crowds, class names, outlines."""

import dataclasses

import numpy as np
import pytest
from examples import drawn_records, tiny
from faults import HEIGHT, WIDTH, check, only, with_fault

from keras_maskrcnn.data.records import make_record
from keras_maskrcnn.data.report import LoadReport, Records


@pytest.mark.parametrize("area", [np.nan, -1, HEIGHT * WIDTH + 1])
def test_an_area_that_no_object_has(files, area):
    areas = files[2].areas.copy()
    areas[1] = area
    found = only(check(with_fault(files, areas=areas)))
    assert (found.severity, found.kind, found.object) == ("warning", "area", 1)
    assert only(check(with_fault(files, areas=areas), quick=True)).kind == "area"


def test_an_area_far_from_its_mask(files):
    areas = files[2].areas.copy()
    areas[1] = 1
    found = only(check(with_fault(files, areas=areas)))
    assert (found.severity, found.kind, found.object) == ("warning", "area", 1)
    assert "its area is 1, that of its mask" in found.reason
    areas[1] = files[2].areas[1] + 90
    assert not check(with_fault(files, areas=areas)).issues


def test_many_crowds(files):
    crowded = [dataclasses.replace(record, crowd=np.array([True, False])) for record in files[:5]]
    (found,) = [one for one in check([*crowded, *files[5:]]).issues if one.kind == "many crowds"]
    assert (found.severity, found.count, found.split) == ("warning", 5, "training")
    assert "5 of 22 objects are crowds" in found.reason
    few = check([*crowded[:4], *files[4:]]).issues
    assert not [one for one in few if one.kind == "many crowds"]


def names_of(*names):
    """The kinds of issues that classes of these names give beside those of having no objects."""
    records = drawn_records(10)
    return [one for one in check(records, config=tiny(class_names=names)).issues if "name" in one.kind]


@pytest.mark.parametrize("other", ["Circle", "circle ", "circ\u200ble", "\uff43ircle"])
def test_class_names_that_are_nearly_alike(other):
    (found,) = names_of("circle", "square", other)
    assert (found.severity, found.kind, found.count) == ("warning", "class names nearly alike", 2)
    assert repr("circle") in found.reason and repr(other) in found.reason


def test_names_that_differ_otherwise_are_different():
    assert not names_of("circle", "square", "circles", "semi-circle", "semi circle")


def test_a_class_named_like_no_object():
    (found,) = names_of("background", "square")
    assert (found.severity, found.kind) == ("warning", "class named like no object")
    assert "'background'" in found.reason


def test_records_of_another_class_order(files):
    named = [dataclasses.replace(record, class_names=("square", "circle")) for record in files]
    report = check(named)
    assert {(one.severity, one.kind) for one in report.issues} == {("error", "other names")}
    assert "in another order" in report.issues[0].reason and len(report.issues) == len(files)
    named = [dataclasses.replace(record, class_names=("circle", "square")) for record in files]
    assert not check(named).issues


def test_what_a_reader_took_otherwise_is_a_note(files):
    found = only(check(Records(files, LoadReport(notes=["3 images without a size"]))))
    assert (found.severity, found.reason, found.split) == ("note", "3 images without a size", "training")


def outlined(box_of, rows=12, border=False):
    """Records with a polygon each around rectangles, as `box_of` has their boxes from the first to the last corner."""
    rng = np.random.default_rng(0)
    image = np.zeros((HEIGHT, WIDTH, 3), np.uint8)
    records = []
    for number in range(rows):
        x1, y1 = rng.integers(2, WIDTH // 2), rng.integers(2, HEIGHT // 2)
        x2, y2 = (WIDTH - 1 if border else x1 + rng.integers(8, 20)), y1 + rng.integers(8, 20)
        polygon = [float(v) for v in (x1, y1, x2, y1, x2, y2, x1, y2)]
        box = [box_of(x1, y1, x2, y2)]
        records.append(make_record(image, box, [1], masks=[[polygon]], image_id=number))
    return records


def centres(records):
    config = tiny(class_names=("part",))
    return [one for one in check(records, config=config).issues if "centres" in one.kind]


def test_polygons_that_end_a_pixel_before_their_boxes():
    (found,) = centres(outlined(lambda x1, y1, x2, y2: [x1, y1, x2 + 1, y2 + 1]))
    assert (found.severity, found.count, found.split) == ("warning", 12, "training")
    assert "12 of 12 of the polygons have whole numbers and end one pixel before their boxes" in found.reason


def test_polygons_that_end_at_the_last_pixel_of_their_images():
    (found,) = centres(outlined(lambda *corners: corners, border=True))
    assert (found.severity, found.count) == ("note", 12) and "the edge of their images" in found.reason


def test_polygons_of_whole_numbers_are_right_otherwise():
    around = outlined(lambda *corners: corners)
    assert not centres(around)
    reaching = make_record(
        np.zeros((HEIGHT, WIDTH, 3), np.uint8),
        masks=[[[70, 5, 80, 5, 80, 15, 70, 15]]],
        class_ids=[1],
        image_id="edge",
    )
    assert not centres([*outlined(lambda *corners: corners, border=True), reaching])
    assert not centres(outlined(lambda x1, y1, x2, y2: [x1, y1, x2 + 1, y2 + 1], rows=9))  # too few to tell
    assert not centres(outlined(lambda x1, y1, x2, y2: [x1 - 1, y1 - 1, x2 + 1, y2 + 1]))  # wide boxes
