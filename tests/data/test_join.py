"""Several datasets as one: classes by name, images numbered, and what may be doubted told."""

import json
import logging

import numpy as np
import pytest
from PIL import Image

from keras_maskrcnn.data.formats.coco import load_coco
from keras_maskrcnn.data.formats.coco_writer import write_coco
from keras_maskrcnn.data.join import join_datasets
from keras_maskrcnn.data.records import make_record


def record(class_ids, image_id=1, **fields):
    boxes = [[2, 2, 10, 10]] * len(class_ids)
    return make_record(
        np.zeros((20, 30, 3), np.uint8), boxes=boxes, class_ids=class_ids, image_id=image_id, **fields
    )


def coco_file(folder, names, category_ids, file_name="a.png"):
    """One image with one object of each category, all files with the same ids."""
    folder.mkdir(parents=True)
    Image.fromarray(np.zeros((20, 30, 3), np.uint8)).save(folder / file_name)
    content = {
        "images": [{"id": 1, "file_name": file_name, "height": 20, "width": 30}],
        "annotations": [
            {"id": number, "image_id": 1, "category_id": category, "bbox": [2, 2, 10, 10]}
            for number, category in enumerate(category_ids, start=1)
        ],
        "categories": [{"id": n, "name": name} for n, name in zip(category_ids, names, strict=True)],
    }
    (folder / "coco.json").write_text(json.dumps(content))
    return folder / "coco.json"


def test_coco_files_with_the_same_ids_are_one_dataset(tmp_path):
    one = coco_file(tmp_path / "one", ["nut", "bolt"], [1, 2])
    two = coco_file(tmp_path / "two", ["washer", "nut"], [1, 2])
    records, names = join_datasets([load_coco(one), load_coco(two)])
    assert names == ["nut", "bolt", "washer"] == list(records.class_names)
    assert [one.class_ids.tolist() for one in records] == [[1, 2], [3, 1]]
    assert [one.image_id for one in records] == [1, 2]
    assert all(one.class_names == ("nut", "bolt", "washer") for one in records)
    assert records.report.images == 2 and records.report.objects == 4
    write_coco(tmp_path / "both.json", records, names)
    again, _ = load_coco(tmp_path / "both.json")
    assert [one.class_ids.tolist() for one in again] == [[1, 2], [3, 1]]


def test_class_names_set_the_order_and_must_have_all_of_them():
    datasets = [([record([1])], ["nut"]), ([record([1])], ["bolt"])]
    records, names = join_datasets(datasets, class_names=["bolt", "nut", "gear"])
    assert names == ["bolt", "nut", "gear"] and [one.class_ids.tolist() for one in records] == [[2], [1]]
    assert records.report.category_ids == [1, 2, 3]
    with pytest.raises(ValueError, match="dataset 2: its classes bolt are not among the class_names nut"):
        join_datasets(datasets, class_names=["nut"])
    with pytest.raises(ValueError, match="a name twice"):
        join_datasets(datasets, class_names=["nut", "nut", "bolt"])
    with pytest.raises(ValueError, match="no datasets"):
        join_datasets([])


def test_what_each_load_left_out_is_in_the_report(tmp_path):
    path = coco_file(tmp_path / "one", ["nut"], [1])
    content = json.loads(path.read_text())
    content["annotations"].append({**content["annotations"][0], "id": 2, "bbox": [40, 2, 5, 5]})
    path.write_text(json.dumps(content))
    problems = []
    records, _ = join_datasets([([record([1])], ["nut"]), load_coco(path, problems=problems)])
    left_out = [one for ids in records.report.unusable.values() for one in ids]
    assert len(left_out) + len(problems) == 1
    assert all(one == "annotation 2 of dataset 2" for one in left_out)


def test_names_that_are_nearly_the_same_and_images_that_are_twice_are_told(tmp_path, caplog):
    path = coco_file(tmp_path / "one", ["nut"], [1])
    other = tmp_path / "one" / "other.json"
    other.write_text(path.read_text().replace('"nut"', '"Nut "'))
    with caplog.at_level(logging.WARNING):
        records, names = join_datasets([load_coco(path), load_coco(other)])
    assert names == ["nut", "Nut "]
    assert records.report.warnings == [
        "classes 'nut' and 'Nut ' are nearly the same name",
        f"1 image in several datasets: {tmp_path / 'one' / 'a.png'}",
    ]
    assert "2 datasets joined: 2 images" in caplog.text


def test_keypoints_must_be_the_same():
    def posed(names, count):
        keypoints = np.full((1, count, 3), 2)
        return [record([1], keypoints=keypoints, keypoint_names=names)], ["person"]

    records, _ = join_datasets([posed(["a", "b"], 2), ([record([1])], ["person"]), posed(None, 2)])
    assert records.keypoint_names == ("a", "b")
    with pytest.raises(ValueError, match="dataset 2: image 1 has 1 keypoints, others before it 2"):
        join_datasets([posed(["a", "b"], 2), posed(["a"], 1)])
    with pytest.raises(ValueError, match="dataset 2: image 1 has the keypoints b, a, others before it a, b"):
        join_datasets([posed(["a", "b"], 2), posed(["b", "a"], 2)])
