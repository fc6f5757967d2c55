"""Instance masks as image files: one label image per image, or a file per object."""

import json
import re
import struct
import zlib

import numpy as np
import pytest
from PIL import Image

from keras_maskrcnn.data.formats.label_images import instances, read_labels
from keras_maskrcnn.data.formats.mask_folders import load_masks
from keras_maskrcnn.masks.rle import rle_to_mask

HEIGHT, WIDTH = 40, 60


@pytest.fixture
def folder(tmp_path):
    for name in ("images", "masks"):
        (tmp_path / name).mkdir()
    for name in ("a", "b"):
        image(tmp_path / "images" / f"{name}.jpg")
    return tmp_path


def image(path):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.zeros((HEIGHT, WIDTH, 3), np.uint8)).save(path)


def save(path, array, mode=None):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(array, mode).save(path)


def labels(*places, dtype=np.uint8):
    """A label image with a square at each (value, x, y, side)."""
    image = np.zeros((HEIGHT, WIDTH), dtype)
    for value, x, y, side in places:
        image[y : y + side, x : x + side] = value
    return image


def load(folder, **options):
    return load_masks(folder / "masks", folder / "images", **options)


def test_each_value_of_a_label_image_is_an_object(folder):
    save(folder / "masks" / "a.png", labels((1, 2, 3, 5), (40000, 20, 10, 7), dtype=np.uint16))
    records, names = load(folder)
    assert names == ["object"]
    np.testing.assert_array_equal(records[0].boxes, [[2, 3, 7, 8], [20, 10, 27, 17]])
    np.testing.assert_array_equal(rle_to_mask(records[0].masks[1]), labels((1, 20, 10, 7)) > 0)
    assert "1 images without annotations are left out" in str(records.report)


def test_a_mask_of_several_pages_is_refused(folder):
    pages = [Image.fromarray(labels((1, 2 + 20 * page, 3, 5))) for page in range(2)]
    pages[0].save(folder / "masks" / "a.tif", save_all=True, append_images=pages[1:])
    with pytest.raises(ValueError, match=r"a\.tif: .*2 pages; a mask has one"):
        load(folder)


def png(path, rows, bits, color):
    """Write a PNG by hand, since Pillow writes no colours of 16 bits; rows are bytes."""

    def chunk(kind, content):
        return (
            struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))
        )

    width = len(rows[0]) * 8 // (bits * {0: 1, 2: 3}[color])
    header = struct.pack(">IIBBBBB", width, len(rows), bits, color, 0, 0, 0)
    data = zlib.compress(b"".join(b"\0" + row for row in rows))
    path.write_bytes(
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", data) + chunk(b"IEND", b"")
    )


def test_gray_values_of_few_bits_are_those_of_the_file(tmp_path):
    png(tmp_path / "two.png", [bytes([0b00011011])], bits=2, color=0)
    assert read_labels(tmp_path / "two.png").tolist() == [[0, 1, 2, 3]]
    png(tmp_path / "four.png", [bytes([0x0F, 0x17])], bits=4, color=0)
    assert read_labels(tmp_path / "four.png").tolist() == [[0, 15, 1, 7]]


def test_colours_of_sixteen_bits_are_refused_since_half_of_them_would_be_lost(tmp_path):
    png(tmp_path / "deep.png", [struct.pack(">6H", 1, 0, 0, 0, 300, 7)], bits=16, color=2)
    with pytest.raises(ValueError, match=r"deep\.png: .*16 bits, of which 8 would be lost"):
        read_labels(tmp_path / "deep.png")


def test_hidden_files_and_folders_are_no_masks(folder):
    save(folder / "masks" / "a" / "1.png", labels((1, 2, 3, 5)))
    save(folder / "masks" / "a" / "._1.png", labels((1, 2, 3, 5)))
    save(folder / "masks" / "a" / ".ipynb_checkpoints" / "1-checkpoint.png", labels((1, 2, 3, 5)))
    save(folder / "masks" / ".ipynb_checkpoints" / "a.png", labels((1, 2, 3, 5)))
    records, names = load(folder)
    assert names == ["object"] and [len(record.boxes) for record in records] == [1]


