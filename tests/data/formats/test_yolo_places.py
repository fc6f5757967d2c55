"""Where YOLO's labels are when something else of the dataset is named."""

import numpy as np
import pytest
from PIL import Image

from keras_maskrcnn.data.formats.detect import find_format
from keras_maskrcnn.data.formats.load import load_dataset


@pytest.fixture
def root(tmp_path):
    for split in ("train", "val"):
        for kind in ("images", "labels"):
            (tmp_path / kind / split).mkdir(parents=True)
        Image.fromarray(np.zeros((40, 60, 3), np.uint8)).save(tmp_path / "images" / split / "a.png")
        (tmp_path / "labels" / split / "a.txt").write_text("0 0.5 0.25 0.75 0.25 0.75 0.5")
    (tmp_path / "data.yaml").write_text("path: .\ntrain: images/train\nval: images/val\nnames: [nut]\n")
    return tmp_path


def test_the_folder_of_the_images_stands_for_that_of_the_labels(root):
    assert find_format(root / "images" / "val").name == "yolo"
    records, names = load_dataset(root / "images" / "val")
    assert (
        names == ["nut"]
        and records[0].image == str(root / "images" / "val" / "a.png")
        and len(records[0].boxes) == 1
    )


def test_images_without_labels_beside_them_are_those_of_another_format(root):
    (root / "labels" / "val" / "a.txt").unlink()
    assert find_format(root / "images" / "val").name == "masks"


@pytest.mark.parametrize("text", ["", "path: ..\n"])
def test_data_yaml_says_which_folders_are_meant(root, text):
    (root / "data.yaml").write_text(
        f"{text}train: images/train\nval: images/val\ntest: images/gone\nnames: [nut]\n"
    )
    with pytest.raises(ValueError, match=r"data\.yaml: annotations are the folder of the labels") as refused:
        load_dataset(root / "data.yaml")
    assert ("labels/train, val: " in str(refused.value)) == (not text) and "gone" not in str(refused.value)


def test_datasets_with_images_and_labels_in_each_split_are_pointed_to_as_well(root):
    """As Roboflow exports them."""
    for kind in ("images", "labels"):
        (root / "train" / kind).mkdir(parents=True)
    (root / "data.yaml").write_text("train: train/images\nnames: [nut]\n")
    with pytest.raises(ValueError, match=r"train: .*train/labels"):
        load_dataset(root / "data.yaml")


def test_a_broken_yaml_is_named(root):
    (root / "data.yaml").write_text("train: [")
    with pytest.raises(ValueError, match=r"data\.yaml: .*no valid YAML"):
        load_dataset(root / "data.yaml")
