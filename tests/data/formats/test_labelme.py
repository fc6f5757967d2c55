"""labelme: every kind of shape is read or refused by name, and images are found wherever the files come from."""

import base64
import io
import json
import re
import tracemalloc

import numpy as np
import pytest
from PIL import Image

from keras_maskrcnn.data.formats.labelme import load_labelme
from keras_maskrcnn.images.io import image_size, read_image
from keras_maskrcnn.masks.rle import segmentation_to_mask

HEIGHT, WIDTH = 40, 60
TRIANGLE = [[10, 5], [30, 5], [30, 35]]


@pytest.fixture
def folder(tmp_path):
    labels = tmp_path / "labels"
    labels.mkdir()
    Image.fromarray(np.full((HEIGHT, WIDTH, 3), 7, np.uint8)).save(labels / "a.png")
    return labels


def test_two_files_of_one_image_are_named(folder):
    (folder / "a.json").write_text(json.dumps(content(shape())))
    (folder / "copy.json").write_text(json.dumps(content()))
    with pytest.raises(ValueError, match=r"copy\.json: .*a\.png: another file has the objects of this image"):
        load_labelme(folder)


def test_hidden_files_are_not_read(folder):
    (folder / "a.json").write_text(json.dumps(content(shape())))
    (folder / ".ipynb_checkpoints").mkdir()
    (folder / ".ipynb_checkpoints" / "a-checkpoint.json").write_text(json.dumps(content()))
    (folder / "._a.json").write_bytes(b"\0\5\26\7")
    assert [len(record.boxes) for record in load_labelme(folder)[0]] == [1]


def base64_png(array):
    file = io.BytesIO()
    Image.fromarray(array).save(file, "PNG")
    return base64.b64encode(file.getvalue()).decode()


def shape(points=TRIANGLE, shape_type="polygon", label="nut", **fields):
    return {
        "label": label,
        "points": points,
        "shape_type": shape_type,
        "group_id": None,
        "flags": {},
        **fields,
    }


def content(*shapes, **fields):
    image = {"imagePath": "a.png", "imageData": None, "imageHeight": HEIGHT, "imageWidth": WIDTH}
    return {"version": "5.4.1", "flags": {}, "shapes": list(shapes), **image, **fields}


def write(folder, what, name="a.json"):
    (folder / name).write_text(what if isinstance(what, str) else json.dumps(what))


def load(folder, *shapes, **options):
    write(folder, content(*shapes))
    return load_labelme(folder, **options)


def test_every_kind_of_shape_with_an_area_is_read(folder):
    part = np.zeros((3, 4), bool)
    part[1:, 2:] = True
    mask = shape([[20, 30], [23, 32]], "mask", mask=base64_png(part))
    records, names = load(
        folder,
        shape(),
        shape([[40, 20], [5, 10]], "rectangle", label="bolt"),
        shape([[30, 20], [33, 24]], "circle"),
        mask,
        shape([[10, 20], [20, 10], [30, 20], [20, 30]], "oriented_rectangle"),
    )
    assert names == ["bolt", "nut"] and records[0].class_ids.tolist() == [2, 1, 2, 2, 2]
    expected = [[10, 5, 30, 35], [5, 10, 40, 20], [25, 15, 35, 25], [22, 31, 24, 33], [10, 10, 30, 30]]
    np.testing.assert_allclose(records[0].boxes, expected, atol=0.11)
    drawn = segmentation_to_mask(records[0].masks[3], HEIGHT, WIDTH)
    np.testing.assert_array_equal(np.argwhere(drawn), [[31, 22], [31, 23], [32, 22], [32, 23]])


def test_a_small_mask_in_a_large_image_needs_little_memory(folder):
    mask = shape([[2000, 3000], [2003, 3002]], "mask", mask=base64_png(np.ones((3, 4), bool)))
    write(folder, content(mask, imageHeight=4000, imageWidth=5000))
    tracemalloc.start()
    records, _ = load_labelme(folder, check_images=False)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert records[0].boxes.tolist() == [[2000, 3000, 2004, 3003]]
    assert peak < 4000 * 5000 / 10