def test_a_mask_of_one_pixel_and_one_that_fills_the_image_are_objects(folder):
    save(folder / "masks" / "a.png", labels((1, 59, 39, 1)))
    save(folder / "masks" / "b.png", np.full((HEIGHT, WIDTH), 9, np.uint8))
    records, _ = load(folder)
    np.testing.assert_array_equal([record.boxes[0] for record in records], [[59, 39, 60, 40], [0, 0, 60, 40]])


def test_parts_and_holes_of_a_value_are_one_object(folder):
    ring = labels((5, 10, 10, 9), (0, 13, 13, 3), (5, 40, 10, 2))
    save(folder / "masks" / "a.png", ring)
    (record,) = load(folder)[0]
    np.testing.assert_array_equal(rle_to_mask(record.masks[0]), ring == 5)
    np.testing.assert_array_equal(record.boxes, [[10, 10, 42, 19]])


def test_a_mask_without_objects_is_an_image_without_objects(folder):
    save(folder / "masks" / "a.png", labels())
    save(folder / "masks" / "b.png", labels((1, 2, 3, 5)))
    assert [len(record.boxes) for record in load(folder)[0]] == [0, 1]


def test_masks_may_end_in_mask_and_lie_beside_their_images(folder):
    save(folder / "images" / "a_mask.png", labels((1, 2, 3, 5)))
    records, _ = load_masks(folder / "images", folder / "images")
    assert [record.image for record in records] == [str(folder / "images" / "a.jpg")]
    assert "1 images without annotations" in str(records.report) and "b.jpg" in str(records.report)


@pytest.mark.parametrize("ending", ["_mask", "_masks", "_cp_masks"])
def test_known_endings_of_masks_are_left_off(folder, ending):
    save(folder / "masks" / f"a{ending}.png", labels((1, 2, 3, 5)))
    assert load(folder)[0][0].image == str(folder / "images" / "a.jpg")
    save(folder / "images" / f"b{ending}.png", labels((1, 2, 3, 5)))
    assert load_masks(folder / "images", folder / "images")[0][0].image == str(folder / "images" / "b.jpg")


def test_another_ending_may_be_given(folder):
    save(folder / "masks" / "a-labels.png", labels((1, 2, 3, 5)))
    with pytest.raises(
        ValueError, match=r"a-labels: there is no image .*_mask, _masks, _cp_masks or mask_suffix"
    ):
        load(folder)
    assert len(load(folder, mask_suffix="-labels")[0]) == 1
    save(folder / "masks" / "b.png", labels((1, 2, 3, 5)))
    with pytest.raises(ValueError, match=r"b\.png: its name does not end in -labels"):
        load(folder, mask_suffix="-labels")
    assert len(load(folder, mask_suffix="", problems=[])[0]) == 1


def test_folders_of_masks_have_no_endings(folder):
    save(folder / "masks" / "a" / "1.png", labels((1, 2, 3, 5)))
    with pytest.raises(ValueError, match="mask_suffix is for label images"):
        load(folder, mask_suffix="_x")


@pytest.mark.parametrize(
    "classes", [{1: "cat", 2: "dog"}, {"a": {"1": "cat", "2": "dog"}}, {"a.jpg": {1: "cat", 2: "dog"}}]
)
def test_values_have_classes_for_all_images_or_by_image(folder, classes):
    save(folder / "masks" / "a.png", labels((2, 2, 3, 5), (1, 20, 10, 7)))
    records, names = load(folder, classes=classes)
    assert names == ["cat", "dog"] and records[0].class_ids.tolist() == [1, 2]
    (folder / "masks" / "classes.json").write_text(json.dumps(classes))
    assert load(folder)[0][0].class_ids.tolist() == [1, 2]
    with pytest.raises(ValueError, match=r"value 2 of a.png: classes has no name for it"):
        load(folder, classes={1: "cat"})


