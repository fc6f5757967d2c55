"""YOLO's text files, and the class names beside them."""

import re

import numpy as np
import pytest
from PIL import Image

from keras_maskrcnn.data.formats.yolo import load_yolo
from keras_maskrcnn.diagnostics.dataset.readers import refused

HEIGHT, WIDTH = 40, 60
TRIANGLE = "0 0.5 0.25 0.75 0.25 0.75 0.5"


@pytest.fixture
def root(tmp_path):
    for name in ("images", "labels"):
        (tmp_path / name / "train").mkdir(parents=True)
    for name in ("a", "b"):
        Image.fromarray(np.zeros((HEIGHT, WIDTH, 3), np.uint8)).save(
            tmp_path / "images" / "train" / f"{name}.png"
        )
    (tmp_path / "data.yaml").write_text("names: [nut, bolt]\n")
    return tmp_path


def write(root, *lines, name="a"):
    (root / "labels" / "train" / f"{name}.txt").write_text("\n".join(lines) + "\n")


def load(root, *lines, **options):
    write(root, *lines)
    return load_yolo(root / "labels" / "train", **options)


def test_polygons_are_fractions_of_the_image(root):
    records, names = load(root, TRIANGLE, "", "1 0 0 0.1 0 0.1 0.1 0 0.1")
    assert names == ["nut", "bolt"] and records[0].class_ids.tolist() == [1, 2]
    assert records[0].masks[0] == [[30, 10, 45, 10, 45, 20]]
    np.testing.assert_allclose(records[0].boxes, [[30, 10, 45, 20], [0, 0, 6, 4]])
    assert records[0].image.endswith("images/train/a.png")


def test_what_trainers_cache_beside_the_images_is_no_image(root):
    np.save(root / "images" / "train" / "a.npy", np.zeros((HEIGHT, WIDTH, 3), np.uint8))
    records, _ = load(root, TRIANGLE)
    assert [(record.image[-5:], len(record.boxes)) for record in records] == [("a.png", 1), ("b.png", 0)]
    assert "1 .npy file beside images of the same name left out, as caches" in str(records.report)


def test_the_file_of_the_names_may_lie_among_the_labels(root):
    file = root / "labels" / "train" / "names.txt"
    file.write_text("nut\nbolt\n")
    assert load(root, TRIANGLE, label_names=file)[1] == ["nut", "bolt"]


def test_images_without_labels_and_with_empty_ones_have_no_objects(root):
    """As empty rows of other tools' tables, which crashed their readers."""
    (root / "images" / "train" / "a.png").rename(root / "images" / "train" / "c.png")
    write(root, "", "  ", name="c")
    records, _ = load_yolo(root / "labels" / "train")
    assert [len(record.boxes) for record in records] == [0, 0] and records.report.empty_images == 2
    assert "1 images have no text file" in str(records.report) and "b.png" in str(records.report)


def test_boxes_alone_are_a_dataset_of_boxes(root):
    records, _ = load(root, "1 0.5 0.5 0.1 0.5")
    np.testing.assert_allclose(records[0].boxes, [[27, 10, 33, 30]])
    assert records[0].masks is None and "boxes only" in str(records.report)


def test_boxes_among_polygons_are_left_out_and_reported(root):
    records, _ = load(root, TRIANGLE, "1 0.5 0.5 0.1 0.5")
    assert len(records[0].boxes) == 1
    assert records.report.unusable == {"no segmentation": ["line 2 of a.txt"]}
    assert "left out: 1 with no segmentation (line 2 of a.txt)" in str(records.report)


def test_the_images_folder_may_be_given(root):
    write(root, TRIANGLE)
    (root / "images").rename(root / "photos")
    records, _ = load_yolo(root / "labels" / "train", root / "photos" / "train")
    assert records[0].image == str(root / "photos" / "train" / "a.png")
    with pytest.raises(FileNotFoundError, match="images/train: there is no such folder"):
        load_yolo(root / "labels" / "train")
    (root / "labels").rename(root / "text")
    with pytest.raises(ValueError, match="the folder of the images must be given"):
        load_yolo(root / "text" / "train")


@pytest.mark.parametrize(
    ("line", "box"),
    [
        ("0 0.9 0.9 1.009 0.9 1.009 1.0001", [54, 36, 60, 40]),
        ("0 -0.01 0.5 0.1 0.5 0.1 0.75", [0, 20, 6, 30]),
        ("0 0.96 0.5 0.098 0.5", [54.66, 10, 60, 30]),
    ],
)
def test_what_reaches_a_hundredth_outside_is_clipped_and_counted(root, line, box):
    for name in ("a", "b"):
        Image.new("RGB", (60, 40)).save(root / "images" / "train" / f"{name}.png")
    records, _ = load(root, line)
    np.testing.assert_allclose(records[0].boxes, [box], atol=1e-4)
    assert "1 object reached a little outside the image and clipped" in str(records.report)


