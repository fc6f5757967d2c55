"""COCO files are read completely; `test_coco_refused.py` has those that are not."""

import json
import logging

import numpy as np
import pycocotools.mask as coco_mask
import pytest
from coco_files import HEIGHT, WIDTH, annotation, content, load, with_images, with_points
from places import COCO_MINI

from keras_maskrcnn.config.keypoints import PERSON_KEYPOINTS
from keras_maskrcnn.data.formats.coco import load_coco
from keras_maskrcnn.masks.rle import segmentation_to_mask

needs_coco_mini = pytest.mark.skipif(not COCO_MINI.exists(), reason="the COCO sample is not on this machine")


@pytest.fixture
def folder(tmp_path):
    return with_images(tmp_path)


def test_classes_are_contiguous_in_the_order_of_gapped_ids(folder):
    records, names = load(folder, content(annotation(1), annotation(2, category_id=9)))
    assert names == ["bolt", "nut"] and records.report.category_ids == [5, 9]
    np.testing.assert_array_equal(records[0].class_ids, [1, 2])
    np.testing.assert_allclose(records[0].boxes[0], [10, 5, 30, 35])
    assert records[0].areas[0] == 300 and records[0].image_id == 7
    assert records[0].image == str(folder / "a.png")
    assert (records[0].height, records[0].width) == (HEIGHT, WIDTH)


def test_category_id_zero_is_a_class(folder):
    categories = [{"id": 0, "name": "bolt"}]
    records, names = load(folder, content(annotation(category_id=0), categories=categories))
    assert names == ["bolt"] and records[0].class_ids.tolist() == [1]


def test_images_without_annotations_are_kept(folder):
    images = [*content()["images"], {"id": 8, "file_name": "b.png", "height": HEIGHT, "width": WIDTH}]
    records, _ = load(folder, content(annotation(), images=images))
    assert [len(record.boxes) for record in records] == [1, 0]
    assert records[1].masks == () and records.report.empty_images == 1


def test_all_kinds_of_segmentations_keep_their_pixels(folder):
    mask = np.zeros((HEIGHT, WIDTH), bool)
    mask[5:35, 10:30] = np.random.default_rng(0).random((30, 20)) < 0.5
    compressed = coco_mask.encode(np.asfortranarray(mask.astype(np.uint8)))
    text = {"size": compressed["size"], "counts": compressed["counts"].decode()}
    flat = mask.ravel(order="F")
    edges = np.flatnonzero(np.diff(flat)) + 1
    runs = np.diff(np.concatenate([[0], edges, [flat.size]])).tolist()
    parts = [[10, 5, 20, 5, 20, 35], [22, 5, 30, 5, 30, 35]]
    segmentations = [text, {"size": [HEIGHT, WIDTH], "counts": runs}, parts]
    records, _ = load(folder, content(*(annotation(i, segmentation=s) for i, s in enumerate(segmentations))))
    found = [segmentation_to_mask(s, HEIGHT, WIDTH) for s in records[0].masks]
    np.testing.assert_array_equal(found[0], mask)
    np.testing.assert_array_equal(found[1], mask)
    first, second = (segmentation_to_mask([part], HEIGHT, WIDTH) for part in parts)
    np.testing.assert_array_equal(found[2], first | second)


def test_parts_are_one_object_and_a_polygon_inside_another_is_no_hole(folder):
    """COCO's rule: an object is the union of its polygons; what has a hole needs RLE."""
    outer, inner = [10, 5, 30, 5, 30, 35, 10, 35], [15, 10, 25, 10, 25, 30, 15, 30]
    records, _ = load(folder, content(annotation(segmentation=[outer, inner])))
    drawn = segmentation_to_mask(records[0].masks[0], HEIGHT, WIDTH)
    np.testing.assert_array_equal(drawn, segmentation_to_mask([outer], HEIGHT, WIDTH))


def test_masks_of_one_pixel_and_of_one_column_are_objects(folder):
    masks = np.zeros((2, HEIGHT, WIDTH), np.uint8)
    masks[0, 39, 59] = masks[1, 5:20, 0] = 1
    encoded = [coco_mask.encode(np.asfortranarray(mask)) for mask in masks]
    texts = [{**rle, "counts": rle["counts"].decode()} for rle in encoded]
    boxes = [[59, 39, 1, 1], [0, 5, 1, 15]]
    rows = [annotation(n, segmentation=texts[n], bbox=boxes[n], area=...) for n in range(2)]
    records, _ = load(folder, content(*rows))
    np.testing.assert_array_equal(records[0].boxes, [[59, 39, 60, 40], [0, 5, 1, 20]])
    assert records[0].areas.tolist() == [1, 15]


def test_a_split_with_other_ids_and_another_order_gets_the_same_classes(folder):
    train, names = load(folder, content(annotation(1), annotation(2, category_id=9)))
    other = [{"id": 0, "name": "nut"}, {"id": 1, "name": "bolt"}]
    rows = annotation(1, category_id=1), annotation(2, category_id=0)
    val, same = load(folder, content(*rows, categories=other), class_names=names)
    assert same == names
    np.testing.assert_array_equal(train[0].class_ids, val[0].class_ids)