def test_each_file_in_an_images_folder_is_an_object(folder):
    save(folder / "masks" / "a" / "0.png", labels((255, 2, 3, 5)))
    save(folder / "masks" / "a" / "1.png", labels((1, 20, 10, 7)))
    (folder / "masks" / "b").mkdir()
    records, names = load(folder, class_names=["nucleus"])
    assert names == ["nucleus"] and [len(record.boxes) for record in records] == [2, 0]
    np.testing.assert_array_equal(records[0].boxes, [[2, 3, 7, 8], [20, 10, 27, 17]])


def test_classes_of_mask_files_come_from_their_folder_or_name(folder):
    for name in ("a/cat_1.png", "a/cat 2.png", "a/big dog.png"):
        save(folder / "masks" / name, labels((1, 2, 3, 5)))
    records, names = load(folder, class_key="file")
    assert names == ["big dog", "cat"] and records[0].class_ids.tolist() == [1, 2, 2]
    with pytest.raises(ValueError, match=r"a/big dog.png: it is in no folder of its class"):
        load(folder, class_key="folder")
    save(folder / "masks" / "b" / "cat" / "1.png", labels((1, 2, 3, 5)))
    records, names = load(folder)
    assert names == ["cat", "object"] and [record.class_ids.tolist() for record in records] == [
        [2, 2, 2],
        [1],
    ]


def test_the_layout_of_the_nuclei_of_the_data_science_bowl_is_read(tmp_path):
    image(tmp_path / "3f2a" / "images" / "3f2a.png")
    save(tmp_path / "3f2a" / "masks" / "81bc.png", labels((255, 2, 3, 5)))
    records, _ = load_masks(tmp_path, tmp_path)
    assert records[0].image == str(tmp_path / "3f2a" / "images" / "3f2a.png") and len(records[0].boxes) == 1


@pytest.mark.parametrize(
    ("name", "array", "reason"),
    [
        (
            "b.png",
            labels((1, 2, 3, 5))[:, :-1],
            r"b\.jpg: the image is 60 x 40 .*annotated as 59 x 40",
        ),
        ("gone.png", labels((1, 2, 3, 5)), "gone: there is no image of this name"),
        ("b.jpg", labels((1, 2, 3, 5)), r"b\.jpg: a mask needs a format that keeps its values"),
        ("b.png", None, r"b\.png: the mask cannot be read"),
        ("b.npy", None, r"b\.npy: the mask cannot be read"),
    ],
)
def test_a_broken_label_image_is_named_and_left_out(folder, name, array, reason):
    save(folder / "masks" / "a.png", labels((1, 2, 3, 5)))
    path = folder / "masks" / name
    if array is None:
        path.write_bytes(b"nothing")
    else:
        save(path, array)
    with pytest.raises(ValueError, match=f"masks: .*{reason}"):
        load(folder)
    problems = []
    records, _ = load(folder, problems=problems)
    assert len(problems) == 1 and re.search(f"masks: .*{reason}", problems[0])
    assert sum(len(record.boxes) for record in records) == 1


def test_a_file_with_several_values_is_no_mask_of_one_object(folder):
    save(folder / "masks" / "a" / "0.png", labels((1, 2, 3, 5), (2, 20, 10, 7)))
    with pytest.raises(
        ValueError, match=r"a/0.png: a mask of one object has 0 and one other value; this has 2 others"
    ):
        load(folder)


def test_a_mask_file_of_another_size_is_named_and_left_out(folder):
    save(folder / "masks" / "a" / "0.png", labels((1, 2, 3, 5)))
    save(folder / "masks" / "a" / "1.png", labels((1, 2, 3, 5))[:, :-1])
    with pytest.raises(ValueError, match=r"a/1.png: its mask is 59 x 40 .*its image 60 x 40"):
        load(folder)
    assert len(load(folder, problems=[])[0][0].boxes) == 1