def test_the_overhang_is_in_proportion_to_the_image(root):
    Image.new("RGB", (4000, 400)).save(root / "images" / "train" / "a.png")
    records, _ = load(root, "0 0.5 0.5 1.0095 0.5 1.0095 0.75")
    assert records[0].boxes.tolist() == [[2000, 200, 4000, 300]]
    with pytest.raises(ValueError, match="reaches outside the image, 4000 pixels wide"):
        load(root, "0 0.5 0.5 1.0105 0.5 1.0105 0.75")


def test_images_and_labels_may_be_in_folders_below(root):
    for place in ("images/train/day", "images/train/night", "labels/train/day"):
        (root / place).mkdir()
    for name in ("day/a.png", "night/a.png"):
        Image.new("RGB", (WIDTH, HEIGHT)).save(root / "images" / "train" / name)
    write(root, TRIANGLE, TRIANGLE, name="day/a")
    records, _ = load(root, TRIANGLE)
    found = {record.image.partition("images/train/")[2]: len(record.boxes) for record in records}
    assert found == {"a.png": 1, "b.png": 0, "day/a.png": 2, "night/a.png": 0}
    write(root, TRIANGLE, name="day/gone")
    with pytest.raises(ValueError, match=r"train: day/gone\.txt: no image has this name"):
        load(root, TRIANGLE)


def test_a_problem_names_its_image_too(root):
    problems = []
    load(root, TRIANGLE, "7 0.5 0.25 0.75 0.25 0.75 0.5", "0 0 0 3 0 3 0.5", problems=problems)
    assert all(f"of a.txt: image {root / 'images' / 'train' / 'a.png'}: " in problem for problem in problems)
    assert [refused(problem).image for problem in problems] == [str(root / "images" / "train" / "a.png")] * 2


def test_another_split_is_matched_by_name(root):
    records, names = load(root, TRIANGLE, class_names=["washer", "bolt", "nut"])
    assert names == ["washer", "bolt", "nut"] and records[0].class_ids.tolist() == [3]


def test_names_may_be_given_or_are_asked_for(root):
    (root / "data.yaml").unlink()
    with pytest.raises(ValueError, match="label_names must say the classes"):
        load(root, TRIANGLE)
    assert load(root, TRIANGLE, label_names=["x"])[1] == ["x"]
    (root / "labels" / "train" / "classes.txt").write_text("nut\nbolt\n")
    assert load(root, TRIANGLE)[1] == ["nut", "bolt"]


def test_labels_with_keypoints_are_no_polygons(root):
    (root / "data.yaml").write_text("kpt_shape: [3, 2]\nnames: [nut, bolt]\n")
    for options in ({}, {"label_names": ["nut"]}, {"label_names": root / "data.yaml"}):
        with pytest.raises(ValueError, match=r"data.yaml: its kpt_shape says that the labels have keypoints"):
            load(root, "0 0.5 0.5 0.2 0.2 0.4 0.4 0.5 0.5 0.6 0.6", **options)


BROKEN = {
    "class beyond the names": ("2 0.5 0.2 0.7 0.2 0.7 0.5", "class must be a number from 0 to 1; got 2"),
    "class is no number": ("nut 0.5 0.2 0.7 0.2 0.7 0.5", "numbers only"),
    "half a class": ("0.5 0.5 0.2 0.7 0.2 0.7 0.5", "class must be a number"),
    "infinite class": ("inf 0.5 0.2 0.7 0.2 0.7 0.5", "numbers only"),
    "odd count": ("0 0.5 0.2 0.7 0.2 0.7", "x and y of at least 3 points.*got 5"),
    "one point": ("0 0.5 0.2", "got 2"),
    "nan": ("0 0.5 0.2 nan 0.2 0.7 0.5", "numbers only"),
    "pixels": ("0 30 10 45 10 45 20", "reaches outside the image"),
    "negative width": ("0 0.5 0.5 -0.1 0.2", "negative"),
}


@pytest.mark.parametrize("name", BROKEN)
def test_a_broken_line_is_named_and_left_out(root, name):
    line, reason = BROKEN[name]
    with pytest.raises(ValueError, match=f"train: line 3 of a.txt: .*{reason}"):
        load(root, TRIANGLE, "", line)
    problems = []
    records, _ = load(root, TRIANGLE, "", line, problems=problems)
    assert len(problems) == 1 and re.search(f"train: line 3 of a.txt: .*{reason}", problems[0])
    assert len(records[0].boxes) == 1


def test_labels_of_no_image_are_named(root):
    write(root, TRIANGLE, name="gone")
    with pytest.raises(ValueError, match=r"gone.txt: no image has this name"):
        load(root, TRIANGLE)
    (root / "labels" / "train" / "gone.txt").unlink()
    Image.fromarray(np.zeros((HEIGHT, WIDTH, 3), np.uint8)).save(root / "images" / "train" / "a.jpg")
    with pytest.raises(ValueError, match=r"a.txt: several images have this name"):
        load(root, TRIANGLE)


def test_text_that_is_none_is_named(root):
    (root / "labels" / "train" / "a.txt").write_bytes(b"\xff\xfe0")
    with pytest.raises(ValueError, match=r"a.txt: this is no text in UTF-8"):
        load_yolo(root / "labels" / "train")
