"""COCO files: good ones are read completely, bad ones are refused by file, image, annotation and reason."""

import copy
import json
import logging
import re
from pathlib import Path

import numpy as np
import pycocotools.mask as coco_mask
import pytest
from PIL import Image

from keras_maskrcnn.data.coco import load_coco
from keras_maskrcnn.keypoints import PERSON_KEYPOINTS
from keras_maskrcnn.masks import segmentation_to_mask

COCO_MINI = Path(__file__).parents[2] / "shared" / "data" / "coco_mini"
needs_coco_mini = pytest.mark.skipif(not COCO_MINI.exists(), reason="the COCO sample is not on this machine")

HEIGHT, WIDTH = 40, 60


def annotation(annotation_id=1, **changes):
    base = {
        "id": annotation_id,
        "image_id": 7,
        "category_id": 5,
        "bbox": [10, 5, 20, 30],
        "area": 300.0,
        "iscrowd": 0,
        "segmentation": [[10, 5, 30, 5, 30, 35]],
    }
    return {key: value for key, value in {**base, **changes}.items() if value is not ...}


def content(*annotations, **changes):
    return {
        "images": [{"id": 7, "file_name": "a.png", "height": HEIGHT, "width": WIDTH}],
        "categories": [{"id": 9, "name": "nut"}, {"id": 5, "name": "bolt"}],
        "annotations": list(annotations),
        **changes,
    }


@pytest.fixture
def folder(tmp_path):
    for name in ("a.png", "b.png"):
        Image.fromarray(np.zeros((HEIGHT, WIDTH, 3), np.uint8)).save(tmp_path / name)
    return tmp_path


def load(folder, what, **options):
    path = folder / "annotations.json"
    path.write_text(what if isinstance(what, str) else json.dumps(what))
    return load_coco(path, folder, **options)


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
    """COCO's rule: an object is the union of its polygons; what has a hole needs run lengths."""
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


def with_points(*categories):
    points = annotation(2, keypoints=[12, 8, 2, 14, 9, 1])
    return content(annotation(1), points, categories=list(categories))


def test_keypoints_are_named_and_counted_in_the_report(folder):
    bolt = {"id": 5, "name": "bolt", "keypoints": ["head", "tip"]}
    report = load(folder, with_points({"id": 9, "name": "nut"}, bolt))[0].report
    assert report.keypoint_names == ("head", "tip") and report.with_keypoints == 1
    assert "1 with keypoints" in str(report)
    assert load(folder, with_points({"id": 5, "name": "bolt"}))[0].report.keypoint_names == ()
    assert load(folder, content(annotation(), categories=[bolt]))[0].report.keypoint_names == ()


@pytest.mark.parametrize(
    ("names", "reason"),
    [
        (["head", "tip", "end"], "2 different names, as objects have"),
        (["head", "head"], "2 different names"),
        ("head", "list of names"),
        ([1, 2], "list of names"),
        (["tip", "head"], "categories bolt and nut have different keypoints"),
    ],
)
def test_names_that_do_not_fit_the_keypoints_are_refused(folder, names, reason):
    bolt = {"id": 5, "name": "bolt", "keypoints": ["head", "tip"]}
    with pytest.raises(ValueError, match=f"annotations.json: .*{reason}"):
        load(folder, with_points(bolt, {"id": 9, "name": "nut", "keypoints": names}))


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


