"""YOLO's files as they are written: read back equal, and by supervision where it is installed."""

import logging

import numpy as np
import pytest
import yaml
from PIL import Image
from written import NAMES, image_file, masks_of, written_masks

from keras_maskrcnn.data.formats.load import load_dataset
from keras_maskrcnn.data.formats.yolo import load_yolo
from keras_maskrcnn.data.formats.yolo_writer import write_yolo
from keras_maskrcnn.data.records import make_record
from keras_maskrcnn.masks.rle import segmentation_to_mask


def lines(folder, name="a"):
    return (folder / "labels" / f"{name}.txt").read_text().splitlines()


def test_masks_with_parts_and_holes_are_read_back_to_the_pixel(tmp_path, caplog):
    record = make_record(image_file(tmp_path / "photos"), masks=written_masks(), class_ids=[1, 2, 1])
    with caplog.at_level(logging.WARNING):
        write_yolo(tmp_path / "yolo", [record], NAMES)
    assert "outlines are joined by lines: 2" in caplog.text
    records, names = load_dataset(tmp_path / "yolo")
    assert names == NAMES and records[0].class_ids.tolist() == [1, 2, 1]
    np.testing.assert_array_equal(masks_of(records[0]), written_masks())
    assert lines(tmp_path / "yolo")[0].startswith("0 0.166666666667 0.125 ")


def test_any_mask_is_read_back_to_the_pixel(tmp_path):
    rng = np.random.default_rng(0)
    masks = rng.random((6, 37, 53)) < rng.choice([0.2, 0.5, 0.9], (6, 1, 1))
    write_yolo(
        tmp_path, [make_record(image_file(tmp_path, size=(37, 53)), masks=masks, class_ids=[1] * 6)], NAMES
    )
    np.testing.assert_array_equal(masks_of(load_yolo(tmp_path)[0][0]), masks)


def test_corners_in_the_middle_of_two_fifths_of_a_pixel_stay_there(tmp_path):
    rng = np.random.default_rng(0)
    triangles = [[points] for points in (rng.integers(0, 350, (40, 6)) / 10).tolist()]
    masks = [mask for mask in triangles if segmentation_to_mask(mask, 37, 53).any()]
    record = make_record(image_file(tmp_path, size=(37, 53)), masks=masks, class_ids=[1] * len(masks))
    write_yolo(tmp_path, [record], NAMES)
    np.testing.assert_array_equal(masks_of(load_yolo(tmp_path)[0][0]), masks_of(record))


def test_the_layout_is_ultralytics_own(tmp_path):
    record = make_record(image_file(tmp_path / "photos", "a.b.png"), masks=written_masks()[:1], class_ids=[1])
    write_yolo(tmp_path / "yolo", [record], ["no", "Bär"])
    files = sorted(
        path.relative_to(tmp_path / "yolo").as_posix() for path in (tmp_path / "yolo").rglob("*.*")
    )
    assert files == ["data.yaml", "images/a.b.png", "labels/a.b.txt"]
    settings = yaml.safe_load((tmp_path / "yolo" / "data.yaml").read_text("utf-8"))
    assert settings == {"train": "images", "val": "images", "names": {0: "no", 1: "Bär"}}
    assert load_yolo(tmp_path / "yolo")[1] == ["no", "Bär"]


def test_images_that_are_in_their_place_stay_there(tmp_path):
    inside = image_file(tmp_path / "images" / "train")
    before = inside.stat().st_mtime_ns
    write_yolo(tmp_path, [make_record(inside)], NAMES)
    write_yolo(tmp_path, [make_record(inside)], NAMES, image_folder=tmp_path / "images" / "train")
    assert inside.stat().st_mtime_ns == before
    assert [path.relative_to(tmp_path).as_posix() for path in tmp_path.rglob("*.txt")] == [
        "labels/train/a.txt"
    ]
    assert "train: images/train" in (tmp_path / "data.yaml").read_text()


