"""CVAT's labels: which are classes, in the file's order."""

import pytest
from cvat_files import image, meta, read_shapes, write

from keras_maskrcnn.data.formats.cvat import load_cvat

NUT = '<box label="nut" xtl="1" ytl="1" xbr="9" ybr="9"/>'


@pytest.mark.parametrize("top", ["task", "job", "project"])
def test_classes_are_the_labels_in_their_order(tmp_path, top):
    labels = meta(("washer", "any"), ("nut", "rectangle"), ("bolt", "mask"), top=top)
    assert read_shapes(tmp_path, NUT, labels)[1] == ["washer", "nut", "bolt"]


def test_without_a_list_of_labels_they_are_those_of_objects(tmp_path):
    assert read_shapes(tmp_path, NUT + NUT.replace("nut", "bolt"))[1] == ["bolt", "nut"]


def test_a_label_that_the_file_does_not_list_is_named(tmp_path):
    with pytest.raises(
        ValueError, match="shape 0: its label 'nut' is not among those of the file: bolt, washer"
    ):
        read_shapes(tmp_path, NUT, meta(("bolt", "any"), ("washer", "any")))


def test_labels_of_shapes_without_area_are_no_classes_and_noted(tmp_path):
    labels = meta(("lane", "polyline"), ("nut", "any"), ("night", "tag"))
    records, names = load_cvat(write(tmp_path, labels, image(NUT)))
    assert names == ["nut"]
    assert "labels that are no classes by their type: lane (polyline), night (tag)" in records.report.notes


def test_a_label_like_that_of_a_skeleton_is_of_its_class_and_others_are_not(tmp_path):
    points = ("nose", "points", "person")
    labels = meta(
        ("person", "skeleton"), points, ("person mask", "mask"), ("car", "any"), ("car_box", "rectangle")
    )
    shapes = NUT.replace("nut", "person mask") + NUT.replace("nut", "car_box")
    record, names = read_shapes(tmp_path, shapes, labels)
    assert names == ["person", "car", "car_box"]
    assert record.class_ids.tolist() == [1, 3]


def test_the_points_of_two_skeletons_must_be_called_alike(tmp_path):
    labels = meta(
        ("cat", "skeleton"), ("nose", "points", "cat"), ("car", "skeleton"), ("hood", "points", "car")
    )
    point = '<skeleton label="{0}"><points label="{1}" points="3,4"/></skeleton>'
    boxes = '<box label="cat_box" xtl="1" ytl="1" xbr="9" ybr="9"/>'
    labels = labels.replace("</labels>", "<label><name>cat_box</name><type>rectangle</type></label></labels>")
    with pytest.raises(ValueError, match="categories cat and car have different keypoints"):
        read_shapes(tmp_path, point.format("cat", "nose") + point.format("car", "hood") + boxes, labels)


def test_points_of_skeletons_that_do_not_occur_are_no_matter(tmp_path):
    points = ("nose", "points", "cat"), ("hood", "points", "car"), ("roof", "points", "car")
    labels = meta(("cat", "skeleton"), ("car", "skeleton"), *points)
    record, names = read_shapes(
        tmp_path,
        '<skeleton label="car"><points label="roof" points="3,4"/></skeleton>' + NUT,
        labels.replace("</labels>", "<label><name>nut</name></label></labels>"),
        masks=False,
    )
    assert names == ["cat", "car", "nut"] and record.keypoint_names == ("hood", "roof")


@pytest.mark.parametrize("label", ["lane", "person mask"])
def test_areas_under_labels_of_other_shapes_are_named(tmp_path, label):
    labels = meta(
        ("lane", "polyline"), ("person", "points"), ("nose", "points", "person"), ("person mask", "any")
    )
    with pytest.raises(
        ValueError, match=r"its label (lane|person) is of the type (polyline|points), which has no area"
    ):
        read_shapes(tmp_path, NUT.replace("nut", label), labels)


def test_class_names_choose_the_order(tmp_path):
    labels = meta(("nut", "any"), ("bolt", "any"))
    assert read_shapes(tmp_path, NUT, labels, class_names=["bolt", "nut"])[0].class_ids.tolist() == [2]
