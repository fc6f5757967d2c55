"""Bad COCO files are refused by file, image, annotation and reason, or their problems are collected."""

import copy
import re

import numpy as np
import pytest
from coco_files import HEIGHT, WIDTH, annotation, content, load, with_images, with_points
from PIL import Image

from keras_maskrcnn.data.formats.coco import load_coco


@pytest.fixture
def folder(tmp_path):
    return with_images(tmp_path)


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


BROKEN = {
    "unknown category": ({"category_id": 6}, "category_id 6"),
    "unknown image": ({"image_id": 99}, "image_id 99"),
    "negative width": ({"bbox": [10, 5, -3, 4]}, "negative"),
    "infinite bbox": ({"bbox": [10, 5, float("inf"), 4]}, "finite"),
    "nan bbox": ({"bbox": [float("nan"), 5, 3, 4]}, "finite"),
    "no bbox and no mask": ({"bbox": ..., "segmentation": []}, "bbox"),
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


def compressed(runs):
    """Runs as COCO compresses them: in base 32, from the fourth on as differences to the run two before."""
    text = ""
    for place, run in enumerate(runs):
        value = run - runs[place - 2] if place > 2 else run
        more = True
        while more:
            digit, value = value & 31, value >> 5
            more = value != (-1 if digit & 16 else 0)
            text += chr(48 + digit + 32 * more)
    return text


def test_runs_whose_sum_wraps_to_that_of_the_image_are_refused(folder):
    pixels = HEIGHT * WIDTH
    good = {"size": [HEIGHT, WIDTH], "counts": compressed([HEIGHT * 10, 30, pixels - HEIGHT * 10 - 30])}
    assert load(folder, content(annotation(segmentation=good, bbox=..., area=...)))[0][0].areas.tolist() == [
        30
    ]
    wrapping = {"size": [HEIGHT, WIDTH], "counts": compressed([2**58] * 64 + [pixels])}
    with pytest.raises(ValueError, match=r"fill .* pixels; its image has 40 x 60"):
        load(folder, content(annotation(segmentation=wrapping)))


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
        (content(images=[{"id": 7, "height": HEIGHT, "width": WIDTH}]), "file_name"),
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