BROKEN = {
    "unknown category": ({"category_id": 6}, "category_id 6"),
    "unknown image": ({"image_id": 99}, "image_id 99"),
    "negative width": ({"bbox": [10, 5, -3, 4]}, "negative"),
    "infinite bbox": ({"bbox": [10, 5, float("inf"), 4]}, "finite"),
    "nan bbox": ({"bbox": [float("nan"), 5, 3, 4]}, "finite"),
    "no bbox": ({"bbox": ...}, "bbox"),
    "three numbers": ({"bbox": [1, 2, 3]}, "bbox"),
    "text in bbox": ({"bbox": ["1", 2, 3, 4]}, "bbox"),
    "bbox far outside": ({"bbox": [50, 5, 20, 30]}, "outside the image, 60 pixels wide and 40 high"),
    "corners by the image": ({"bbox": [30, 20, 50, 39], "segmentation": []}, "only as x1, y1, x2, y2"),
    "corners by the mask": (
        {"bbox": [15, 5, 30, 20], "segmentation": [[15, 5, 30, 5, 30, 20]]},
        "fits its mask only as x1, y1, x2, y2",
    ),
    "mask elsewhere": ({"bbox": [50, 0, 5, 5]}, "outside its box"),
    "two points": ({"segmentation": [[10, 5, 30, 35]]}, "6 numbers"),
    "odd count": ({"segmentation": [[10, 5, 30, 5, 30, 35, 7]]}, "7 numbers"),
    "flat polygon": ({"segmentation": [10, 5, 30, 5, 30, 35]}, "flat"),
    "nan point": ({"segmentation": [[10, 5, 30, float("nan"), 30, 35]]}, "finite"),
    "text as point": ({"segmentation": [[10, 5, 30, "x", 30, 35]]}, "flat list of numbers"),
    "text": ({"segmentation": "10,5"}, "polygons"),
    "rle of another size": ({"segmentation": {"size": [5, 5], "counts": [25]}}, "size"),
    "rle too short": ({"segmentation": {"size": [HEIGHT, WIDTH], "counts": [3, 4]}}, "7 pixels"),
    "rle cut off": ({"segmentation": {"size": [HEIGHT, WIDTH], "counts": "52"}}, ""),
    "no polygon": ({"segmentation": [None]}, "flat list of numbers .*got None"),
    "points in pairs": ({"segmentation": [[[10, 5], [30, 5], [30, 35]]]}, "flat list of numbers"),
    "rle without a size": ({"segmentation": {"size": None, "counts": "abc"}}, "size.*got None"),
    "rle with null counts": ({"segmentation": {"size": [HEIGHT, WIDTH], "counts": None}}, "counts.*got None"),
    "rle with halves": (
        {"segmentation": {"size": [HEIGHT, WIDTH], "counts": [1.5, HEIGHT * WIDTH - 1.5]}},
        "whole numbers",
    ),
    "number beyond floats": ({"bbox": [10**400, 5, 3, 4]}, "finite"),
    "rle without counts": ({"segmentation": {"size": [HEIGHT, WIDTH]}}, "counts"),
    "crowd of 2": ({"iscrowd": 2}, "iscrowd"),
    "negative area": ({"area": -1}, "area"),
    "keypoints of another count": ({"keypoints": [1, 2, 2]}, "keypoints"),
    "keypoint visibility": ({"keypoints": [1, 2, 3, 1, 2, 2]}, "visibility"),
}


@pytest.mark.parametrize("name", BROKEN)
def test_a_broken_annotation_is_named(folder, name):
    changes, reason = BROKEN[name]
    good = annotation(1, keypoints=[12, 8, 2, 14, 9, 1])
    with pytest.raises(ValueError, match=f"annotations.json: annotation 23: .*{reason}") as error:
        load(folder, content(good, annotation(23, **changes)))
    assert "\n" not in str(error.value)
    if name != "unknown image":
        assert "a.png" in str(error.value)


@pytest.mark.parametrize("broken_id", [[1], None, {"a": 1}, 1.5])
def test_an_id_that_cannot_name_its_annotation_is_refused_by_position(folder, broken_id):
    reason = re.escape(f'its "id" must be a whole number or a string; got {broken_id!r}')
    with pytest.raises(ValueError, match=rf"annotations.json: annotation number 1: image .*a.png: {reason}$"):
        load(folder, content(annotation(1), annotation(broken_id)))


def test_the_number_of_further_problems_is_told(folder):
    broken = [annotation(i, bbox=[1, 1, -1, 1]) for i in range(5)]
    with pytest.raises(ValueError, match=r"annotation 0: .*4 more"):
        load(folder, content(*broken))


def repeated(key):
    doubled = content(annotation())
    doubled[key] = doubled[key][:1] * 2
    return doubled


@pytest.mark.parametrize(
    ("broken", "reason"),
    [
        ("{", "no valid JSON"),
        ([{"image_id": 7, "bbox": [1, 2, 3, 4]}], "results"),
        ({"images": []}, '"images" is empty|annotations'),
        ({**content(), "annotations": {}}, '"annotations" must be a list'),
        ({**content(), "annotations": [3]}, '"annotations" must be a list of objects'),
        ({**content(), "categories": [{"id": "a", "name": "x"}]}, "whole number"),
        ({**content(), "categories": []}, "categories"),
        (repeated("images"), "image a.png: .*twice"),
        (repeated("categories"), "twice"),
        (repeated("annotations"), "annotation 1: .*twice"),
        (content(images=[{"id": 7, "file_name": "a.png", "height": HEIGHT}]), "a.png: .*width"),
        (content(images=[{"id": 7, "height": HEIGHT, "width": WIDTH}]), "file_name"),
        (content(images=[{"id": 7, "file_name": "a.png", "height": 0, "width": 1}]), "positive"),
        (content(annotation(iscrowd=1)), "iscrowd.*nothing to learn"),
    ],
)
def test_a_broken_file_is_named(folder, broken, reason):
    with pytest.raises(ValueError, match=f"annotations.json: .*({reason})"):
        load(folder, broken)


