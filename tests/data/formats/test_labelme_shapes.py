"""What labelme 7 and X-AnyLabeling write besides older versions' shapes, and the labels and flags with a meaning."""

import base64
import io
import json

import numpy as np
import pytest
from PIL import Image

from keras_maskrcnn.data.formats.labelme import load_labelme
from keras_maskrcnn.masks.rle import segmentation_to_mask

HEIGHT, WIDTH = 40, 60


@pytest.fixture
def folder(tmp_path):
    Image.fromarray(np.full((HEIGHT, WIDTH, 3), 90, np.uint8)).save(tmp_path / "a.png")
    return tmp_path


def shape(points, kind="polygon", label="nut", **fields):
    return {"label": label, "points": points, "shape_type": kind, "group_id": None, "flags": {}, **fields}


def square(x, y, side, **fields):
    return shape([[x, y], [x + side, y], [x + side, y + side], [x, y + side]], **fields)


def load(folder, *shapes, version="7.0.2", **options):
    image = {"imagePath": "a.png", "imageData": None, "imageHeight": HEIGHT, "imageWidth": WIDTH}
    (folder / "a.json").write_text(
        json.dumps({"version": version, "flags": {}, "shapes": list(shapes), **image})
    )
    return load_labelme(folder, **options)


def mask_shape(points, width, height, mode="L"):
    """A shape whose mask is set everywhere."""
    file = io.BytesIO()
    image = Image.new("L", (width, height), 255)
    if mode == "RGBA":
        image = Image.merge("RGBA", [Image.new("L", (width, height))] * 3 + [image])
        image.putpixel((0, 0), (0, 0, 0, 0))
    image.save(file, "PNG")
    return shape(points, "mask", mask=base64.b64encode(file.getvalue()).decode())


def pixels(record, index=0):
    return segmentation_to_mask(record.masks[index], HEIGHT, WIDTH)


@pytest.mark.parametrize(
    ("points", "box"),
    [
        ([[20, 10], [27, 14]], [20, 10, 28, 15]),
        ([[20.5, 10.5], [27.5, 14.5]], [20, 10, 28, 15]),  # halves are rounded to even numbers
        ([[20.7, 9.6], [27.7, 13.6]], [21, 10, 29, 15]),
        ([[20.2, 10], [30, 30]], [20, 10, 28, 15]),  # from a fraction on, all of the mask
        ([[20, 10], [24, 12]], [20, 10, 25, 13]),  # between whole numbers, as much of it as fits
        ([[-3, -2], [4, 2]], [0, 0, 5, 3]),
        ([[56.4, 38.4], [63.4, 42.4]], [56, 38, 60, 40]),
    ],
)
def test_masks_of_labelme_7_are_rounded_cropped_and_cut_off(folder, points, box):
    records, _ = load(folder, mask_shape(points, 8, 5))
    assert records[0].boxes.tolist() == [box]
    x1, y1, x2, y2 = box
    assert pixels(records[0]).sum() == (x2 - x1) * (y2 - y1) and pixels(records[0])[y1:y2, x1:x2].all()


@pytest.mark.parametrize(
    "points", [[[20, 10], [28, 14]], [[20, 10], [19, 9]], [[60, 5], [67, 9]], [[5, -9], [12, -5]]]
)
def test_masks_of_labelme_7_that_fit_nowhere_are_refused(folder, points):
    with pytest.raises(ValueError, match=r"shape 0: its mask (has 8 x 5 pixels|lies outside the image)"):
        load(folder, mask_shape(points, 8, 5))


def test_older_versions_cut_the_fractions_off(folder):
    for version in ("6.3.1", "5.0.0", None, "x"):
        records, _ = load(folder, mask_shape([[20.7, 10.7], [27.7, 14.7]], 8, 5), version=version)
        assert records[0].boxes.tolist() == [[20, 10, 28, 15]]
        with pytest.raises(ValueError, match="its mask has 8 x 5 pixels"):
            load(folder, mask_shape([[20, 10], [24, 12]], 8, 5), version=version)


