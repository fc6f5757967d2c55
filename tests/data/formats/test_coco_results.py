"""COCO results as pseudo-labels."""

import json
import re
import shutil

import numpy as np
import pytest
from PIL import Image

from keras_maskrcnn.data.formats.coco_results import load_coco_results
from keras_maskrcnn.masks.rle import mask_to_rle, rle_to_mask

HEIGHT, WIDTH = 40, 60


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "images").mkdir()
    for name in ("a.png", "b.png"):
        Image.fromarray(np.zeros((HEIGHT, WIDTH, 3), np.uint8)).save(tmp_path / "images" / name)
    return tmp_path


def square():
    mask = np.zeros((HEIGHT, WIDTH), bool)
    mask[5:15, 10:20] = True
    return mask


def result(**changes):
    row = {
        "image_id": 7,
        "category_id": 9,
        "bbox": [10, 5, 10, 10],
        "segmentation": mask_to_rle(square()),
        "score": 0.9,
        "file_name": "elsewhere/a.png",
        "category_name": "nut",
    }
    return {key: value for key, value in {**row, **changes}.items() if value is not ...}


def load(folder, *results, **options):
    (folder / "results.json").write_text(json.dumps(list(results)))
    return load_coco_results(folder / "results.json", folder / "images", **options)


def annotation_file(folder):
    content = {
        "images": [{"id": 7, "file_name": "b.png", "height": HEIGHT, "width": WIDTH}],
        "categories": [{"id": 9, "name": "nut"}, {"id": 4, "name": "bolt"}],
        "annotations": [{"anything": "of before"}],
    }
    (folder / "annotations.json").write_text(json.dumps(content))
    return folder / "annotations.json"


def test_detections_that_name_their_files_need_no_annotations(folder):
    records, names = load(folder, result(), result(category_name="bolt", file_name="b.png"))
    assert names == ["bolt", "nut"] and [record.class_ids.tolist() for record in records] == [[2], [1]]
    assert records[0].image == str(folder / "images" / "a.png")
    np.testing.assert_array_equal(records[0].boxes, [[10, 5, 20, 15]])
    np.testing.assert_array_equal(rle_to_mask(records[0].masks[0]), square())
    assert records[0].areas.tolist() == [100]


def test_an_annotation_file_says_what_the_ids_mean(folder):
    records, names = load(folder, result(file_name=...), annotation_file=annotation_file(folder))
    assert names == ["bolt", "nut"] and records.report.category_ids == [4, 9]
    assert len(records) == 1 and records[0].image_id == 7 and records[0].class_ids.tolist() == [2]
    assert records[0].image == str(folder / "images" / "b.png")


def test_low_scores_are_left_out_and_counted(folder):
    records, _ = load(folder, result(), result(score=0.49), result(score=0.5))
    assert [len(record.boxes) for record in records] == [2, 0]
    assert "1 detections score less than 0.5 and are left out" in str(records.report)
    assert len(load(folder, result(score=0.2), score_threshold=0.1)[0][0].boxes) == 1


def test_the_box_of_a_mask_alone_is_its_extent(folder):
    records, _ = load(folder, result(bbox=...))
    np.testing.assert_array_equal(records[0].boxes, [[10, 5, 20, 15]])


def test_found_keypoints_count_as_visible(folder):
    records, _ = load(folder, result(keypoints=[11, 6, 0.7, 12, 7, 3.1]))
    np.testing.assert_array_equal(records[0].keypoints, [[[11, 6, 2], [12, 7, 2]]])


def two_of_one_name():
    return result(file_name="/data/s1/a.png", image_id=1), result(file_name="/data/s2/a.png", image_id=2)


def test_images_of_one_name_are_told_apart_by_their_folders(folder):
    for name in ("s1", "s2"):
        (folder / "images" / name).mkdir()
        shutil.copy(folder / "images" / "a.png", folder / "images" / name)
    records, _ = load(folder, *two_of_one_name())
    found = {record.image: len(record.boxes) for record in records}
    places = {"a.png": 0, "b.png": 0, "s1/a.png": 1, "s2/a.png": 1}
    assert found == {str(folder / "images" / name): count for name, count in places.items()}


