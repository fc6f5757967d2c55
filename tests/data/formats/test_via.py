"""VIA 1 and 2: every kind of region is read or refused by name."""

import json
import math
import re

import numpy as np
import pytest
from PIL import Image

from keras_maskrcnn.data.formats.via import load_via

HEIGHT, WIDTH = 40, 60
SQUARE = {"name": "rect", "x": 10, "y": 5, "width": 20, "height": 30}
TRIANGLE = {"name": "polygon", "all_points_x": [1, 9, 9], "all_points_y": [1, 1, 9]}


@pytest.fixture
def folder(tmp_path):
    for name in ("a.png", "b.png"):
        Image.fromarray(np.zeros((HEIGHT, WIDTH, 3), np.uint8)).save(tmp_path / name)
    return tmp_path


def region(shape=SQUARE, **attributes):
    return {"shape_attributes": shape, "region_attributes": attributes}


def entry(*regions, filename="a.png"):
    return {"filename": filename, "size": 99, "regions": list(regions), "file_attributes": {}}


def load(folder, *entries, **options):
    content = {f"{one['filename']}99": one for one in entries}
    return load_content(folder, {"_via_settings": {}, "_via_img_metadata": content}, **options)


def load_content(folder, content, **options):
    (folder / "via.json").write_text(json.dumps(content))
    return load_via(folder / "via.json", folder, **options)


def test_classes_come_from_the_chosen_attribute(folder):
    """Matterport's readers made one class of them all."""
    regions = [region(kind="nut", size="big"), region(TRIANGLE, kind="bolt", size="big")]
    records, names = load(folder, entry(*regions), class_key="kind")
    assert names == ["bolt", "nut"] and records[0].class_ids.tolist() == [2, 1]
    with pytest.raises(ValueError, match=r"via.json: .*several attributes: kind, size; class_key"):
        load(folder, entry(*regions))
    with pytest.raises(
        ValueError, match="no region has the attribute 'colour'; their attributes are: kind, size"
    ):
        load(folder, entry(*regions), class_key="colour")


def test_the_only_attribute_needs_no_choosing(folder):
    assert load(folder, entry(region(kind="nut")))[1] == ["nut"]


def test_without_attributes_there_is_one_class(folder):
    assert load(folder, entry(region()))[1] == ["object"]
    records, names = load(folder, entry(region()), class_names=["balloon"])
    assert names == ["balloon"] and records[0].class_ids.tolist() == [1]


def test_a_ticked_box_is_a_class(folder):
    assert load(folder, entry(region(kind={"nut": True, "bolt": False})))[1] == ["nut"]
    for ticked in ({"nut": True, "bolt": True}, {}):
        with pytest.raises(
            ValueError, match=r"region 0 of a.png: one option of its attribute 'kind' must be ticked"
        ):
            load(folder, entry(region(kind=ticked)))


def test_another_split_is_matched_by_name(folder):
    records, names = load(folder, entry(region(kind="nut")), class_names=["bolt", "nut"])
    assert names == ["bolt", "nut"] and records[0].class_ids.tolist() == [2]
    with pytest.raises(ValueError, match="categories screw are not among the class_names bolt, nut"):
        load(folder, entry(region(kind="screw")), class_names=["bolt", "nut"])


def test_the_wrapper_of_projects_and_the_bare_export_are_read_alike(folder):
    """`_via_img_metadata` around the images, and regions as a list (VIA 2) or as an object (VIA 1)."""
    bare = {"a.png99": {**entry(), "regions": {"0": region(kind="nut"), "1": region(TRIANGLE, kind="nut")}}}
    old, _ = load_content(folder, bare)
    new, _ = load(folder, entry(region(kind="nut"), region(TRIANGLE, kind="nut")))
    np.testing.assert_array_equal(old[0].boxes, new[0].boxes)
    assert old[0].masks == new[0].masks == ([[10, 5, 30, 5, 30, 35, 10, 35]], [[1, 1, 9, 1, 9, 9]])


def test_images_without_regions_are_kept(folder):
    records, _ = load(folder, entry(region()), entry(filename="b.png"))
    assert [len(record.boxes) for record in records] == [1, 0]
    assert records.report.empty_images == 1


def test_round_shapes_may_reach_outside_and_their_boxes_end_at_the_image(folder):
    circle = {"name": "circle", "cx": 5, "cy": 20, "r": 10}
    turned = {"name": "ellipse", "cx": 30, "cy": 20, "rx": 12, "ry": 4, "theta": math.pi / 2}
    flat = {"name": "ellipse", "cx": 30, "cy": 20, "rx": 12, "ry": 4}
    records, _ = load(folder, entry(*map(region, (circle, turned, flat))))
    expected = [[0, 10, 15, 30], [26, 8, 34, 32], [18, 16, 42, 24]]
    np.testing.assert_allclose(records[0].boxes, expected, atol=0.11)