@pytest.mark.parametrize("version", ["5.4.1", "7.0.2"])
def test_a_mask_may_be_in_the_alpha_channel(folder, version):
    records, _ = load(folder, mask_shape([[20, 10], [27, 14]], 8, 5, mode="RGBA"), version=version)
    assert pixels(records[0]).sum() == 39 and not pixels(records[0])[10, 20]


def test_a_black_mask_that_is_opaque_is_the_object(folder):
    file = io.BytesIO()
    Image.new("LA", (8, 5), (0, 255)).save(file, "PNG")
    mask = shape([[20, 10], [27, 14]], "mask", mask=base64.b64encode(file.getvalue()).decode())
    assert load(folder, mask)[0][0].boxes.tolist() == [[20, 10, 28, 15]]


@pytest.mark.parametrize("kind", ["rectangle", "rotation"])
def test_rectangles_of_four_corners_are_polygons(folder, kind):
    corners = [[20, 5], [35, 15], [25, 30], [10, 20]]
    (record,) = load(folder, shape(corners, kind, direction=0.6, difficult=False), version="2.4.4")[0]
    assert record.masks[0] == [np.ravel(corners).tolist()] and record.boxes.tolist() == [[10, 5, 35, 30]]


def test_a_hole_is_cut_out_of_what_was_drawn_before_it(folder):
    records, names = load(
        folder,
        square(5, 5, 20),
        square(8, 8, 4, label="_background_"),
        square(7, 7, 6, label="bolt"),
        square(40, 5, 9),
    )
    assert names == ["bolt", "nut"] and records[0].class_ids.tolist() == [2, 1, 2]
    assert pixels(records[0])[5:25, 5:25].sum() == 400 - 16 and not pixels(records[0])[8:12, 8:12].any()
    assert pixels(records[0], 1).sum() == 36 and records[0].masks[2] == [[40, 5, 49, 5, 49, 14, 40, 14]]
    assert "1 shapes labelled _background_ are holes in those before them" in str(records.report)


def test_a_hole_is_cut_out_of_masks_and_of_groups(folder):
    hole = mask_shape([[8, 8], [11, 11]], 4, 4)
    whole = mask_shape([[5, 5], [24, 24]], 20, 20)
    parts = square(5, 28, 9, group_id=1), square(20, 28, 9, group_id=1)
    records, _ = load(
        folder, whole, *parts, {**hole, "label": "_background_"}, square(22, 30, 3, label="_background_")
    )
    assert pixels(records[0]).sum() == 400 - 16 and pixels(records[0], 1).sum() == 162 - 9
    assert records[0].boxes.tolist() == [[5, 5, 25, 25], [5, 28, 29, 37]]


def test_an_object_under_a_hole_is_left_out_and_told(folder):
    records, _ = load(folder, square(5, 5, 4), square(30, 5, 4), square(4, 4, 9, label="_background_"))
    assert records[0].boxes.tolist() == [[30, 5, 34, 9]] and "a.json: shape 0" in str(records.report)


def test_a_broken_hole_is_named(folder):
    with pytest.raises(ValueError, match=r"a.json: shape 1: .*'line'"):
        load(folder, square(5, 5, 4), shape([[1, 1], [2, 2]], "line", label="_background_"))


def test_what_is_to_be_ignored_is_no_class(folder):
    records, names = load(folder, square(5, 5, 9), square(30, 5, 9, label="__ignore__", group_id=1))
    assert names == ["nut"] and len(records[0].boxes) == 1
    assert "1 shapes labelled __ignore__ are left out" in str(records.report)


@pytest.mark.parametrize(
    "flags", [{"difficult": True}, {"flags": {"ignore": True}}, {"flags": {"difficult": True}}]
)
def test_flagged_shapes_are_crowds(folder, flags):
    records, _ = load(folder, square(5, 5, 9), square(30, 5, 9, **flags), square(5, 25, 9, difficult=False))
    assert records[0].crowd.tolist() == [False, True, False]
    assert "1 objects flagged difficult or ignore are crowds" in str(records.report)
    records, _ = load(folder, square(30, 5, 9, **flags))
    assert records[0].crowd.tolist() == [True]
