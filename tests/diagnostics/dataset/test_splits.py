"""The dataset check reports what is wrong with a dataset as a whole: ids, images and classes, in and between splits."""

import dataclasses
from pathlib import Path

import numpy as np
from examples import drawn_records, tiny
from faults import check, only, with_fault, with_object


def test_an_id_that_occurs_twice(files):
    found = only(check(with_fault(files, image_id=files[0].image_id)))
    assert (found.severity, found.kind, found.image) == ("error", "image id twice", files[2].image)
    assert files[0].image in found.reason


def test_an_image_that_occurs_twice(files, tmp_path):
    copy = tmp_path / "copy.png"
    copy.write_bytes(Path(files[0].image).read_bytes())
    found = only(check(with_fault(files, image=str(copy))))
    assert (found.severity, found.kind, found.image) == ("warning", "image twice", str(copy))
    assert files[0].image in found.reason
    arrays = drawn_records(11)
    found = only(check(with_fault(arrays, image=arrays[0].image)))
    assert (found.kind, found.image) == ("image twice", "image 'drawn 2'")


def test_an_image_that_is_in_both_splits(files, tmp_path):
    copy = tmp_path / "copy.png"
    copy.write_bytes(Path(files[0].image).read_bytes())
    validation = with_fault(drawn_records(10, seed=1), image=str(copy))
    found = only(check(files, validation=validation))
    assert (found.severity, found.kind, found.image) == ("warning", "image in both splits", files[0].image)
    assert str(copy) in found.reason
    validation = with_fault(drawn_records(10, seed=1), image=files[0].image)
    assert only(check(files, validation=validation, quick=True)).kind == "image in both splits"


def test_an_image_without_objects(files):
    nothing = {"boxes": np.zeros((0, 4), np.float32), "class_ids": np.zeros(0, np.int32), "masks": ()}
    more = dataclasses.replace(drawn_records(1, seed=2)[0], image_id="extra")
    rest = {"crowd": np.zeros(0, bool), "areas": np.zeros(0, np.float32)}
    found = only(check([*files, dataclasses.replace(more, **nothing, **rest)]))
    assert (found.severity, found.kind, found.image) == ("note", "image without objects", "image 'extra'")
    found = [
        one for one in check([dataclasses.replace(more, **nothing, **rest)]).issues if one.severity == "error"
    ]
    assert [(one.kind, one.split) for one in found] == [("no objects", "training")]


def test_a_class_with_few_objects(files):
    found = only(check([*files[:9], without_circle(files[9])]))
    assert (found.severity, found.kind, found.count) == ("note", "class with few objects", 9)
    assert "circle has only 9 objects" in found.reason


def test_a_class_without_objects(files):
    found = only(check(files, config=tiny(class_names=("circle", "square", "star"))))
    assert (found.severity, found.kind, found.count) == ("warning", "class without objects", 0)
    assert "star has no object" in found.reason


def test_classes_that_differ_between_the_splits(files):
    validation = [without_circle(record) for record in drawn_records(10, seed=1)]
    found = only(check(files, validation=validation))
    assert (found.severity, found.kind, found.split) == ("note", "class not validated", "validation")
    assert "circle has 11 objects to train on and none to validate on" in found.reason
    validation = with_object(drawn_records(10, seed=1), class_id=3)
    config = tiny(class_names=("circle", "square", "star"))
    kinds = {one.kind: one for one in check(files, validation=validation, config=config).issues}
    assert kinds.keys() == {"class without objects", "class not trained"}
    assert "star has 1 object to validate on and none to train on" in kinds["class not trained"].reason


def without_circle(record):
    """The record without its second object, which is a circle."""
    fields = {name: getattr(record, name)[:1] for name in ("boxes", "class_ids", "masks", "crowd", "areas")}
    return dataclasses.replace(record, **fields)


def test_everything_marked_as_crowd(files):
    crowds = [dataclasses.replace(record, crowd=np.ones(2, bool)) for record in files]
    found = only(check(crowds))
    assert (found.severity, found.kind, found.count) == ("error", "everything is a crowd", 22)
    assert '"iscrowd": 0' in found.reason


def test_keypoints_of_which_none_is_labelled(files):
    config = tiny(keypoint_names=("nose",))
    points = [np.zeros((2, 1, 3), np.float32) for _ in files]
    found = only(check(with_keypoints(files, points), config=config))
    assert (found.severity, found.kind, found.split) == ("error", "no labelled keypoints", "training")
    assert not check(with_keypoints(files, points)).issues  # nobody learns them
    points[4][1, 0] = [*files[4].boxes[1, :2] + 3, 1]
    assert not check(with_keypoints(files, points), config=config).issues


def with_keypoints(files, points):
    return [dataclasses.replace(record, keypoints=p) for record, p in zip(files, points, strict=True)]


def test_an_image_with_more_objects_than_may_be_found(files):
    found = only(check(files, config=tiny(max_detections=1), quick=True))
    fullest = max(files, key=lambda record: len(record.boxes))
    assert (found.severity, found.kind, found.image) == (
        "note",
        "more objects than detections",
        fullest.image,
    )
    assert found.count == sum(len(record.boxes) > 1 for record in files)
    assert f"of {len(fullest.boxes)} objects at most 1 (max_detections)" in found.reason
    assert "max_detections=10 has room for them" in found.reason
    validation = drawn_records(10, seed=1)
    found = check(files, config=tiny(max_detections=1), validation=validation).issues
    assert {one.split for one in found if one.kind == "more objects than detections"} == {
        "training",
        "validation",
    }