BROKEN = {
    "polyline": (
        {"name": "polyline", "all_points_x": [1, 2, 3], "all_points_y": [1, 2, 9]},
        "shape is 'polyline'",
    ),
    "point": ({"name": "point", "cx": 3, "cy": 4}, "shape is 'point'"),
    "two points": ({"name": "polygon", "all_points_x": [1, 9], "all_points_y": [1, 9]}, "6 numbers.*got 4"),
    "uneven points": ({"name": "polygon", "all_points_x": [1, 9, 9], "all_points_y": [1, 9]}, "same length"),
    "text as point": ({"name": "polygon", "all_points_x": [1, "9", 9], "all_points_y": [1, 1, 9]}, "numbers"),
    "no points": ({"name": "polygon"}, "same length"),
    "no radius": ({"name": "circle", "cx": 3, "cy": 4}, "cx, cy, r must be numbers"),
    "negative radius": ({"name": "circle", "cx": 3, "cy": 4, "r": -2}, "radius"),
    "inverted": ({"name": "rect", "x": 9, "y": 9, "width": -5, "height": 4}, "negative side"),
    "far outside": ({"name": "rect", "x": 50, "y": 5, "width": 20, "height": 9}, "reaches outside the image"),
    "no shape": (None, 'no "shape_attributes"'),
}


@pytest.mark.parametrize("name", BROKEN)
def test_a_broken_region_is_named_and_left_out(folder, name):
    shape, reason = BROKEN[name]
    what = entry(region(kind="nut"), region(shape, kind="nut"))
    with pytest.raises(ValueError, match=f"via.json: region 1 of a.png: .*{reason}"):
        load(folder, what)
    problems = []
    records, _ = load(folder, what, problems=problems)
    assert len(problems) == 1 and re.search(f"via.json: region 1 of a.png: .*{reason}", problems[0])
    np.testing.assert_array_equal(records[0].boxes, [[10, 5, 30, 35]])


def test_a_region_without_its_class_is_named(folder):
    for attributes in ({}, {"kind": ""}, {"kind": 3}):
        with pytest.raises(ValueError, match=r"region 1 of a.png: its attribute 'kind' must say the class"):
            load(folder, entry(region(kind="nut"), region(**attributes)))


@pytest.mark.parametrize(
    "said", [{}, {"kind": ""}, {"kind": "undefined"}, {"kind": {"nut": False}}, {"kind": None}]
)
def test_regions_without_a_class_may_be_given_one(folder, said):
    what = entry(region(kind="nut"), region(TRIANGLE, **said))
    with pytest.raises(ValueError, match=r"region 1 of a.png: .*'kind'"):
        load(folder, what)
    records, names = load(folder, what, default_class="bolt")
    assert names == ["bolt", "nut"] and records[0].class_ids.tolist() == [2, 1]


def test_a_class_of_the_rest_is_no_excuse_for_what_is_broken(folder):
    for said in ({"kind": 3}, {"kind": {"nut": True, "bolt": True}}):
        with pytest.raises(ValueError, match=r"region 1 of a.png: .*'kind' must"):
            load(folder, entry(region(kind="nut"), region(**said)), default_class="bolt")


def test_where_all_regions_are_refused_the_reasons_are_told(folder):
    line = {"name": "polyline", "all_points_x": [1, 2, 3], "all_points_y": [1, 2, 9]}
    with pytest.raises(
        ValueError, match=r"no objects, .*what was refused: region 0 of a.png: its shape is 'polyline'"
    ):
        load(folder, entry(region(line, kind="nut")), problems=[])


def test_a_missing_image_is_named_and_left_out(folder):
    what = entry(region()), entry(region(), filename="gone.png")
    with pytest.raises(ValueError, match=r"via.json: .*gone.png: there is no such image"):
        load(folder, *what)
    problems = []
    assert len(load(folder, *what, problems=problems)[0]) == 1 and len(problems) == 1


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        ({"images": [], "annotations": []}, "no JSON of VIA"),
        ([], "no JSON of VIA"),
        ({"_via_img_metadata": []}, "must be an object"),
        ({"_via_img_metadata": {}}, "there are no images"),
        ({"a": {"regions": []}}, 'image a: it has no "filename"'),
        ({"_via_img_metadata": {"a": {"filename": "a.png"}}}, 'image a: its "regions" must be'),
        ({"a": {"filename": "a.png", "regions": 7}}, 'image a: its "regions" must be'),
        ({"a": entry(), "b": entry()}, "image b: its file a.png occurs twice"),
        ({"a": entry()}, "no objects, so its classes must be named"),
    ],
)
def test_a_broken_file_is_named(folder, content, reason):
    with pytest.raises(ValueError, match=f"via.json: .*{reason}"):
        load_content(folder, content)
