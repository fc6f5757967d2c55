"""COCO files from any records: read back equal, by this package and by pycocotools."""

import contextlib
import io
import json

import numpy as np
import pytest
from PIL import Image
from pycocotools.coco import COCO

from keras_maskrcnn.data.formats.coco import load_coco
from keras_maskrcnn.data.formats.coco_writer import write_coco
from keras_maskrcnn.data.records import make_record
from keras_maskrcnn.images.io import read_image
from keras_maskrcnn.masks.rle import mask_to_rle, rle_to_mask, segmentation_to_mask

HEIGHT, WIDTH = 40, 60
TRIANGLE = [[10.25, 5, 30, 5, 30, 35.5]]


@pytest.fixture
def image(tmp_path):
    (tmp_path / "images").mkdir()
    Image.fromarray(np.zeros((HEIGHT, WIDTH, 3), np.uint8)).save(tmp_path / "images" / "a.png")
    return tmp_path / "images" / "a.png"


def noise():
    return np.random.default_rng(0).random((HEIGHT, WIDTH)) < 0.5


def test_all_of_a_record_comes_back(tmp_path, image):
    record = make_record(
        image,
        masks=[TRIANGLE, mask_to_rle(noise()), TRIANGLE * 2],
        class_ids=[2, 1, 2],
        crowd=[False, True, False],
        areas=[1.5, 700, 3],
        keypoints=[[[11.5, 6, 2], [0, 0, 0]], [[0, 0, 0]] * 2, [[12, 7, 1], [13, 8, 2]]],
        image_id="it",
    )
    path = tmp_path / "coco.json"
    write_coco(path, [record], ["bolt", "nut"], image.parent, keypoint_names=["head", "tip"])
    records, names = load_coco(path, image.parent)
    (again,) = records
    assert names == ["bolt", "nut"] and records.report.keypoint_names == ("head", "tip")
    assert (again.image, again.image_id, again.height, again.width) == (str(image), 1, HEIGHT, WIDTH)
    for field in ("boxes", "class_ids", "crowd", "areas", "keypoints"):
        np.testing.assert_array_equal(getattr(again, field), getattr(record, field))
    assert again.masks[0] == TRIANGLE and again.masks[2] == TRIANGLE * 2
    np.testing.assert_array_equal(rle_to_mask(again.masks[1]), noise())


def test_boxes_of_any_float32_come_back_equal(tmp_path, image):
    corners = np.random.default_rng(0).random((200, 2, 2)).astype(np.float32) * [WIDTH, HEIGHT]
    boxes = np.concatenate([corners.min(axis=1), corners.max(axis=1) + 0.02], axis=1)
    record = make_record(image, boxes=boxes, class_ids=[1] * 200)
    write_coco(tmp_path / "coco.json", [record], ["x"], image.parent)
    (again,) = load_coco(tmp_path / "coco.json", image.parent)[0]
    np.testing.assert_array_equal(again.boxes, record.boxes)
    assert again.masks is None


def test_pycocotools_reads_the_file(tmp_path, image):
    record = make_record(image, masks=[mask_to_rle(noise())], class_ids=[1], image_id=3)
    write_coco(tmp_path / "coco.json", [record], ["bolt", "nut"], category_ids=[7, 4])
    with contextlib.redirect_stdout(io.StringIO()):
        coco = COCO(tmp_path / "coco.json")
    (annotation,) = coco.loadAnns(coco.getAnnIds(imgIds=3, catIds=7))
    np.testing.assert_array_equal(coco.annToMask(annotation), noise())
    assert {row["id"]: row["name"] for row in coco.dataset["categories"]} == {7: "bolt", 4: "nut"}


