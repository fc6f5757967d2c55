"""CVAT's shapes: each kind becomes the pixels that CVAT shows, or is refused by name."""

import math

import numpy as np
import pytest
from cvat_files import HEIGHT, WIDTH, image, masks_of, meta, read_shapes, write
from skimage.measure import points_in_poly

from keras_maskrcnn.data.formats.cvat import load_cvat

BOX = '<box label="nut" occluded="1" source="manual" xtl="10.00" ytl="5.00" xbr="30.00" ybr="35.00" z_order="1"/>'
PERSON = meta(
    ("person", "skeleton"),
    ("nose", "points", "person"),
    ("tail", "points", "person"),
    ("person_bbox", "rectangle"),
)


def point(name, x, y, outside=0, occluded=0):
    flags = f'outside="{outside}" occluded="{occluded}" source="manual"'
    return f'<points label="{name}" {flags} points="{x},{y}"></points>'


def skeleton(*points, **fields):
    more = "".join(f' {key}="{value}"' for key, value in fields.items())
    return f'<skeleton label="person" source="manual" z_order="0"{more}>{"".join(points)}</skeleton>'


def test_polygons_and_boxes(tmp_path):
    polygon = '<polygon label="bolt" points="10.00,5.00;30.00,5.00;30.00,35.00"/>'
    record, names = read_shapes(tmp_path, polygon + BOX)
    assert names == ["bolt", "nut"]
    np.testing.assert_array_equal(record.boxes, [[10, 5, 30, 35]] * 2)
    assert [mask.sum() for mask in masks_of(record)] == [record.areas[0], 600]


def test_a_mask_goes_along_the_rows_of_its_box(tmp_path):
    record, _ = read_shapes(
        tmp_path, '<mask label="nut" rle="1, 3, 2, 2" left="4" top="2" width="4" height="2"/>'
    )
    expected = np.zeros((HEIGHT, WIDTH), bool)
    expected[2, 5:8] = expected[3, 6:8] = True
    np.testing.assert_array_equal(masks_of(record)[0], expected)
    np.testing.assert_array_equal(record.boxes, [[5, 2, 8, 4]])


def test_masks_are_those_that_cvats_own_library_draws(tmp_path):
    cvat = pytest.importorskip("cvat_sdk.masks", reason="cvat-sdk[masks] is not installed")
    mask = np.random.default_rng(0).random((HEIGHT, WIDTH)) < 0.4
    *runs, x1, y1, x2, y2 = cvat.encode_mask(mask, [3, 4, 50, 37])
    size = f'left="{x1}" top="{y1}" width="{x2 - x1 + 1}" height="{y2 - y1 + 1}"'
    record, _ = read_shapes(tmp_path, f'<mask label="nut" rle="{", ".join(map(str, runs))}" {size}/>')
    drawn = cvat.decode_mask([*runs, x1, y1, x2, y2], image_width=WIDTH, image_height=HEIGHT)
    np.testing.assert_array_equal(masks_of(record)[0], drawn)


def test_a_box_is_rotated_about_its_centre_clockwise(tmp_path):
    record, _ = read_shapes(tmp_path, BOX.replace('z_order="1"', 'rotation="30.00" z_order="1"'))
    cos, sin = math.cos(math.radians(30)), math.sin(math.radians(30))
    corners = [
        (20 + cos * x - sin * y, 20 + sin * x + cos * y)
        for x, y in [(-10, -15), (10, -15), (10, 15), (-10, 15)]
    ]
    rows, columns = np.mgrid[:HEIGHT, :WIDTH] + 0.5
    truth = points_in_poly(np.stack([columns.ravel(), rows.ravel()], 1), corners).reshape(HEIGHT, WIDTH)
    (mask,) = masks_of(record)
    assert (mask & truth).sum() / (mask | truth).sum() > 0.97
    np.testing.assert_allclose(record.boxes[0], [*np.min(corners, 0), *np.max(corners, 0)], atol=1e-4)