def test_instances_of_any_numbers_are_found_where_they_are():
    values = np.random.default_rng(0).choice([0, 3, 70000, 5], (HEIGHT, WIDTH))
    found = {}
    for number, (part, left, top) in instances(values):
        found[number] = np.zeros((HEIGHT, WIDTH), bool)
        found[number][top : top + part.shape[0], left : left + part.shape[1]] = part
    assert list(found) == [3, 5, 70000]
    for number, mask in found.items():
        np.testing.assert_array_equal(mask, values == number)


def test_each_of_many_instances_has_its_own_number():
    numbers = np.random.default_rng(0).permutation(5000)[:900]
    values = np.kron(numbers.reshape(30, 30), np.ones((2, 3), np.int64))
    assert [(number, part.shape) for number, (part, _, _) in instances(values)] == [
        (number, (2, 3)) for number in sorted(set(numbers) - {0})
    ]


def test_two_masks_of_one_image_are_refused(folder):
    for name in ("a.png", "a_mask.png"):
        save(folder / "masks" / name, labels((1, 2, 3, 5)))
    with pytest.raises(ValueError, match=r"a.jpg: two masks are of this image"):
        load(folder)


def test_several_images_of_one_name_are_refused(folder):
    image(folder / "images" / "a.png")
    save(folder / "masks" / "a.png", labels((1, 2, 3, 5)))
    with pytest.raises(ValueError, match="several images for it"):
        load(folder)


def test_options_and_folders_that_do_not_go_together_are_refused(folder):
    with pytest.raises(ValueError, match="neither label images nor folders"):
        load(folder)
    save(folder / "masks" / "a.png", labels((1, 2, 3, 5)))
    with pytest.raises(ValueError, match="class_key is for folders"):
        load(folder, class_key="file")
    with pytest.raises(ValueError, match="classes must be a mapping"):
        load(folder, classes={})
    save(folder / "masks" / "b" / "0.png", labels((1, 2, 3, 5)))
    with pytest.raises(ValueError, match="both label images and folders"):
        load(folder)
    (folder / "masks" / "a.png").unlink()
    with pytest.raises(ValueError, match="classes is for label images"):
        load(folder, classes={1: "cat"})
    with pytest.raises(ValueError, match='class_key must be "file" or "folder"'):
        load(folder, class_key="name")
    with pytest.raises(FileNotFoundError, match="nowhere: there is no such folder"):
        load_masks(folder / "nowhere", folder / "images")


def test_the_numbers_of_every_kind_of_image_are_read(tmp_path):
    values = np.arange(6, dtype=np.uint8).reshape(2, 3)
    palette = Image.fromarray(values, "P")
    palette.putpalette([9] * 768)
    palette.save(tmp_path / "palette.png")
    Image.fromarray(values.astype(np.uint16) * 10000).save(tmp_path / "sixteen.tif")
    Image.fromarray(values > 2).save(tmp_path / "bits.png")
    np.save(tmp_path / "array.npy", values.astype(np.int32) * 100000)
    colour = np.zeros((2, 3, 4), np.uint8)
    colour[..., 3] = 255
    colour[1, 2, :3] = [1, 2, 3]
    Image.fromarray(colour).save(tmp_path / "colour.png")
    np.testing.assert_array_equal(read_labels(tmp_path / "palette.png"), values)
    np.testing.assert_array_equal(read_labels(tmp_path / "sixteen.tif"), values.astype(int) * 10000)
    np.testing.assert_array_equal(read_labels(tmp_path / "bits.png"), values > 2)
    np.testing.assert_array_equal(read_labels(tmp_path / "array.npy"), values.astype(int) * 100000)
    np.testing.assert_array_equal(read_labels(tmp_path / "colour.png"), [[0, 0, 0], [0, 0, 0x010203]])
    np.save(tmp_path / "array.npy", values / 2)
    with pytest.raises(ValueError, match=r"array.npy: a mask must have a whole number .*float64"):
        read_labels(tmp_path / "array.npy")
