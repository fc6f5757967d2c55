"""Pascal VOC's images of objects and classes."""

import re

import numpy as np
import pytest
from PIL import Image

from keras_maskrcnn.data.formats.voc import VOC_CLASSES, load_voc
from keras_maskrcnn.masks.rle import rle_to_mask

HEIGHT, WIDTH = 40, 60


@pytest.fixture
def root(tmp_path):
    for name in ("JPEGImages", "SegmentationObject", "SegmentationClass", "ImageSets/Segmentation"):
        (tmp_path / name).mkdir(parents=True)
    return tmp_path


def write(root, name, objects, classes):
    Image.fromarray(np.zeros((HEIGHT, WIDTH, 3), np.uint8)).save(root / "JPEGImages" / f"{name}.jpg")
    for folder, values in (("SegmentationObject", objects), ("SegmentationClass", classes)):
        image = Image.fromarray(values, "P")
        image.putpalette([200, 100, 50] * 256)
        image.save(root / folder / f"{name}.png")


def squares(*places):
    """An image of squares: (value, x, y, side) each."""
    image = np.zeros((HEIGHT, WIDTH), np.uint8)
    for value, x, y, side in places:
        image[y : y + side, x : x + side] = value
    return image


def write_two(root, name="a"):
    """A cat (8) with a void line around it, and a dog (12)."""
    objects = squares((255, 4, 4, 12), (1, 5, 5, 10), (2, 30, 20, 9))
    classes = squares((255, 4, 4, 12), (8, 5, 5, 10), (12, 30, 20, 9))
    write(root, name, objects, classes)


def test_objects_have_classes_and_the_void_belongs_to_none(root):
    write_two(root)
    records, names = load_voc(root)
    assert tuple(names) == VOC_CLASSES and len(names) == 20
    assert "classes are VOC's 20" in str(records.report)
    assert [names[class_id - 1] for class_id in records[0].class_ids] == ["cat", "dog"]
    np.testing.assert_array_equal(records[0].boxes, [[5, 5, 15, 15], [30, 20, 39, 29]])
    np.testing.assert_array_equal(rle_to_mask(records[0].masks[0]), squares((1, 5, 5, 10)) > 0)


def test_in_sixteen_bits_255_is_an_object_like_others(root):
    write_two(root)
    objects = np.uint16([[1 + x + y * 20 for x in range(20)] for y in range(13)])
    classes = np.full((13, 20), 8, np.uint8)
    write(root, "b", objects.astype(np.uint8), classes)
    Image.fromarray(objects).save(root / "SegmentationObject" / "b.png")
    Image.fromarray(np.zeros((13, 20, 3), np.uint8)).save(root / "JPEGImages" / "b.jpg")
    assert len(load_voc(root)[0][1].boxes) == 260


def test_in_sixteen_bits_the_object_255_may_be_the_last(root):
    objects = np.uint16([[1 + x + y * 17 for x in range(17)] for y in range(15)])
    write(root, "a", objects.astype(np.uint8), np.full((15, 17), 8, np.uint8))
    Image.fromarray(objects).save(root / "SegmentationObject" / "a.png")
    Image.fromarray(np.zeros((15, 17, 3), np.uint8)).save(root / "JPEGImages" / "a.jpg")
    assert len(load_voc(root)[0][0].boxes) == 255


COLORS = {1: (128, 0, 0), 2: (0, 128, 0), 3: (0, 0, 128), 255: (224, 224, 192)}


def colored(values):
    pixels = np.zeros((*values.shape, 3), np.uint8)
    for value, color in COLORS.items():
        pixels[values == value] = color
    return pixels


def write_colored(root, name="a"):
    """A bolt in a void line and a nut, in the colours of objects and of classes."""
    objects = squares((255, 4, 4, 12), (1, 5, 5, 10), (2, 30, 20, 9))
    classes = squares((255, 4, 4, 12), (3, 5, 5, 10), (2, 30, 20, 9))
    write(root, name, objects, classes)
    for folder, values in (("SegmentationObject", objects), ("SegmentationClass", classes)):
        Image.fromarray(colored(values)).save(root / folder / f"{name}.png")


def test_classes_may_be_colours_that_labelmap_txt_names(root):
    write_colored(root)
    (root / "labelmap.txt").write_text(
        "# label:color_rgb:parts:actions\nbackground:0,0,0::\nnut:0,128,0::\nbolt:0,0,128::\n"
    )
    records, names = load_voc(root)
    assert names == ["nut", "bolt"] and "VOC's" not in str(records.report)
    assert [names[one - 1] for one in records[0].class_ids] == [
        "nut",
        "bolt",
    ]  # in the order of the objects' colours
    np.testing.assert_array_equal(records[0].boxes, [[30, 20, 39, 29], [5, 5, 15, 15]])
    (root / "labelmap.txt").write_text("background:::\nnut:0,128,0::\n")
    with pytest.raises(ValueError, match="its colour 0,0,128 in SegmentationClass has no name"):
        load_voc(root)