def test_shapes_of_one_group_are_parts_of_one_object(folder):
    other = [[40, 20], [50, 20], [50, 30]]
    mask = shape([[0, 0], [1, 1]], "mask", mask=base64_png(np.full((2, 2), 255, np.uint8)), group_id=2)
    records, _ = load(
        folder,
        shape(group_id=1),
        shape(other, group_id=1),
        shape(other, group_id=1, label="bolt"),
        mask,
        shape([[10, 10], [12, 12]], "rectangle", group_id=2),
    )
    np.testing.assert_array_equal(records[0].boxes, [[10, 5, 50, 35], [40, 20, 50, 30], [0, 0, 12, 12]])
    assert records[0].masks[0] == [[10, 5, 30, 5, 30, 35], [40, 20, 50, 20, 50, 30]]
    drawn = segmentation_to_mask(records[0].masks[2], HEIGHT, WIDTH)
    assert drawn.sum() == 8 and drawn[:2, :2].all() and drawn[10:12, 10:12].all()


def test_a_group_with_a_broken_part_is_left_out_whole(folder):
    problems = []
    records, _ = load(folder, shape(), shape(group_id=1), shape([[1, 1]], group_id=1), problems=problems)
    assert len(records[0].boxes) == 1
    assert len(problems) == 1 and "a.json: shape 1 and 2: " in problems[0]


@pytest.mark.parametrize(
    "path", ["a.png", "..\\labels\\a.png", "C:\\Users\\me\\images\\a.png", "../else/a.png"]
)
def test_images_are_found_by_paths_of_windows_and_of_other_machines(folder, path):
    write(folder, content(shape(), imagePath=path))
    records, _ = load_labelme(folder)
    assert records[0].image == str(folder / "a.png")


def test_images_may_be_in_a_folder_of_their_own(folder):
    images = folder.parent / "images"
    images.mkdir()
    (folder / "a.png").rename(images / "a.png")
    write(folder, content(shape(), imagePath="..\\old place\\a.png"))
    assert load_labelme(folder, images)[0][0].image == str(images / "a.png")


def test_the_embedded_image_serves_where_there_is_no_file(folder):
    pixels = np.random.default_rng(0).integers(0, 255, (HEIGHT, WIDTH, 3)).astype(np.uint8)
    write(folder, content(shape(), imageData=base64_png(pixels)))
    assert load_labelme(folder)[0][0].image == str(folder / "a.png")
    (folder / "a.png").unlink()
    (record,) = load_labelme(folder)[0]
    assert record.image == str(folder / "a.json") and (record.height, record.width) == (HEIGHT, WIDTH)
    np.testing.assert_array_equal(read_image(record.image), pixels)
    assert image_size(record.image) == (HEIGHT, WIDTH)


def test_a_file_without_an_image_is_no_image(folder):
    write(folder, content())
    with pytest.raises(ValueError, match=r"a.json: the image cannot be read: .*imageData"):
        read_image(folder / "a.json")
    write(folder, content(imageData="no base64!"))
    with pytest.raises(ValueError, match=r"a.json: the image cannot be read: this is no base64"):
        image_size(folder / "a.json")


def test_subfolders_are_read_and_images_without_a_file_are_noted(folder):
    (folder / "more").mkdir()
    for name in ("more/a.png", "b.png"):
        Image.fromarray(np.zeros((HEIGHT, WIDTH, 3), np.uint8)).save(folder / name)
    write(folder, content(shape()), "more/a.json")
    records, _ = load(folder, shape())
    assert [record.image_id for record in records] == [1, 2]
    assert "1 images without annotations are left out" in str(records.report)
    assert "b.png" in str(records.report)


def test_a_size_that_the_file_does_not_say_is_the_images(folder):
    write(folder, content(shape(), imageHeight=None, imageWidth=None))
    (record,) = load_labelme(folder)[0]
    assert (record.height, record.width) == (HEIGHT, WIDTH)


def test_a_file_without_shapes_is_an_image_without_objects(folder):
    records, names = load(folder, class_names=["nut"])
    assert names == ["nut"] and records[0].boxes.shape == (0, 4)
    with pytest.raises(ValueError, match="no objects, so its classes must be named"):
        load(folder)