def test_missing_and_wrong_images_are_found_before_training(folder):
    what = content(annotation())
    missing = copy.deepcopy(what)
    missing["images"][0]["file_name"] = "gone.png"
    with pytest.raises(ValueError, match=r"gone\.png.*no such image"):
        load(folder, missing)
    assert len(load(folder, missing, check_images=False)[0]) == 1
    (folder / "a.png").write_bytes(b"nothing")
    with pytest.raises(ValueError, match=r"a\.png.*cannot be read"):
        load(folder, what)
    Image.fromarray(np.zeros((HEIGHT, WIDTH + 1), np.uint8)).save(folder / "a.png")
    with pytest.raises(ValueError, match=r"a\.png: the image is 61 x 40 .*annotated as 60 x 40"):
        load(folder, what)


def test_annotations_made_before_the_exif_turn_are_refused(folder):
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.fromarray(np.zeros((HEIGHT, WIDTH, 3), np.uint8)).save(folder / "a.jpg", exif=exif)
    what = content(annotation())
    what["images"][0]["file_name"] = "a.jpg"
    with pytest.raises(ValueError, match=r"a\.jpg: by its EXIF orientation"):
        load(folder, what)
    what["images"][0].update(height=WIDTH, width=HEIGHT)
    records, _ = load(folder, what)
    assert (records[0].height, records[0].width) == (WIDTH, HEIGHT)


def test_all_problems_are_collected_where_a_list_is_given(folder):
    (folder / "b.png").unlink()
    Image.fromarray(np.zeros((HEIGHT, WIDTH + 1, 3), np.uint8)).save(folder / "c.png")
    rows = [(7, "a.png"), (8, "b.png"), (9, "c.png"), (9, "a.png")]
    images = [{"id": i, "file_name": name, "height": HEIGHT, "width": WIDTH} for i, name in rows]
    images.append({"id": 10, "height": HEIGHT, "width": WIDTH})
    screw = {"id": 6, "name": "screw"}
    what = content(
        annotation(1),
        annotation(2, bbox=[1, 1, -1, 1]),
        annotation(3, category_id=6),
        annotation(4, image_id=8),
        annotation(5, image_id=9, segmentation=[[1, 2, 3, 4]]),
        images=images,
        categories=[{"id": 5, "name": "bolt"}, screw],
    )
    met = ["one from before"]
    records, names = load(folder, what, class_names=["bolt"], problems=met)
    assert names == ["bolt"] and [record.image_id for record in records] == [7]
    np.testing.assert_allclose(records[0].boxes, [[10, 5, 30, 35]])
    reasons = [
        "categories screw are not among",
        "image a.png: its id 9 occurs twice",
        'image 10: it has no "file_name"',
        "b.png: there is no such image",
        "c.png: the image is 61 x 40",
        r"annotation 2: image .*a.png: .*negative",
        "annotation 3: image .*a.png: no category has its category_id 6",
        "annotation 5: image .*c.png: .*6 numbers",
    ]
    assert len(met) == 1 + len(reasons)
    for problem, reason in zip(met[1:], reasons, strict=True):
        assert re.search(f"annotations.json: .*{reason}", problem)
    with pytest.raises(ValueError, match=r"categories screw .*\(and 7 more"):
        load(folder, what, class_names=["bolt"])


def test_a_file_without_problems_leaves_the_list_empty(folder):
    met = []
    assert len(load(folder, content(annotation()), problems=met)[0]) == 1 and met == []


def test_crowds_alone_are_a_problem_in_the_list_and_still_there(folder):
    met = []
    records, _ = load(folder, content(annotation(iscrowd=1)), problems=met)
    assert len(met) == 1 and "nothing to learn" in met[0] and records[0].crowd.tolist() == [True]


def test_what_is_no_annotation_file_is_an_error_all_the_same(folder):
    with pytest.raises(ValueError, match="no valid JSON"):
        load(folder, "{", problems=[])
    with pytest.raises(FileNotFoundError):
        load_coco(folder / "none.json", folder, problems=[])


def test_a_missing_annotation_file_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match=re.escape("none.json")):
        load_coco(tmp_path / "none.json", tmp_path)


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