def test_an_ellipse_is_rotated_and_may_reach_outside(tmp_path):
    record, _ = read_shapes(tmp_path, '<ellipse label="nut" cx="50" cy="20" rx="15" ry="6" rotation="330"/>')
    rows, columns = np.mgrid[:HEIGHT, :WIDTH] + 0.5
    angle = math.radians(330)
    along = (columns - 50) * math.cos(angle) + (rows - 20) * math.sin(angle)
    across = (rows - 20) * math.cos(angle) - (columns - 50) * math.sin(angle)
    truth = (along / 15) ** 2 + (across / 6) ** 2 < 1
    (mask,) = masks_of(record)
    assert (mask & truth).sum() / (mask | truth).sum() > 0.96 and record.boxes[0, 2] == WIDTH


def test_shapes_of_one_label_and_group_are_one_object(tmp_path):
    part = '<polygon label="nut" points="{0},5;{1},5;{1},9;{0},9" group_id="3"/>'
    mask = '<mask label="nut" rle="0, 4" left="40" top="20" width="2" height="2" group_id="4"/>'
    shapes = part.format(2, 6) + BOX + part.format(10, 14) + mask + mask.replace('"20"', '"30"')
    other = '<box label="bolt" xtl="1" ytl="1" xbr="3" ybr="3" group_id="3"/>'
    record, names = read_shapes(tmp_path, shapes + other)
    assert [names[number - 1] for number in record.class_ids] == ["nut", "nut", "nut", "bolt"]
    np.testing.assert_array_equal(record.boxes[[0, 2]], [[2, 5, 14, 9], [40, 20, 42, 32]])
    assert [mask.sum() for mask in masks_of(record)] == [32, 600, 8, 4]


@pytest.mark.parametrize("name", ["is_crowd", "iscrowd", "ignore", "difficult"])
def test_ticked_attributes_make_crowds(tmp_path, name):
    ticked = BOX.replace("/>", f'><attribute name="{name}">true</attribute></box>')
    other = BOX.replace("/>", f'><attribute name="{name}">false</attribute></box>')
    record, _ = read_shapes(tmp_path, ticked + other)
    np.testing.assert_array_equal(record.crowd, [True, False])


def test_a_skeleton_has_the_keypoints_of_its_label(tmp_path):
    shapes = skeleton(point("tail", 20, 30, occluded=1), point("nose", 10.5, 8)) + skeleton(
        point("nose", 3, 4, outside=1), point("tail", 40, 20)
    )
    box = '<box label="person_bbox" xtl="30" ytl="10" xbr="50" ybr="30"/>'
    record, names = read_shapes(tmp_path, shapes.replace("0.5", "0.50") + box, PERSON, masks=False)
    assert names == ["person"] and record.keypoint_names == ("nose", "tail")
    np.testing.assert_array_equal(record.keypoints[0], [[10.5, 8, 2], [20, 30, 1]])
    np.testing.assert_array_equal(record.boxes[0], [10.5, 8, 20, 30])  # the second has one point, and no box
    assert len(record.boxes) == 2 and not record.keypoints[1].any()


def test_a_skeleton_and_the_box_of_its_group_are_one_object(tmp_path):
    points = point("nose", 35, 12), point("tail", 0, 0, outside=1)
    box = '<box label="person_bbox" xtl="30" ytl="10" xbr="50" ybr="30" group_id="{}"/>'
    shapes = skeleton(*points, group_id="1") + box.format(1) + box.format(2)
    records, _ = load_cvat(write(tmp_path, PERSON, image(shapes)))
    np.testing.assert_array_equal(records[0].boxes, [[30, 10, 50, 30]] * 2)
    np.testing.assert_array_equal(records[0].keypoints, [[[35, 12, 2], [0, 0, 0]], np.zeros((2, 3))])
    assert "keypoints" not in " ".join(records.report.notes)


