"""What is written as CVAT's XML comes back equal, and other readers of the format find the same in it."""

from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest
from cvat_files import HEIGHT, WIDTH, masks_of
from dataset_files import WRITERS
from PIL import Image

from keras_maskrcnn.data.formats.cvat import load_cvat
from keras_maskrcnn.data.formats.cvat_writer import write_cvat
from keras_maskrcnn.data.formats.load import load_dataset
from keras_maskrcnn.data.records import make_record

CLASSES = ["bolt", "nut"]
POINTS = ("nose", "tail")


@pytest.fixture
def picture(tmp_path):
    path = tmp_path / "day 1" / "ä&<b>.png"
    path.parent.mkdir()
    Image.fromarray(np.full((HEIGHT, WIDTH, 3), 7, np.uint8)).save(path)
    return path


def blobs():
    """Four masks: one with a hole and two parts, a full one, one pixel, noise."""
    masks = np.zeros((4, HEIGHT, WIDTH), bool)
    masks[0, 5:15, 5:15], masks[0, 8:10, 8:10], masks[0, 20:22, 30:33] = True, False, True
    masks[1] = True
    masks[2, 39, 59] = True
    masks[3] = np.random.default_rng(0).random((HEIGHT, WIDTH)) < 0.3
    return masks


def written(folder, *records, names=CLASSES, **options):
    path = folder / "out.xml"
    write_cvat(path, records, names, **options)
    return path, ElementTree.parse(path).getroot()


def test_masks_keep_every_pixel_hole_and_part(picture, tmp_path):
    record = make_record(picture, masks=blobs(), class_ids=[1, 2, 1, 2], crowd=[0, 0, 0, 1])
    path, root = written(tmp_path, record)
    assert [shape.tag for shape in root.find("image")] == ["mask"] * 4
    (again,), names = load_cvat(path)
    assert names == CLASSES and Path(again.image) == picture
    np.testing.assert_array_equal(masks_of(again), blobs())
    for field in ("boxes", "class_ids", "crowd", "areas"):
        np.testing.assert_array_equal(getattr(again, field), getattr(record, field))


def test_masks_are_those_that_cvats_own_library_reads(picture, tmp_path):
    cvat = pytest.importorskip("cvat_sdk.masks", reason="cvat-sdk[masks] is not installed")
    record = make_record(picture, masks=blobs(), class_ids=[1, 2, 1, 2])
    for shape, mask in zip(written(tmp_path, record)[1].find("image"), blobs(), strict=True):
        left, top, width, height = (int(shape.get(key)) for key in ("left", "top", "width", "height"))
        points = [*map(int, shape.get("rle").split(",")), left, top, left + width - 1, top + height - 1]
        assert points == cvat.encode_mask(mask)  # which CVAT's importer makes of the element
        np.testing.assert_array_equal(cvat.decode_mask(points, image_width=WIDTH, image_height=HEIGHT), mask)


def test_polygons_stay_polygons_and_several_are_a_group(picture, tmp_path):
    one = [[10.125, 5, 30, 5, 30, 35]]
    two = [[1, 1, 9, 1, 9, 9], [40, 20, 50, 20, 50, 30]]
    record = make_record(picture, masks=[one, two, two], class_ids=[1, 2, 2])
    path, root = written(tmp_path, record)
    assert [shape.get("group_id") for shape in root.iter("polygon")] == [None, "1", "1", "2", "2"]
    (again,), _ = load_cvat(path)
    assert list(again.masks) == [one, two, two]
    np.testing.assert_array_equal(again.boxes, record.boxes)


def test_boxes_alone_are_boxes(picture, tmp_path):
    record = make_record(picture, boxes=[[1.5, 2, 30.25, 40]], class_ids=[2])
    path, root = written(tmp_path, record)
    assert root.find("image/box").attrib.items() >= {"xtl": "1.5", "ybr": "40", "label": "nut"}.items()
    (again,), _ = load_cvat(path, masks=False)
    np.testing.assert_array_equal(again.boxes, record.boxes)
    assert again.masks is None


def test_keypoints_are_skeletons_in_one_group_with_the_mask(picture, tmp_path):
    points = [[[10.5, 8, 2], [12, 9, 1]], [[0, 0, 0], [3, 4, 2]], np.zeros((2, 3)), np.zeros((2, 3))]
    record = make_record(
        picture, masks=blobs(), class_ids=[1, 1, 1, 2], keypoints=points, keypoint_names=POINTS
    )
    path, root = written(tmp_path, record)
    shapes = root.find("image")
    assert [shape.tag for shape in shapes] == ["mask", "skeleton", "mask", "skeleton", "mask", "mask"]
    assert [shape.get("label") for shape in shapes] == [*["bolt mask", "bolt"] * 2, "bolt mask", "nut"]
    assert [shape.get("group_id") for shape in shapes] == ["1", "1", "2", "2", None, None]
    labels = {one.findtext("name"): one for one in root.iter("label")}
    assert list(labels) == ["bolt", "nose", "tail", "bolt mask", "nut"]
    assert labels["bolt"].findtext("type") == "skeleton" and labels["nose"].findtext("parent") == "bolt"
    (again,), names = load_cvat(path)
    assert names == CLASSES and again.keypoint_names == POINTS
    np.testing.assert_array_equal(again.keypoints, record.keypoints)
    np.testing.assert_array_equal(again.class_ids, record.class_ids)
    np.testing.assert_array_equal(masks_of(again), blobs())


