"""The dataset check reports each fault of an object, with its image and object, and nothing else."""

import re

import numpy as np
import pytest
from examples import tiny
from faults import HEIGHT, WIDTH, check, only, with_fault, with_object

from keras_maskrcnn.diagnostics.dataset.objects import SAME_OBJECT_IOU, _same_places

SQUARE = [[10, 10, 30, 10, 30, 30, 10, 30]]
OBJECT_FAULTS = {
    "reaches to the right of the image": ({"box": [20, 5, WIDTH + 9, 40]}, "box outside the image", "reaches outside"),
    "reaches to the left of the image": ({"box": [-9, 5, 60, 40]}, "box outside the image", "reaches outside"),
    "has its corners swapped": ({"box": [60, 40, 20, 5]}, "inverted box", "inverted"),
    "is x, y, width, height": (
        {"box": [50, 40, 20, 15], "mask": [[50, 40, 70, 40, 70, 55, 50, 55]]},
        "box as x, y, width, height",
        "inverted.* it fits as x, y, width, height",
    ),
    "is a point": ({"box": [20, 5, 20, 5]}, "box without area", r"\[20, 5, 20, 5\] has no area"),
    "is not a number": ({"box": [20, 5, np.nan, 40]}, "box that is not finite", "not finite"),
    "has a class without a name": ({"class_id": 3}, "unknown class", r"class id 3 is outside 1\.\.2"),
    "has a polygon of two points": ({"mask": [[1, 2, 3, 4]]}, "polygon", "at least 3 points"),
    "has a polygon that is not nested": ({"mask": SQUARE[0]}, "polygon", "one flat list"),
    "has an empty mask": ({"mask": {"size": [64, 80], "counts": [64 * 80]}}, "empty mask", "its mask is empty"),
    "has RLE of another size": ({"mask": {"size": [9, 9], "counts": [81]}}, "RLE", "size"),
    "has a mask elsewhere": (
        {"mask": SQUARE, "box": [50, 40, 70, 60]},
        "mask outside its box",
        "lies outside its box",
    ),
    "has a mask that is much smaller than its box": (
        {"mask": [[10, 10, 20, 10, 20, 20, 10, 20]], "box": [10, 10, 40, 40]},
        "mask and box disagree",
        r"spans \[10, 10, 20, 20\] and its box \[10, 10, 40, 40\]: IoU 0.11",
    ),
    "has x, y, width, height that are corners too": (
        {"mask": SQUARE, "box": [10, 10, 20, 20]},
        "box as x, y, width, height",
        "fits its mask only as x, y, width, height",
    ),
}  # fmt: skip


@pytest.mark.parametrize("fault", OBJECT_FAULTS)
def test_an_object_that(fault, files):
    values, kind, reason = OBJECT_FAULTS[fault]
    found = only(check(with_object(files, **values)))
    assert (found.kind, found.image, found.object, found.position) == (kind, files[2].image, 1, 2)
    assert found.severity == ("warning" if kind == "mask and box disagree" else "error")
    assert re.search(reason, found.reason)


def test_an_inverted_box_without_a_mask_is_read_by_its_image(files):
    boxes = files[2].boxes.copy()
    boxes[1] = [60, 40, 20, 5]
    config = tiny(mask_head="none")
    assert (
        only(check(with_fault(files, boxes=boxes, masks=None), config=config)).kind
        == "box as x, y, width, height"
    )
    boxes[1] = [60, 40, 30, 5]
    assert only(check(with_fault(files, boxes=boxes, masks=None), config=config)).kind == "inverted box"


def test_an_object_annotated_twice(files):
    record = files[2]
    found = only(check(with_fault(files, **appended(record, record.boxes[1] + 0.2, 1, record.masks[1]))))
    assert (found.severity, found.kind, found.object) == ("warning", "object annotated twice", 2)
    assert "objects 1 and 2" in found.reason
    assert not check(with_fault(files, **appended(record, record.boxes[1], 2, record.masks[1]))).issues


def test_two_objects_that_cross_in_one_box_are_two(files):
    masks = [[[0, 0, 10, 0, 40, 40, 30, 40]], [[30, 0, 40, 0, 10, 40, 0, 40]]]
    fields = {"boxes": np.array([[0, 0, 40, 40]] * 2, np.float32), "masks": tuple(masks)}
    assert not check(with_fault(files, **fields, class_ids=np.array([1, 1]))).issues


def appended(record, box, class_id, mask):
    """The fields of a record with one object more."""
    return {
        "boxes": np.concatenate([record.boxes, [box]]).astype(np.float32),
        "class_ids": np.append(record.class_ids, class_id).astype(np.int32),
        "masks": (*record.masks, mask),
        "crowd": np.append(record.crowd, False),
        "areas": np.append(record.areas, record.areas[1]).astype(np.float32),
    }


