"""Roboflow's COCO export as it is: a folder per split with its images and _annotations.coco.json."""

import json
from pathlib import Path

import numpy as np
import pytest
from dataset_files import write_roboflow
from made_images import CLASSES, made_images
from written import masks_of

from keras_maskrcnn.data.formats.coco import load_coco
from keras_maskrcnn.data.formats.detect import checked_format
from keras_maskrcnn.data.formats.load import load_dataset


@pytest.mark.parametrize("given", ["folder", "file"])
@pytest.mark.parametrize("load", [load_dataset, load_coco])
def test_a_split_is_read_by_its_folder_or_its_file(tmp_path, given, load):
    split, _ = write_roboflow(tmp_path)
    records, names = load(split if given == "folder" else split / "_annotations.coco.json")
    assert names == CLASSES  # without the group that is category 0
    assert records.report.category_ids == [1, 2, 3] and records.report.unusable == {}
    assert "supercategories without objects: parts" in str(records.report)
    for record, made in zip(records, made_images(), strict=True):
        assert ".rf." in record.image and Path(record.image).is_file()
        for mask, shape in zip(masks_of(record), made.shapes, strict=True):
            assert (mask & shape.mask()).sum() / (mask | shape.mask()).sum() >= 0.98
    assert np.concatenate([record.class_ids for record in records]).tolist() == [
        1 + CLASSES.index(shape.class_name) for made in made_images() for shape in made.shapes
    ]


def test_areas_of_boxes_and_a_group_of_the_name_of_its_only_class_do_no_harm(tmp_path):
    split, _ = write_roboflow(tmp_path)
    file = split / "_annotations.coco.json"
    content = json.loads(file.read_text())
    content["categories"] = [
        {"id": 0, "name": "bolt", "supercategory": "none"},
        {"id": 1, "name": "bolt", "supercategory": "bolt"},
    ]
    for row in content["annotations"]:
        row["category_id"] = 1
    file.write_text(json.dumps(content))
    records, names = load_dataset(split)
    assert names == ["bolt"] and records.report.category_ids == [1]


def test_the_command_line_needs_no_folder_of_images_for_it(tmp_path):
    split, _ = write_roboflow(tmp_path)
    assert checked_format(split).name == checked_format(split / "_annotations.coco.json").name == "coco"
    (split / "_annotations.coco.json").rename(split / "other.json")
    with pytest.raises(ValueError, match=r"other\.json, and may be|other\.json is coco, and may be"):
        checked_format(split)
    with pytest.raises(ValueError, match="coco annotations need the folder of their images"):
        checked_format(split / "other.json")


def test_a_missing_image_is_named(tmp_path):
    split, _ = write_roboflow(tmp_path)
    next(split.glob("*.png")).unlink()
    with pytest.raises(ValueError, match=r"_annotations\.coco\.json: .*\.rf\..*there is no such image"):
        load_coco(split)