def test_points_of_a_skeleton_say_all_that_cvat_asks_of_them(picture, tmp_path):
    points = [[[10.5, 8, 1], [0, 0, 0]]]
    record = make_record(
        picture, boxes=[[10, 20, 30, 40]], class_ids=[1], keypoints=points, keypoint_names=POINTS
    )
    first, second = written(tmp_path, record)[1].iter("points")
    assert (
        first.attrib.items() >= {"label": "nose", "outside": "0", "occluded": "1", "points": "10.5,8"}.items()
    )
    assert second.attrib.items() >= {"label": "tail", "outside": "1", "points": "20,30"}.items()


def test_scores_are_an_attribute_of_each_shape(picture, tmp_path):
    record = make_record(picture, masks=blobs()[:2], class_ids=[1, 2], crowd=[0, 1])
    path, root = written(tmp_path, record, record_of("other.png"), scores=[np.float32([0.9, 0.25]), None])
    values = [{one.get("name"): one.text for one in shape} for shape in root.find("image")]
    assert values == [{"score": "0.9"}, {"score": "0.25", "is_crowd": "true"}]
    listed = [one.findtext("name") for one in root.find("meta/task/labels/label/attributes")]
    assert listed == ["score", "is_crowd"]
    assert len(load_cvat(path, problems=[])[0][0].boxes) == 2


def record_of(name):
    return make_record(np.zeros((HEIGHT, WIDTH), np.uint8), boxes=[], image_id=name)


def test_images_without_a_file_are_called_by_their_id_and_empty_ones_are_kept(tmp_path):
    _, root = written(tmp_path, record_of("a.png"), record_of("b.png"))
    assert [one.get("name") for one in root.iter("image")] == ["a.png", "b.png"]
    assert root.find("image").attrib.items() >= {"id": "0", "width": "60", "height": "40"}.items()


def test_names_are_relative_to_the_folder_that_is_said(picture, tmp_path):
    record = make_record(picture, boxes=[], class_ids=[])
    names = [
        written(tmp_path, record, **options)[1].find("image").get("name")
        for options in ({}, {"image_folder": picture.parent})
    ]
    assert names == ["day 1/ä&<b>.png", "ä&<b>.png"]


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"scores": [None]}, "scores must be one array for each record; got 1 for 2"),
        (
            {"scores": [None, np.zeros(3)]},
            r"image 'b.png': scores must be \[0\], one for each object; got \(3,\)",
        ),
        ({"image_folder": "nowhere"}, "nowhere: there is no such folder"),
        ({"names": ["b\0lt"]}, r"XML cannot hold the name 'b\\x00lt'"),
    ],
)
def test_what_cannot_be_written_is_named_and_leaves_the_file_as_it_was(tmp_path, change, reason):
    (tmp_path / "out.xml").write_text("before")
    with pytest.raises((ValueError, FileNotFoundError), match=reason):
        written(tmp_path, record_of("a.png"), record_of("b.png"), **change)
    assert (tmp_path / "out.xml").read_text() == "before"


def test_images_of_one_name_and_labels_that_are_taken_are_named(picture, tmp_path):
    with pytest.raises(ValueError, match=r"another image is called a.png too"):
        written(tmp_path, record_of("a.png"), record_of("a.png"))
    one = {"boxes": [[1, 1, 9, 9]], "class_ids": [1], "keypoints": [[[1, 1, 2], [2, 2, 2]]]}
    record = make_record(picture, **one, keypoint_names=POINTS)
    with pytest.raises(ValueError, match="so its masks are labelled 'bolt mask', which is a class"):
        written(tmp_path, record, names=["bolt", "bolt mask"])
    other = make_record(np.zeros((HEIGHT, WIDTH), np.uint8), **one, keypoint_names=("a", "b"), image_id="o")
    with pytest.raises(ValueError, match=r"'o'.*object 0: its keypoints are called otherwise .*: a, b"):
        written(tmp_path, record, other)


@pytest.mark.parametrize("name", WRITERS)
def test_every_format_comes_back_equal_from_cvat(tmp_path, name):
    annotations, images = WRITERS[name](tmp_path / "there")
    records, names = load_dataset(annotations, images)
    if name == "labelme":  # an image that is in its JSON file alone
        records = [record for record in records if not record.image.endswith(".json")]
    path = tmp_path / "annotations.xml"
    write_cvat(path, records, names)
    again, names_again = load_cvat(path)
    assert names_again == names and len(again) == len(records)
    for one, other in zip(records, again, strict=True):
        np.testing.assert_array_equal(one.class_ids, other.class_ids)
        np.testing.assert_array_equal(masks_of(one), masks_of(other))
        np.testing.assert_allclose(
            one.boxes, other.boxes, atol=1 + 1e-5
        )  # around the pixels, where it is a mask


def test_datumaro_finds_the_same_masks(picture, tmp_path):
    """Skeletons, groups of polygons and crowds aside, of which its reader of this format knows nothing."""
    datumaro = pytest.importorskip("datumaro", reason="datumaro is not installed")
    picture.parent.rename(tmp_path / "images")  # where alone it looks
    image = tmp_path / "images" / picture.name
    square = [[10.5, 5, 30, 5, 30, 35]]
    for record, kind in (
        (make_record(image, masks=blobs(), class_ids=[1, 2, 1, 2]), "mask"),
        (make_record(image, masks=[square], class_ids=[2]), "polygon"),
        (make_record(image, boxes=[[1.5, 2, 30.25, 40]], class_ids=[2]), "bbox"),
    ):
        written(tmp_path, record)
        (item,) = datumaro.Dataset.import_from(str(tmp_path), "cvat")
        assert [one.type.name for one in item.annotations] == [kind] * len(record.boxes)
        assert [one.label + 1 for one in item.annotations] == record.class_ids.tolist()
        if kind == "mask":
            np.testing.assert_array_equal([one.image > 0 for one in item.annotations], blobs())
        else:
            points = record.boxes[0].tolist() if kind == "bbox" else square[0]
            np.testing.assert_allclose(item.annotations[0].points, points)