BROKEN = {
    "line": (shape([[1, 1], [9, 9]], "line"), "shape_type is 'line'"),
    "linestrip": (shape(shape_type="linestrip"), "shape_type is 'linestrip'"),
    "point": (shape([[1, 1]], "point"), "shape_type is 'point'"),
    "two points": (shape([[1, 1], [9, 9]]), "6 numbers.*got 4"),
    "three corners": (shape(shape_type="rectangle"), "a rectangle has 2 points; got 3"),
    "flat points": (shape([10, 5, 30, 5, 30, 35]), "pairs of numbers"),
    "no points": (shape(None), "pairs of numbers"),
    "not a number": (shape([[10, 5], [30, float("nan")], [30, 35]]), "pairs of numbers"),
    "no label": (shape(label=""), 'no "label"'),
    "no shape": (7, 'no "label"'),
    "far outside": (shape([[10, 5], [90, 5], [30, 35]]), "reaches outside the image"),
    "no mask": (shape([[1, 1], [2, 2]], "mask"), 'no "mask"'),
    "mask of another size": (
        shape([[1, 1], [2, 2]], "mask", mask=base64_png(np.ones((5, 5), bool))),
        "its mask has 5 x 5 pixels .*there are 2 x 2",
    ),
    "mask outside": (
        shape([[58, 1], [62, 5]], "mask", mask=base64_png(np.ones((5, 5), bool))),
        "its mask reaches outside",
    ),
    "mask cut off": (shape([[1, 1], [2, 2]], "mask", mask="iVBORw0K"), 'its "mask" cannot be read'),
}


@pytest.mark.parametrize("name", BROKEN)
def test_a_broken_shape_is_named_and_left_out(folder, name):
    broken, reason = BROKEN[name]
    with pytest.raises(ValueError, match=f"labels: a.json: shape 1: .*{reason}"):
        load(folder, shape(), broken)
    problems = []
    records, _ = load(folder, shape(), broken, problems=problems)
    assert len(problems) == 1 and re.search(f"labels: a.json: shape 1: .*{reason}", problems[0])
    np.testing.assert_array_equal(records[0].boxes, [[10, 5, 30, 35]])


@pytest.mark.parametrize(
    ("what", "reason"),
    [
        ("{", "no valid JSON"),
        ({"images": []}, "no file of labelme"),
        (content(shape(), imagePath="gone.png"), "gone.png is not there, nor in the file itself"),
        (content(shape(), imagePath=None), '"imagePath" must name a file'),
        (content(shape(), imageHeight="40"), "imageHeight and imageWidth must be whole numbers"),
        (content(shape(), imageHeight=41), "annotated as 60 x 41"),
    ],
)
def test_a_broken_file_is_named_and_left_out(folder, what, reason):
    Image.open(folder / "a.png").save(folder / "b.png")
    write(folder, content(shape(), imagePath="b.png"), "good.json")
    write(folder, what, "bad.json")
    with pytest.raises(ValueError, match=reason):
        load_labelme(folder)
    problems = []
    records, _ = load_labelme(folder, problems=problems)
    assert len(records) == 1 and len(problems) == 1 and re.search(reason, problems[0])
    assert "bad.json" in problems[0] or "a.png" in problems[0]


def test_where_everything_is_refused_the_reasons_are_told(folder):
    problems = []
    with pytest.raises(ValueError, match=r"no objects, .*what was refused: a\.json: shape 0: .*'line'"):
        load(folder, shape([[1, 1], [9, 9]], "line"), problems=problems)
    assert len(problems) == 1
    (folder / "a.png").write_bytes(b"no image")
    write(folder, content(shape(), imageHeight=None, imageWidth=None))
    with pytest.raises(
        ValueError, match=r"there are no images; what was refused: .*a\.png: the image cannot"
    ):
        load_labelme(folder, problems=problems)


def test_a_folder_that_is_missing_or_holds_nothing_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match="nowhere: there is no such folder"):
        load_labelme(tmp_path / "nowhere")
    with pytest.raises(ValueError, match="no JSON files of labelme"):
        load_labelme(tmp_path)