def test_file_names_are_relative_to_the_folder_that_load_coco_gets(tmp_path, image):
    record = make_record(image, image_id=1)
    (tmp_path / "other").mkdir()
    places = {None: "images/a.png", tmp_path / "images": "a.png", tmp_path / "other": "../images/a.png"}
    for folder, name in places.items():
        write_coco(tmp_path / "coco.json", [record], ["x"], folder)
        assert json.loads((tmp_path / "coco.json").read_text())["images"][0]["file_name"] == name
        assert len(load_coco(tmp_path / "coco.json", folder or tmp_path)[0]) == 1
    with pytest.raises(FileNotFoundError, match="nowhere: there is no such folder"):
        write_coco(tmp_path / "coco.json", [record], ["x"], tmp_path / "nowhere")


ARRAYS = {
    "rgb": np.random.default_rng(0).integers(0, 255, (HEIGHT, WIDTH, 3)).astype(np.uint8),
    "gray": np.random.default_rng(0).integers(0, 255, (HEIGHT, WIDTH)).astype(np.uint8),
    "gray with an axis": np.random.default_rng(0).integers(0, 255, (HEIGHT, WIDTH, 1)).astype(np.uint8),
    "sixteen bits": np.random.default_rng(0).integers(0, 65535, (HEIGHT, WIDTH)).astype(np.uint16),
    "floats": np.random.default_rng(0).random((HEIGHT, WIDTH, 3)).astype(np.float32) * 255,
}


@pytest.mark.parametrize("name", ARRAYS)
def test_arrays_are_saved_without_loss(tmp_path, name):
    record = make_record(ARRAYS[name], boxes=[[1, 2, 3, 4]], class_ids=[1], image_id=f"scan/{name}")
    with pytest.raises(ValueError, match=f"image 'scan/{name}' is no image file of its own"):
        write_coco(tmp_path / "coco.json", [record], ["x"])
    assert not (tmp_path / "coco.json").exists()
    write_coco(tmp_path / "coco.json", [record], ["x"], tmp_path / "saved", save_images=True)
    (again,) = load_coco(tmp_path / "coco.json", tmp_path / "saved")[0]
    np.testing.assert_array_equal(read_image(again.image), read_image(ARRAYS[name]))
    with pytest.raises(ValueError, match="is there already"):
        write_coco(tmp_path / "coco.json", [record], ["x"], tmp_path / "saved", save_images=True)


@pytest.mark.parametrize(
    ("fields", "options", "reason"),
    [
        ({"class_ids": [3]}, {}, r"a.png: class id 3 is outside 1\.\.2"),
        ({}, {"category_ids": [1]}, "category"),
        ({"image_id": 5}, {"twice": True}, "another image has its id 5"),
    ],
)
def test_what_no_file_could_say_is_refused(tmp_path, image, fields, options, reason):
    record = make_record(image, **{"boxes": [[1, 2, 3, 4]], "class_ids": [1], **fields})
    records = [record] * (2 if options.pop("twice", False) else 1)
    with pytest.raises(ValueError, match=reason):
        write_coco(tmp_path / "coco.json", records, ["bolt", "nut"], **options)
    assert not (tmp_path / "coco.json").exists()


def written(tmp_path, records, *arguments, **options):
    write_coco(tmp_path / "coco.json", records, *arguments, **options)
    return json.loads((tmp_path / "coco.json").read_text())


def test_text_ids_become_numbers_and_stay_as_names(tmp_path):
    pixels = np.zeros((HEIGHT, WIDTH, 3), np.uint8)
    ids = ("scan b", 2, np.int64(1), "scan a")
    records = [make_record(pixels, [[1, 2, 3, 4]], [1], image_id=image_id) for image_id in ids]
    content = written(tmp_path, records, ["bolt"], save_images=True)
    assert [(row["id"], row.get("name")) for row in content["images"]] == [
        (3, "scan b"),
        (2, None),
        (1, None),
        (4, "scan a"),
    ]
    assert [row["image_id"] for row in content["annotations"]] == [3, 2, 1, 4]
    assert [record.image_id for record in load_coco(tmp_path / "coco.json", tmp_path)[0]] == [3, 2, 1, 4]