def test_images_may_stay_anywhere(tmp_path):
    record = make_record(image_file(tmp_path / "photos" / "x"), masks=written_masks()[:1], class_ids=[1])
    write_yolo(tmp_path / "yolo", [record], NAMES, image_folder=tmp_path / "photos")
    assert (tmp_path / "yolo" / "labels" / "x" / "a.txt").is_file() and not (
        tmp_path / "yolo" / "images"
    ).exists()
    records, _ = load_yolo(tmp_path / "yolo" / "labels", tmp_path / "photos")
    np.testing.assert_array_equal(masks_of(records[0]), written_masks()[:1])
    with pytest.raises(
        ValueError, match=r"a\.png: this image is not in .*yolo; without image_folder it is copied"
    ):
        write_yolo(tmp_path / "yolo", [record], NAMES, image_folder=tmp_path / "yolo")


def test_polygons_are_kept_where_one_ring_can_be_the_same_mask(tmp_path):
    apart = [[5, 5, 20, 5, 20, 20], [30, 10, 45, 10, 45, 30]]
    overlapping = [[5, 5, 20, 5, 20, 20], [15, 2, 30, 2, 30, 18]]
    outside = [[-0.5, 5, 20, 5, 20, 20]]
    record = make_record(image_file(tmp_path), masks=[apart, overlapping, outside], class_ids=[1, 1, 1])
    write_yolo(tmp_path, [record], NAMES)
    records, _ = load_yolo(tmp_path)
    np.testing.assert_array_equal(masks_of(records[0]), masks_of(record))
    assert len(lines(tmp_path)[0].split()) == 1 + 2 * (6 + 2)  # the corners, and the line there and back
    assert all(0 <= float(number) <= 1 for line in lines(tmp_path) for number in line.split()[1:])


def test_what_yolo_cannot_say_is_told(tmp_path, caplog):
    fields = {"class_ids": [2, 1], "crowd": [False, True], "keypoints": np.full((2, 1, 3), 2)}
    record = make_record(image_file(tmp_path), boxes=[[8, 8, 20, 20], [1, 1, 5, 5]], **fields)
    with caplog.at_level(logging.WARNING):
        write_yolo(tmp_path, [record], NAMES, scores=[np.ones(2)])
    assert "crowds left out: 1" in caplog.text and "keypoints are left out: 1" in caplog.text
    assert "objects without a mask written as boxes: 1" in caplog.text
    assert lines(tmp_path) == ["1 0.233333333334 0.35 0.2 0.3"]
    assert load_yolo(tmp_path)[0][0].boxes.tolist() == [[8, 8, 20, 20]]


def test_images_without_files_are_saved_and_those_without_objects_have_an_empty_text(tmp_path):
    pixels = np.arange(40 * 60 * 3, dtype=np.uint8).reshape(40, 60, 3)
    write_yolo(tmp_path, [make_record(pixels, image_id="x y")], NAMES)
    np.testing.assert_array_equal(np.asarray(Image.open(tmp_path / "images" / "x_y.png")), pixels)
    assert lines(tmp_path, "x_y") == [] and len(load_yolo(tmp_path, class_names=NAMES)[0]) == 1


def test_supervision_reads_them(tmp_path):
    sv = pytest.importorskip("supervision")
    record = make_record(image_file(tmp_path), masks=written_masks()[:1], class_ids=[2])
    write_yolo(tmp_path, [record], NAMES)
    dataset = sv.DetectionDataset.from_yolo(
        str(tmp_path / "images"), str(tmp_path / "labels"), str(tmp_path / "data.yaml"), force_masks=True
    )
    (_, _, found), *_ = dataset
    assert dataset.classes == NAMES and found.class_id.tolist() == [1]
    mask = np.asarray(found.mask)[0]
    assert (mask & written_masks()[0]).sum() / (
        mask | written_masks()[0]
    ).sum() > 0.8  # it draws outlines, too