def test_a_skeleton_alone_has_the_box_of_its_points_and_the_report_says_so(tmp_path):
    shapes = skeleton(point("nose", 35, 12), point("tail", 20, 30))
    records, _ = load_cvat(write(tmp_path, image(shapes)))  # a file that lists no labels
    np.testing.assert_array_equal(records[0].boxes, [[20, 12, 35, 30]])
    assert "1 objects have no box but the one around their keypoints" in records.report.notes


@pytest.mark.parametrize(
    ("shape", "reason"),
    [
        ('<polyline label="nut" points="1,1;2,2"/>', "its shape is 'polyline', which has no area"),
        (
            '<points label="nut" points="1,1"/>',
            "its shape is 'points', which has no area; what can be an object is a polygon",
        ),
        ('<cuboid label="nut" xtl1="1"/>', "its shape is 'cuboid'"),
        ('<polygon label="nut" points="1,1;2,2"/>', "at least 3 points"),
        (
            '<polygon label="nut" points="1,1;2,x;3,3"/>',
            r"must be pairs of numbers, x,y;x,y; got '1,1;2,x;3,3'",
        ),
        ('<polygon label="nut" points="1,1;2,nan;3,3"/>', "must be pairs of numbers"),
        ('<polygon label="nut"/>', "must be pairs of numbers"),
        ('<polygon label="nut" points="1,1;99,1;99,9"/>', "reaches outside the image"),
        ('<polygon points="1,1;2,2;3,1"/>', "it has no label"),
        ('<box label="nut" xtl="9" ytl="1" xbr="3" ybr="3"/>', "inverted"),
        ('<box label="nut" xtl="9" ytl="1" xbr="3"/>', '"ybr" must be a number'),
        ('<box label="nut" xtl="1" ytl="1" xbr="3" ybr="3" rotation="much"/>', '"rotation" must be a number'),
        ('<ellipse label="nut" cx="9" cy="9" rx="-1" ry="3"/>', "radius"),
        (
            '<mask label="nut" rle="1, 2" left="1" top="1" width="2" height="2"/>',
            "fills 3 pixels, its box has 2 x 2",
        ),
        (
            '<mask label="nut" rle="1, x" left="1" top="1" width="2" height="2"/>',
            '"rle" must be whole numbers',
        ),
        (
            '<mask label="nut" rle="4" left="59" top="1" width="2" height="2"/>',
            "must lie inside the image, 60 pixels",
        ),
        (
            '<mask label="nut" rle="4" left="1.5" top="1" width="2" height="2"/>',
            '"left" must be a whole number',
        ),
        (skeleton(group_id="1") * 2, "2 skeletons in one group"),
    ],
)
def test_what_is_broken_or_has_no_area_is_named(tmp_path, shape, reason):
    with pytest.raises(ValueError, match=f"annotations.xml: a.png: shape 0.*{reason}"):
        load_cvat(write(tmp_path, image(shape)))


def test_points_that_a_skeleton_does_not_have_are_named(tmp_path):
    wrong = skeleton(point("ear", 1, 2), point("nose", 3, 4))
    with pytest.raises(ValueError, match="its point 'ear' is not among those of its label: nose, tail"):
        read_shapes(tmp_path, wrong, PERSON)
    two = skeleton(point("nose", "1,2;3", 4))
    with pytest.raises(ValueError, match='point nose: its "points" must be one pair of numbers; got 2'):
        read_shapes(tmp_path, two, PERSON)


def test_an_empty_mask_is_left_out_and_reported(tmp_path):
    empty = '<mask label="nut" rle="4" left="1" top="1" width="2" height="2"/>'
    records, _ = load_cvat(write(tmp_path, image(empty + BOX)))
    assert len(records[0].boxes) == 1 and records.report.unusable == {"an empty mask": ["a.png: shape 0"]}
