"""Records: what is left out is computed, and what does not fit is refused by name."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from keras_maskrcnn.data.records import check_named, check_names, check_record, make_record
from keras_maskrcnn.masks.rle import rle_to_mask

SQUARE = [[2, 3, 8, 3, 8, 9, 2, 9]]


BOX = {"boxes": [[2, 3, 8, 9]], "class_ids": [1]}


def array(height=20, width=30):
    return np.zeros((height, width, 3), np.uint8)


def record(**fields):
    return make_record(array(), image_id="it", **fields)


def test_boxes_areas_and_crowd_are_computed_from_masks():
    masks = np.zeros((2, 20, 30), bool)
    masks[0, 3:9, 2:8] = True
    masks[1, 0:1, 29:30] = True
    made = record(masks=masks, class_ids=[1, 2])
    np.testing.assert_array_equal(made.boxes, [[2, 3, 8, 9], [29, 0, 30, 1]])
    assert made.boxes.dtype == np.float32 and made.class_ids.dtype == np.int32
    np.testing.assert_array_equal(made.areas, [36, 1])
    np.testing.assert_array_equal(made.crowd, [False, False])
    for kept, mask in zip(made.masks, masks, strict=True):
        np.testing.assert_array_equal(rle_to_mask(kept), mask)


def test_polygons_give_the_box_around_their_points():
    made = record(masks=[[[2.5, 3, 8, 3, 8, 9.25]], SQUARE], class_ids=[1, 1])
    np.testing.assert_allclose(made.boxes, [[2.5, 3, 8, 9.25], [2, 3, 8, 9]])
    assert made.masks[1] == SQUARE


def test_a_list_of_mask_arrays_serves():
    mask = np.zeros((20, 30), bool)
    mask[5:7, 5:9] = True
    np.testing.assert_array_equal(record(masks=[mask], class_ids=[1]).boxes, [[5, 5, 9, 7]])


def test_hundreds_of_objects_are_taken():
    made = record(masks=[SQUARE] * 300, class_ids=[1] * 300)
    assert made.boxes.shape == (300, 4) and (made.areas == made.areas[0]).all()


def test_a_file_is_measured_and_is_its_own_id(tmp_path):
    path = tmp_path / "photo.png"
    Image.fromarray(array(7, 9)).save(path)
    made = make_record(path)
    assert (made.height, made.width, made.image, made.image_id) == (7, 9, str(path), str(path))
    assert made.boxes.shape == (0, 4) and made.class_ids.shape == (0,) and made.masks is None


def test_boxes_alone_have_their_own_area():
    made = record(boxes=[[1, 2, 4, 6]], class_ids=[3])
    np.testing.assert_array_equal(made.areas, [12])
    assert made.masks is None


def test_boxes_slightly_outside_are_clipped():
    np.testing.assert_array_equal(record(boxes=[[-1, 0, 31.5, 20.4]], class_ids=[1]).boxes, [[0, 0, 30, 20]])


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"boxes": [[1, 2, 1, 4]], "class_ids": [1]}, "object 0: .*no area"),
        ({"boxes": [[0, 0, 0, 0]], "class_ids": [1]}, "object 0: .*no area"),
        ({"boxes": [[1, 1, 5, 5], [10, 12, 5, 5]], "class_ids": [1, 1]}, "object 1: .*inverted"),
        ({"boxes": [[20, 2, 35, 9]], "class_ids": [1]}, "outside the image"),
        ({"boxes": [[1, 2, np.nan, 4]], "class_ids": [1]}, "not finite"),
        ({"boxes": [1, 2, 3, 4], "class_ids": [1]}, r"\[N, 4\]"),
        ({"boxes": [[1, 2, 3, 4]], "class_ids": [0]}, "integers from 1"),
        ({"boxes": [[1, 2, 3, 4]], "class_ids": ["cat"]}, "integers from 1"),
        ({"boxes": [[1, 2, 3, 4]], "class_ids": [1, 2]}, "1 boxes but 2 class_ids"),
        ({"boxes": [[2, 3, 8, 9]], "class_ids": [1], "masks": [SQUARE, SQUARE]}, "1 boxes but 2 masks"),
        ({"boxes": [[2, 3, 8, 9]], "class_ids": [1], "crowd": [0, 1]}, "1 boxes but 2 crowd"),
        ({"masks": np.zeros((1, 20, 31), bool), "class_ids": [1]}, "shape"),
        ({"masks": np.full((1, 20, 30), 255), "class_ids": [1]}, "boolean"),
        ({"masks": np.zeros((1, 20, 30), bool), "class_ids": [1]}, "object 0: its mask is empty"),
        ({"masks": [[[1, 2, 3, 4]]], "class_ids": [1]}, "object 0: .*6 numbers"),
        ({"masks": [[1, 2, 3, 4, 5, 6]], "class_ids": [1]}, "object 0: .*flat"),
        ({"masks": SQUARE[0], "class_ids": [1]}, "object 0"),
        ({"masks": [{"size": [20, 31], "counts": [620]}], "class_ids": [1]}, "size"),
        ({"boxes": [[12, 12, 15, 15]], "class_ids": [1], "masks": [SQUARE]}, "outside its box"),
        ({"boxes": [[2, 3, 8, 9]], "class_ids": [1], "keypoints": [[1, 2, 2]]}, "keypoints must be"),
        ({"boxes": [[2, 3, 8, 9]], "class_ids": [1], "keypoints": [[[1, 2, 3]]]}, "object 0: .*visibility"),
        (
            {"boxes": [[2, 3, 8, 9]], "class_ids": [1], "keypoints": [[[1, np.nan, 2]]]},
            "object 0: .*not finite",
        ),
        ({**BOX, "keypoints": [[[1e39, 2, 2]]]}, "object 0: .*not finite"),
        ({**BOX, "areas": [np.nan]}, r"object 0: its area must lie in 0\.\.600, .*got nan"),
        ({**BOX, "areas": [-5]}, "object 0: its area .*got -5"),
        ({**BOX, "areas": [np.inf]}, "object 0: its area .*got inf"),
        ({**BOX, "areas": [601]}, "object 0: its area .*got 601"),
        ({**BOX, "crowd": ["0"]}, r"crowd must be booleans, or 0 and 1; got \['0'\]"),
        ({**BOX, "crowd": [2]}, "crowd must be booleans"),
        ({**BOX, "crowd": [np.nan]}, "crowd must be booleans"),
        ({**BOX, "crowd": [None]}, "crowd must be booleans"),
        ({**BOX, "class_ids": [2**32 + 1]}, "integers of 32 bits; got 4294967297"),
        ({**BOX, "class_ids": np.array([2**31], np.uint64)}, "integers of 32 bits"),
        ({**BOX, "class_ids": [True]}, "integers from 1"),
    ],
)
def test_what_does_not_fit_is_refused_and_the_image_named(fields, reason):
    with pytest.raises(ValueError, match=f"image 'it': .*{reason}"):
        record(**fields)


def test_an_array_needs_an_id():
    with pytest.raises(ValueError, match="image_id"):
        make_record(array())


@pytest.mark.parametrize("crowd", [[1], [True], np.array([1.0]), np.array([1], np.uint8)])
def test_crowds_are_true_or_one(crowd):
    assert record(**BOX, crowd=crowd).crowd.tolist() == [True]


def test_areas_are_those_given_up_to_the_image():
    assert record(**BOX, areas=[600]).areas.tolist() == [600] and record(**BOX, areas=[0]).areas.tolist() == [
        0
    ]


def test_ids_are_pythons_numbers_and_texts():
    assert type(make_record(array(), image_id=np.int64(5)).image_id) is int
    assert make_record(array(), image_id=Path("scans") / "a").image_id == str(Path("scans") / "a")
    for image_id in (1.7, np.nan, [1], True):
        with pytest.raises(ValueError, match="an id must be a whole number or text"):
            make_record(array(), image_id=image_id)


def test_a_name_that_is_that_of_another_class_is_told():
    made = record(class_names=["bolt", "nut"])
    check_named(made, ["bolt", "nut", "cap"])
    check_named(made, ["Bolzen", "Mutter"])  # a translation
    for names in (["nut", "bolt"], ["cap", "bolt"]):
        with pytest.raises(
            ValueError, match="image 'it': its class 1 is 'bolt', which is class 2 of the class_names"
        ):
            check_named(made, names)


def test_class_ids_and_masks_are_checked_against_a_model():
    boxes_only = record(boxes=[[2, 3, 8, 9]], class_ids=[3])
    check_record(boxes_only, num_classes=3, needs_masks=False)
    with pytest.raises(ValueError, match=r"image 'it': class id 3 is outside 1\.\.2"):
        check_record(boxes_only, num_classes=2, needs_masks=False)
    with pytest.raises(ValueError, match="image 'it': its objects have no masks"):
        check_record(boxes_only, num_classes=3, needs_masks=True)
    check_record(record(), num_classes=3, needs_masks=True)


def test_keypoints_are_checked_against_a_model():
    boxes, points = [[2, 3, 8, 9]], np.ones((1, 3, 3))
    check_record(record(boxes=boxes, class_ids=[1], keypoints=points), 1, False, num_keypoints=3)
    check_record(record(boxes=boxes, class_ids=[1], keypoints=points), 1, False)
    check_record(record(), 1, False, num_keypoints=3)
    with pytest.raises(ValueError, match=r"image 'it': its objects have 3 keypoints; .*names 17"):
        check_record(record(boxes=boxes, class_ids=[1], keypoints=points), 1, False, num_keypoints=17)
    with pytest.raises(ValueError, match="image 'it': its objects have no keypoints"):
        check_record(record(boxes=boxes, class_ids=[1]), 1, False, num_keypoints=17)


def test_a_record_may_know_the_names_of_its_classes_and_keypoints():
    made = record(boxes=[[1, 2, 4, 6]], class_ids=[2], class_names=["bolt", "nut"], keypoint_names=["tip"])
    assert made.class_names == ("bolt", "nut") and made.keypoint_names == ("tip",)
    assert record().class_names == record().keypoint_names == ()


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"class_names": ["nut"]}, "class id 2 has no name; class_names has 1"),
        ({"class_names": ["nut", "nut"]}, "class_names has a name twice"),
        ({"keypoint_names": ["tip"]}, "there are 2 keypoints, but 1 keypoint_names"),
        ({"keypoint_names": ["tip", "tip"]}, "keypoint_names has a name twice"),
    ],
)
def test_names_must_fit_the_objects(fields, reason):
    with pytest.raises(ValueError, match=f"image 'it': {reason}"):
        record(boxes=[[1, 2, 4, 6]], class_ids=[2], keypoints=np.zeros((1, 2, 3)), **fields)


@pytest.mark.parametrize(
    ("names", "reason"),
    [
        (
            ["nut", "bolt"],
            "its class names are in another order than Config.class_names: class 1 is 'bolt', not 'nut'",
        ),
        (["bolt", "cap"], "among its class names there is nut, which Config.class_names lacks, and no cap"),
        (["bolt"], "among its class names there is nut, which Config.class_names lacks$"),
        (["bolt", "nut", "cap"], "among its class names there is no cap$"),
    ],
)
def test_other_names_than_a_configs_are_told(names, reason):
    with pytest.raises(ValueError, match=f"image 'it': {reason}"):
        check_names(record(class_names=["bolt", "nut"]), names)


def test_names_that_nobody_knows_are_not_compared():
    check_names(record(), ["bolt"], ["tip"])
    check_names(record(class_names=["bolt"], keypoint_names=["tip"]), ["bolt"], ())


def test_a_label_image_has_the_rows_numbers_small_objects_over_large_ones_and_no_crowds():
    masks = np.zeros((4, 20, 30), bool)
    masks[0, 2:6, 3:9] = masks[1, 0:12, 0:12] = masks[2, 10:12, 1:3] = masks[3, 15:20, 20:30] = True
    record = make_record(
        np.zeros((20, 30), np.uint8), None, [1, 2, 1, 1], masks, [0, 0, 0, 1], image_id="cells"
    )
    labels = record.to_label_image()
    assert labels.dtype == np.uint16
    expected = np.zeros((20, 30), int)
    for row in (1, 0, 2):
        expected[masks[row]] = row + 1
    np.testing.assert_array_equal(labels, expected)
    assert record.to_label_image("uint32").dtype == np.uint32
    empty = make_record(np.zeros((20, 30), np.uint8), image_id="empty")
    assert not empty.to_label_image().any()


def test_boxes_alone_make_no_label_image():
    record = make_record(np.zeros((20, 30), np.uint8), [[1, 1, 5, 5]], [1], image_id="boxes")
    with pytest.raises(
        ValueError, match="image 'boxes': a label image is made of masks; its objects have boxes"
    ):
        record.to_label_image()