def test_labelmap_txt_without_colours_names_values(root):
    write(root, "a", squares((1, 5, 5, 10)), squares((2, 5, 5, 10)))
    (root / "labelmap.txt").write_text("background\nnut\nbolt:::\n")
    records, names = load_voc(root)
    assert names == ["nut", "bolt"] and records[0].class_ids.tolist() == [2]


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("background:::", "no classes in it"),
        ("nut:1,2,3::\nbolt:1,2,3::", "colour 1,2,3 of bolt is that of nut"),
        ("nut:0,0,0::", "colour 0,0,0 of nut is that of the background"),
        ("nut:1,2::", "red,green,blue"),
        ("nut:1,2,300::", "red,green,blue"),
        ("nut:1,2,3::\nnut:1,2,4::", "nut occurs twice"),
    ],
)
def test_a_broken_labelmap_is_named(root, text, reason):
    write_two(root)
    (root / "labelmap.txt").write_text(text)
    with pytest.raises(ValueError, match=f"labelmap.txt: .*{reason}"):
        load_voc(root)


def test_images_of_a_split_without_label_images_have_no_objects(root):
    write_two(root)
    for name in ("b", "c"):
        Image.fromarray(np.zeros((HEIGHT, WIDTH, 3), np.uint8)).save(root / "JPEGImages" / f"{name}.jpg")
    (root / "ImageSets" / "Segmentation" / "train.txt").write_text("a\nb\nc\n")
    records, _ = load_voc(root, "train")
    assert [len(record.boxes) for record in records] == [2, 0, 0]
    assert "2 images without label images have no objects" in str(records.report)
    (root / "ImageSets" / "Segmentation" / "train.txt").write_text("a\ngone\n")
    with pytest.raises(ValueError, match=r"JPEGImages.gone\.jpg: there is no such image file"):
        load_voc(root, "train")


def test_a_split_is_a_list_of_images_in_its_order(root):
    for name in ("a", "b", "c"):
        write_two(root, name)
    (root / "ImageSets" / "Segmentation" / "val.txt").write_text("c\na\n\n")
    records, _ = load_voc(root, "val")
    assert [record.image for record in records] == [str(root / "JPEGImages" / f"{name}.jpg") for name in "ca"]
    assert len(load_voc(root)[0]) == 3
    with pytest.raises(FileNotFoundError, match=r"train.txt: there is no such split"):
        load_voc(root, "train")
    (root / "ImageSets" / "Segmentation" / "val.txt").write_text("c\nc\n")
    with pytest.raises(ValueError, match=r"val.txt: c occurs twice"):
        load_voc(root, "val")


def test_own_classes_are_in_class_names_txt(root):
    write(root, "a", squares((1, 5, 5, 10)), squares((2, 5, 5, 10)))
    (root / "class_names.txt").write_text("__ignore__\n_background_\nnut\nbolt\n")
    records, names = load_voc(root)
    assert names == ["nut", "bolt"] and records[0].class_ids.tolist() == [2]
    assert "VOC" not in str(records.report)
    records, names = load_voc(root, class_names=["bolt", "nut"])
    assert names == ["bolt", "nut"] and records[0].class_ids.tolist() == [1]


def test_a_few_pixels_of_another_class_are_no_problem(root):
    classes = squares((8, 5, 5, 10))
    classes[5:7, 5:15] = 255
    classes[7, 5:9] = 12
    write(root, "a", squares((1, 5, 5, 10)), classes)
    records, names = load_voc(root)
    assert names[records[0].class_ids[0] - 1] == "cat"


@pytest.mark.parametrize(
    ("classes", "reason"),
    [
        (squares(), "object 1 of b: most of it must be one class .*the values 0"),
        (squares((255, 5, 5, 10)), "object 1 of b: .*void"),
        (squares((21, 5, 5, 10)), "object 1 of b: its value 21 .*there are 20 classes"),
        (squares((8, 5, 5, 10))[:, :-1], "b: its images of objects and of classes have different sizes"),
    ],
)
def test_a_broken_object_is_named_and_left_out(root, classes, reason):
    write_two(root)
    write(root, "b", squares((1, 5, 5, 10)), classes)
    with pytest.raises(ValueError, match=reason):
        load_voc(root)
    problems = []
    records, _ = load_voc(root, problems=problems)
    assert len(problems) == 1 and re.search(reason, problems[0])
    assert sum(len(record.boxes) for record in records) == 2


def test_missing_files_and_folders_are_named(root, tmp_path):
    write_two(root)
    (root / "SegmentationClass" / "a.png").unlink()
    with pytest.raises(ValueError, match=r"SegmentationClass/a.png: there is no such mask file"):
        load_voc(root)
    write_two(root)
    (root / "JPEGImages" / "a.jpg").unlink()
    with pytest.raises(ValueError, match=r"JPEGImages/a.jpg: there is no such image file"):
        load_voc(root)
    with pytest.raises(FileNotFoundError, match="SegmentationObject: there is no such folder"):
        load_voc(tmp_path / "nowhere")
