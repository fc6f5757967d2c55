"""Folders of mask files that have their images with them, as the 2018 Data Science Bowl's do."""

import shutil

import numpy as np
import pytest
from dataset_files import write_bowl_folders, write_label_images
from PIL import Image

from keras_maskrcnn.data.formats.detect import find_format
from keras_maskrcnn.data.formats.load import load_dataset
from keras_maskrcnn.data.formats.mask_folders import load_masks
from keras_maskrcnn.diagnostics.dataset.check import check_dataset
from keras_maskrcnn.masks.rle import rle_to_mask

HEIGHT, WIDTH = 40, 60


def mask(x, y, side, value=255):
    pixels = np.zeros((HEIGHT, WIDTH), np.uint8)
    pixels[y : y + side, x : x + side] = value
    return pixels


def save(path, pixels):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path)


@pytest.fixture
def bowl(tmp_path):
    """Two images, of two objects and of one."""
    root = tmp_path / "stage1_train"
    for name, masks in {"3f2a": [mask(2, 3, 5), mask(20, 10, 7)], "81bc": [mask(50, 30, 10)]}.items():
        save(root / name / "images" / f"{name}.png", np.full((HEIGHT, WIDTH, 4), 255, np.uint8))
        for number, pixels in enumerate(masks):
            save(root / name / "masks" / f"{number}.png", pixels)
    return root


def told(records, names, words):
    """The reason of the one issue with these words that the dataset check finds."""
    (issue,) = [one for one in check_dataset(records, class_names=names).issues if words in one.reason]
    return issue.reason


def test_the_folders_are_read_as_they_are_downloaded(bowl):
    records, names = load_dataset(bowl)
    assert names == ["object"] and find_format(bowl).name == "masks"
    assert [record.image for record in records] == [
        str(bowl / name / "images" / f"{name}.png") for name in ("3f2a", "81bc")
    ]
    np.testing.assert_array_equal(records[0].boxes, [[2, 3, 7, 8], [20, 10, 27, 17]])
    np.testing.assert_array_equal(rle_to_mask(records[1].masks[0]), mask(50, 30, 10) > 0)
    assert not records.report.warnings and not records.report.notes and not records.report.unusable


def test_the_one_class_may_be_named(bowl):
    records, names = load_dataset(bowl, class_names=["nucleus"])
    assert names == ["nucleus"] and records[0].class_ids.tolist() == [1, 1]


def test_images_alone_are_no_dataset(bowl):
    for folder in bowl.iterdir():
        shutil.rmtree(folder / "masks")
    with pytest.raises(
        ValueError, match=r"stage1_train: the 2 folders have images and no masks, as test images do"
    ):
        load_dataset(bowl)


def test_an_image_without_objects_has_an_empty_folder_of_masks(bowl):
    shutil.rmtree(bowl / "81bc" / "masks")
    with pytest.raises(
        ValueError, match=r"81bc: it has no folder masks; without objects, that must be empty"
    ):
        load_dataset(bowl)
    (bowl / "81bc" / "masks").mkdir()
    assert [len(record.boxes) for record in load_dataset(bowl)[0]] == [2, 0]


def test_each_folder_has_one_image(bowl):
    save(bowl / "3f2a" / "images" / "other.png", mask(0, 0, 1))
    with pytest.raises(ValueError, match=r"3f2a.images: there must be one image here; got 2"):
        load_dataset(bowl)
    shutil.rmtree(bowl / "3f2a" / "images")
    with pytest.raises(
        ValueError, match=r"3f2a: it has no folder images, and no folder of all images is given"
    ):
        load_dataset(bowl)
    problems = []
    assert len(load_dataset(bowl, problems=problems)[0]) == len(problems) == 1


@pytest.mark.parametrize(
    ("pixels", "reason"),
    [
        (mask(2, 3, 5)[:-1], r"3f2a/masks/0\.png: its mask is 60 x 39 \(width x height\), its image 60 x 40"),
        (
            mask(2, 3, 5) | mask(30, 3, 5, 100),
            r"3f2a/masks/0\.png: a mask of one object has 0 and one other value",
        ),
    ],
)
def test_a_broken_mask_is_named(bowl, pixels, reason):
    save(bowl / "3f2a" / "masks" / "0.png", pixels)
    with pytest.raises(ValueError, match=reason):
        load_dataset(bowl)
    problems = []
    records, _ = load_dataset(bowl, problems=problems)
    assert len(problems) == 1 and [len(record.boxes) for record in records] == [1, 1]


def test_an_empty_mask_is_left_out_and_named(bowl):
    save(bowl / "3f2a" / "masks" / "0.png", mask(0, 0, 0))
    records, names = load_dataset(bowl)
    assert records.report.unusable == {"an empty mask": ["3f2a/masks/0.png"]}
    assert told(records, names, "left out") == "left out for having an empty mask: 3f2a/masks/0.png"


def test_masks_that_overlap_are_read_and_told(bowl):
    save(bowl / "3f2a" / "masks" / "1.png", mask(4, 5, 7))  # 3 x 3 pixels of the other, too
    records, names = load_dataset(bowl)
    assert [len(record.boxes) for record in records] == [2, 1]
    reason = told(records, names, "masks overlap others")
    assert reason.startswith("masks overlap others of their image in 1 file, by 9 pixels in all: ")
    assert reason.endswith("3f2a/masks/1.png")


def test_the_images_may_be_named_as_well(bowl):
    assert len(load_masks(bowl, bowl)[0]) == 2


@pytest.mark.parametrize("name", ["masks", "labels"])
def test_a_dataset_of_images_and_masks_side_by_side_is_found_by_its_folder(tmp_path, name):
    masks, _ = write_label_images(tmp_path / "nuclei")
    masks.rename(masks.with_name(name))
    assert len(load_dataset(tmp_path / "nuclei")[0]) == 4
    with pytest.raises(ValueError, match=r"masks annotations need the folder of their images \(--images\)"):
        load_dataset(tmp_path / "nuclei" / name)
    with pytest.raises(ValueError, match="label images need the folder of their images"):
        load_masks(tmp_path / "nuclei" / name)


def test_classes_are_told_by_folders_and_options_as_without_images(tmp_path):
    root, _ = write_bowl_folders(tmp_path)
    assert load_dataset(root, class_key="folder")[1] == ["bolt", "nut", "washer"]