def test_detections_of_several_images_never_land_on_one(folder):
    with pytest.raises(
        ValueError, match=r"/data/s1/a.png \(image_id 1\) and of /data/s2/a.png .* one image, a.png"
    ):
        load(folder, *two_of_one_name())
    with pytest.raises(ValueError, match=r"a.png \(image_id 1\) and of a.png \(image_id 2\) all lead to one"):
        load(folder, *(result(file_name="a.png", image_id=number) for number in (1, 2)))
    records, _ = load(folder, *two_of_one_name(), result(file_name="b.png"), problems=[])
    assert [len(record.boxes) for record in records] == [0, 1]


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"score": ...}, '"score" must be a number'),
        ({"score": "high"}, '"score" must be a number'),
        ({"file_name": "c.png"}, "there is no image c.png among the images"),
        ({"bbox": [1, 2, 3]}, '"bbox" must be four'),
        ({"segmentation": mask_to_rle(square()[:-1])}, "does not fit its image"),
        ({"bbox": ..., "segmentation": {"size": [1]}}, '"size" and "counts"'),
    ],
)
def test_a_broken_detection_is_named_and_left_out(folder, changes, reason):
    with pytest.raises(ValueError, match=f"results.json: detection 1: .*{reason}"):
        load(folder, result(), result(**changes))
    problems = []
    records, _ = load(folder, result(), result(**changes), problems=problems)
    assert len(problems) == 1 and re.search(reason, problems[0])
    assert [len(record.boxes) for record in records] == [1, 0]


def test_files_of_another_kind_are_named(folder):
    (folder / "results.json").write_text('{"images": []}')
    with pytest.raises(ValueError, match=r"results.json: these are no COCO results"):
        load_coco_results(folder / "results.json", folder / "images")
    with pytest.raises(ValueError, match="detection 0 has no file_name and category_name"):
        load(folder, result(file_name=...))
    with pytest.raises(ValueError, match=r"results.json: .*list, as COCO results are"):
        load(folder, result(), annotation_file=folder / "results.json")
    with pytest.raises(FileNotFoundError, match="nowhere: there is no such folder"):
        load_coco_results(folder / "results.json", folder / "nowhere")
    with pytest.raises(ValueError, match=r"results.json: there are no detections in it"):
        load(folder)


def test_the_wrong_folder_of_images_is_said_whatever_the_scores(folder):
    (folder / "others").mkdir()
    shutil.copy(folder / "images" / "b.png", folder / "others")
    (folder / "results.json").write_text(json.dumps([result(score=0.1), result(file_name="c.png")]))
    with pytest.raises(
        ValueError, match=r"none of the 2 images of the detections is in .*others: elsewhere/a.png"
    ):
        load_coco_results(folder / "results.json", folder / "others")


def test_a_box_has_its_own_score_where_the_other_is_its_masks(folder):
    row = result(score=0.2, box_score=0.9)
    assert [len(record.boxes) for record in load(folder, row)[0]] == [0, 0]
    assert [len(record.boxes) for record in load(folder, row, masks=False)[0]] == [1, 0]
    with pytest.raises(ValueError, match='"score" must be a number'):
        load(folder, result(box_score="high"), masks=False)


@pytest.mark.parametrize("image_id", ["b", "b.png", "images/b.png", "7", 7.0])
def test_images_may_be_named_instead_of_numbered(folder, image_id):
    records, _ = load(
        folder, result(image_id=image_id, file_name=...), annotation_file=annotation_file(folder)
    )
    assert [(record.image_id, len(record.boxes)) for record in records] == [(7, 1)]


def test_names_come_before_ids_that_count_otherwise(folder):
    """`maskrcnn predict` numbers images and classes by itself."""
    rows = annotation_file(folder)
    row = result(image_id=1, category_id=1, file_name="elsewhere/b.png", category_name="nut")
    records, names = load(folder, row, annotation_file=rows)
    assert records[0].class_ids.tolist() == [names.index("nut") + 1]
    said = str(records.report)
    assert (
        "1 detection by the names of their files" in said
        and "1 detection by the names of their classes" in said
    )
    assert "by the names" not in str(load(folder, result(file_name="b.png"), annotation_file=rows)[0].report)


def test_a_name_of_several_images_means_none(folder):
    path = annotation_file(folder)
    content = json.loads(path.read_text())
    content["images"].append({"id": 8, "file_name": "../b.png", "height": HEIGHT, "width": WIDTH})
    path.write_text(json.dumps(content))
    with pytest.raises(ValueError, match="no image has its image_id 'b'"):
        load(folder, result(image_id="b", file_name=...), annotation_file=path, check_images=False)