def test_fields_of_different_lengths(files):
    found = only(check(with_fault(files, masks=files[2].masks[:1])))
    assert (found.kind, found.image, found.reason) == ("record", files[2].image, "2 boxes but 1 masks")


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"boxes": np.zeros((2, 3), np.float32)}, "boxes must be [N, 4]; got shape (2, 3)"),
        ({"crowd": np.array([1, 0])}, "crowd must be boolean; got int64"),
        ({"keypoints": np.zeros((2, 1, 2), np.float32)}, "keypoints must be [N, J, 3]; got shape (2, 1, 2)"),
        ({"class_ids": np.array([0, 1])}, "class id 0 is below 1, the first class"),
        ({"crowd": np.array([True])}, "2 boxes but 1 crowd"),
    ],
)
def test_fields_of_other_shapes_types_and_values(files, fields, reason):
    found = only(check(with_fault(files, **fields)))
    assert (found.kind, found.image, found.reason) == ("record", files[2].image, reason)


def centres(record):
    """One keypoint in the middle of each object: [N, 1, 3]."""
    middle = (record.boxes[:, :2] + record.boxes[:, 2:]) / 2
    return np.concatenate([middle, np.full((len(middle), 1), 2)], axis=1, dtype=np.float32)[:, None]


def test_keypoints(files):
    points = centres(files[2])
    assert not check(with_fault(files, keypoints=points)).issues
    points[1, 0] = [20, 20, 7]
    found = only(check(with_fault(files, keypoints=points)))
    assert (found.severity, found.kind, found.object) == ("error", "keypoints", 1)
    points[1, 0] = [WIDTH + 5, 20, 2]
    found = only(check(with_fault(files, keypoints=points)))
    assert (found.severity, found.kind, found.object) == ("warning", "keypoint outside the image", 1)
    points[1, 0] = [WIDTH + 5, 20, 0]
    assert not check(with_fault(files, keypoints=points)).issues


def test_keypoints_in_other_units_than_pixels_of_the_image(files):
    record = files[2]
    points = np.repeat(centres(record), 2, axis=1)
    points[:, 1, 2] = 0  # of the second nothing is known
    points[1, 0, :2] /= WIDTH, HEIGHT
    found = only(check(with_fault(files, keypoints=points)))
    assert (found.severity, found.kind, found.object) == ("warning", "keypoints outside their box", 1)
    points[1, 1] = centres(record)[1, 0]  # one in its box is enough
    assert not check(with_fault(files, keypoints=points)).issues


def test_a_box_that_vanishes_in_the_resized_image(files):
    thin = [10, 10, 10.02, 30]  # of 64 x 80 pixels
    fields = {"boxes": np.array([thin, [40, 10, 60, 30]], np.float32), "masks": None}
    report = check(
        with_fault(files, **fields),
        config=tiny(mask_head="none", min_size=8, max_size=8, size_rounding="round"),
    )
    assert not [one for one in report.issues if one.severity == "error"]  # 0.002 pixels are enough
    report = check(
        with_fault(files, **fields),
        config=tiny(mask_head="none", min_size=2, max_size=2, size_rounding="round"),
    )
    errors = [one for one in report.issues if one.severity == "error"]
    assert [(one.kind, one.image, one.object) for one in errors] == [("box that vanishes", files[2].image, 0)]
    assert "no area left in the image resized to 2 x 2" in errors[0].reason


def test_records_without_what_the_model_learns(files):
    found = only(check(with_fault(files, masks=None)))
    assert (found.severity, found.kind, found.image) == ("error", "not what the model learns", files[2].image)
    assert "no masks" in found.reason
    assert not check(with_fault(files, masks=None), config=tiny(mask_head="none")).issues
    report = check(files, config=tiny(keypoint_names=("nose",)))
    assert len(report.issues) == 11 and "no keypoints" in report.issues[0].reason


def test_objects_in_one_place_are_found_among_many():
    random = np.random.default_rng(0)
    corners, sizes = random.uniform(0, 200, (300, 2)), np.exp(random.uniform(0, 5, (300, 2)))
    boxes = np.concatenate([corners, corners + sizes], axis=1)
    boxes = np.concatenate([boxes, boxes[::3] + random.normal(0, 0.01, (100, 4)) * np.tile(sizes[::3], 2)])
    shared = np.minimum(boxes[:, None, 2:], boxes[:, 2:]) - np.maximum(boxes[:, None, :2], boxes[:, :2])
    shared, areas = shared.clip(0).prod(axis=2), (boxes[:, 2:] - boxes[:, :2]).prod(axis=1)
    same = np.triu(shared / (areas[:, None] + areas - shared) > SAME_OBJECT_IOU, 1)
    assert same.sum() > 30
    assert list(_same_places(boxes)) == [tuple(pair) for pair in np.argwhere(same)]
    assert list(_same_places(boxes[:0])) == []