def test_crowds_are_marked_and_counted(folder):
    rle = {"size": [HEIGHT, WIDTH], "counts": [0, HEIGHT * WIDTH]}
    crowd = annotation(2, iscrowd=1, segmentation=rle, bbox=[0, 0, WIDTH, HEIGHT])
    records, _ = load(folder, content(annotation(1), crowd))
    assert records[0].crowd.tolist() == [False, True]
    assert (records.report.objects, records.report.crowds) == (2, 1)


def test_keypoints_are_kept_and_zero_where_missing(folder):
    points = [12, 8, 2, 14, 9, 1]
    records, _ = load(folder, content(annotation(1), annotation(2, keypoints=points)))
    np.testing.assert_array_equal(records[0].keypoints, [np.zeros((2, 3)), [[12, 8, 2], [14, 9, 1]]])


def test_keypoints_are_named_and_counted_in_the_report(folder):
    bolt = {"id": 5, "name": "bolt", "keypoints": ["head", "tip"]}
    report = load(folder, with_points({"id": 9, "name": "nut"}, bolt))[0].report
    assert report.keypoint_names == ("head", "tip") and report.with_keypoints == 1
    assert "1 with keypoints" in str(report)
    assert load(folder, with_points({"id": 5, "name": "bolt"}))[0].report.keypoint_names == ()
    assert load(folder, content(annotation(), categories=[bolt]))[0].report.keypoint_names == ()


def test_missing_area_and_crowd_flag_are_filled(folder):
    records, _ = load(folder, content(annotation(area=..., iscrowd=...)))
    assert not records[0].crowd[0]
    assert records[0].areas[0] == segmentation_to_mask(records[0].masks[0], HEIGHT, WIDTH).sum()


def test_another_split_is_matched_by_name(folder):
    only_nuts = [{"id": 1, "name": "nut"}]
    records, names = load(
        folder, content(annotation(category_id=1), categories=only_nuts), class_names=["bolt", "nut"]
    )
    assert names == ["bolt", "nut"] and records[0].class_ids.tolist() == [2]
    assert "bolt" in str(records.report)
    with pytest.raises(ValueError, match="screw"):
        load(folder, content(categories=[{"id": 1, "name": "screw"}]), class_names=["bolt", "nut"])


def test_classes_that_the_file_lacks_get_ids_above_its_largest(folder):
    names = ["screw", "nut", "washer", "bolt"]
    records, _ = load(folder, content(annotation()), class_names=names)
    assert records.report.category_ids == [10, 9, 11, 5]
    empty = content(categories=[])
    assert load(folder, empty, class_names=names)[0].report.category_ids == [1, 2, 3, 4]


def test_unusable_objects_are_left_out_and_reported(folder, caplog):
    unusable = {
        "a box without area": annotation(2, bbox=[10, 5, 20, 0]),
        "a box without area inside the image": annotation(3, bbox=[WIDTH, 5, 1, 20]),
        "an empty mask": annotation(4, segmentation=[[10, 5, 10, 5, 10, 5]]),
        "no segmentation": annotation(5, segmentation=[]),
    }
    with caplog.at_level(logging.WARNING):
        records, _ = load(folder, content(annotation(1), *unusable.values()))
    assert len(records[0].boxes) == 1
    assert sorted(i for ids in records.report.unusable.values() for i in ids) == [2, 3, 4, 5]
    for reason in unusable:
        assert reason in caplog.text
    assert "annotations.json" in caplog.text


def test_without_masks_a_missing_segmentation_is_no_loss(folder):
    for options in ({"masks": False}, {}):
        records, _ = load(folder, content(annotation(segmentation=[])), **options)
        assert records[0].masks is None and len(records[0].boxes) == 1
    assert "boxes only" in str(records.report)


def test_boxes_two_pixels_outside_are_clipped(folder):
    records, _ = load(folder, content(annotation(bbox=[-1, 5, 62.5, 30])))
    np.testing.assert_allclose(records[0].boxes[0], [0, 5, 60, 35])


@needs_coco_mini
@pytest.mark.parametrize("split", ["train2017", "val2017"])
def test_real_coco_is_read_completely(split):
    path = COCO_MINI / "annotations" / f"instances_{split}.json"
    raw = json.loads(path.read_text())
    records, names = load_coco(path, COCO_MINI / split)
    report = records.report
    assert (len(records), len(names)) == (len(raw["images"]), 80)
    assert report.unusable == {}
    assert report.objects == sum(len(record.boxes) for record in records) == len(raw["annotations"])
    assert report.crowds == sum(annotation["iscrowd"] for annotation in raw["annotations"])


@needs_coco_mini
def test_real_person_keypoints_are_read():
    path = COCO_MINI / "annotations" / "person_keypoints_val2017.json"
    records, names = load_coco(path, COCO_MINI / "val2017")
    assert names == ["person"] and len(records) == 79
    assert all(record.keypoints.shape == (len(record.boxes), 17, 3) for record in records)
    labelled = sum(int((record.keypoints[..., 2] > 0).sum()) for record in records)
    raw = json.loads(path.read_text())["annotations"]
    assert labelled == sum(a["num_keypoints"] for a in raw)
    assert records.report.keypoint_names == PERSON_KEYPOINTS
    assert records.report.with_keypoints == sum(a["num_keypoints"] > 0 for a in raw)