def test_a_path_that_is_the_id_is_no_name(tmp_path, image):
    (row,) = written(tmp_path, [make_record(image)], ["bolt"])["images"]
    assert row == {"id": 1, "file_name": "images/a.png", "height": HEIGHT, "width": WIDTH}


def test_records_that_know_the_classes_in_another_order_are_refused(tmp_path, image):
    record = make_record(image, [[1, 2, 3, 4]], [1], class_names=["bolt", "nut"])
    with pytest.raises(ValueError, match=r"a.png: its class 1 is 'bolt', which is class 2"):
        write_coco(tmp_path / "coco.json", [record], ["nut", "bolt"])
    assert written(tmp_path, [record], ["Bolzen", "Mutter"])["categories"][0]["name"] == "Bolzen"


def test_masks_are_polygons_if_asked_where_polygons_can_be_the_same(tmp_path, image, caplog):
    masks = np.zeros((4, HEIGHT, WIDTH), bool)
    masks[0, 5:35, 10:30] = masks[1, 2:9, 3:9] = masks[2, 20:30, 40:50] = masks[3, :5, :5] = True
    masks[1, 4:6, 5:7] = False
    crowd = [False, False, False, True]
    record = make_record(image, masks=masks, class_ids=[1] * 4, crowd=crowd)
    content = written(tmp_path, [record], ["bolt"], polygons=True)
    kinds = [type(row["segmentation"]) for row in content["annotations"]]
    assert kinds == [list, dict, list, dict]  # one with a hole, and COCO's crowds are RLE
    assert "1 mask with holes, which polygons cannot have, stay RLE" in caplog.text
    again = load_coco(tmp_path / "coco.json", tmp_path)[0][0]
    for segmentation, mask in zip(again.masks, masks, strict=True):
        np.testing.assert_array_equal(segmentation_to_mask(segmentation, HEIGHT, WIDTH), mask)


def test_images_of_one_name_are_saved_under_several(tmp_path):
    pixels = [np.full((HEIGHT, WIDTH, 3), value, np.uint8) for value in (10, 20, 30)]
    ids = ("s/1", "s_1", "S 1")
    records = [make_record(one, image_id=name) for one, name in zip(pixels, ids, strict=True)]
    content = written(tmp_path, records, ["bolt"], tmp_path / "saved", save_images=True)
    assert [row["file_name"] for row in content["images"]] == ["s_1.png", "s_1_2.png", "S_1_3.png"]
    again, _ = load_coco(tmp_path / "coco.json", tmp_path / "saved")
    assert [read_image(record.image)[0, 0, 0] for record in again] == [10, 20, 30]


def test_nothing_is_left_behind_when_writing_fails(tmp_path):
    pixels = np.zeros((HEIGHT, WIDTH, 3), np.uint8)
    records = [make_record(pixels, image_id="a"), make_record(pixels, [[1, 2, 3, 4]], [2], image_id="b")]
    for _ in range(2):
        with pytest.raises(ValueError, match="class id 2 is outside"):
            write_coco(tmp_path / "coco.json", records, ["bolt"], tmp_path / "saved", save_images=True)
        assert not list((tmp_path / "saved").iterdir())


def test_paths_from_a_folder_that_is_a_link_lead_to_the_images(tmp_path, image):
    (tmp_path / "store" / "deep").mkdir(parents=True)
    link = tmp_path / "link"
    try:
        link.symlink_to(tmp_path / "store" / "deep", target_is_directory=True)
    except OSError:
        pytest.skip("this system makes no links")
    write_coco(link / "coco.json", [make_record(image)], ["bolt"])
    (record,) = load_coco(link / "coco.json", link)[0]
    assert record.image.endswith("../../images/a.png")
    inside = link / "b.png"
    Image.open(image).save(inside)
    write_coco(link / "coco.json", [make_record(inside)], ["bolt"])
    assert json.loads((link / "coco.json").read_text())["images"][0]["file_name"] == "b.png"
