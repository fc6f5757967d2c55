"""labelme's files as they are written: read back equal, and by labelme itself where it is installed."""

import base64
import json
import logging

import numpy as np
import pytest
from PIL import Image
from written import NAMES, image_file, masks_of, written_masks

from keras_maskrcnn.data.formats.labelme import load_labelme
from keras_maskrcnn.data.formats.labelme_writer import write_labelme
from keras_maskrcnn.data.records import make_record


def content(folder, name="a"):
    return json.loads((folder / f"{name}.json").read_text("utf-8"))


def test_masks_with_parts_and_holes_are_read_back_to_the_pixel(tmp_path):
    record = make_record(image_file(tmp_path / "photos"), masks=written_masks(), class_ids=[1, 2, 1])
    write_labelme(tmp_path / "labels", [record], NAMES)
    records, names = load_labelme(tmp_path / "labels", class_names=NAMES)
    assert records[0].class_ids.tolist() == [1, 2, 1] and names == NAMES
    np.testing.assert_array_equal(masks_of(records[0]), written_masks())
    kinds = [(shape["shape_type"], shape["group_id"]) for shape in content(tmp_path / "labels")["shapes"]]
    assert kinds == [("polygon", None), ("polygon", 1), ("polygon", 1), ("mask", None)]
    assert content(tmp_path / "labels")["imagePath"] == "../photos/a.png"


def test_labelme_itself_reads_them(tmp_path):
    label_file = pytest.importorskip("labelme._label_file")  # of labelme 6
    from labelme.utils import shapes_to_label

    record = make_record(image_file(tmp_path), masks=written_masks(), class_ids=[1, 2, 1])
    write_labelme(tmp_path, [record], NAMES, scores=[np.array([0.9, 0.5, 0.25])])
    file = label_file.LabelFile(str(tmp_path / "a.json"))
    assert [shape["label"] for shape in file.shapes] == ["nut", "bolt", "bolt", "nut"]
    assert file.shapes[0]["description"] == "score 0.900"
    _, instances = shapes_to_label((40, 60), file.shapes, {"nut": 1, "bolt": 2})
    found = [instances == number for number in (1, 2, 3)]
    np.testing.assert_array_equal(found[2], written_masks()[2])  # a shape of the type mask
    for mask, truth in zip(found, written_masks(), strict=True):
        # It draws the outlines of polygons, too, so that they have a column on the right and a row below more.
        assert (mask & truth).sum() == truth.sum() and (mask & ~truth).sum() <= 60


def test_annotated_polygons_stay_as_they_are_also_where_they_overlap(tmp_path):
    polygons = [[5.25, 5, 20, 5, 20, 20.5], [15, 10, 30, 10, 30, 30]]
    record = make_record(image_file(tmp_path), masks=[polygons], class_ids=[1])
    write_labelme(tmp_path, [record], NAMES)
    records, _ = load_labelme(tmp_path)
    assert records[0].masks[0] == polygons and records[0].boxes.tolist() == record.boxes.tolist()


def test_crowds_are_flagged_and_images_without_objects_have_a_file(tmp_path):
    crowd = make_record(image_file(tmp_path), masks=written_masks()[:1], class_ids=[1], crowd=[True])
    nothing = make_record(image_file(tmp_path, "b.png"))
    write_labelme(tmp_path, [crowd, nothing], NAMES)
    records, _ = load_labelme(tmp_path, class_names=NAMES)
    assert records[0].crowd.tolist() == [True] and len(records[1].boxes) == 0


def test_what_labelme_cannot_say_is_told(tmp_path, caplog):
    points = np.full((1, 2, 3), 2)
    record = make_record(image_file(tmp_path), boxes=[[8, 8, 20, 20]], class_ids=[1], keypoints=points)
    with caplog.at_level(logging.WARNING):
        write_labelme(tmp_path, [record], NAMES)
    assert "objects without a mask written as rectangles, which are read as masks: 1" in caplog.text
    assert "keypoints are left out: 1" in caplog.text
    records, _ = load_labelme(tmp_path)
    assert records[0].boxes.tolist() == [[8, 8, 20, 20]] and records[0].keypoints is None


def test_arrays_and_embedded_images_are_embedded(tmp_path):
    pixels = np.arange(40 * 60 * 3, dtype=np.uint8).reshape(40, 60, 3)
    record = make_record(pixels, masks=written_masks()[:1], class_ids=[1], image_id="x y")
    write_labelme(tmp_path / "one", [record], NAMES)
    again, _ = load_labelme(tmp_path / "one")
    write_labelme(tmp_path / "two", again, ["nut"])
    for folder in ("one", "two"):
        data = base64.b64decode(content(tmp_path / folder, "x_y")["imageData"])
        (tmp_path / "image.png").write_bytes(data)
        np.testing.assert_array_equal(np.asarray(Image.open(tmp_path / "image.png")), pixels)
    floats = make_record(np.zeros((9, 9), np.float32), image_id="f")
    with pytest.raises(ValueError, match="image 'f': its image is an array that is no PNG"):
        write_labelme(tmp_path / "three", [floats], NAMES)


def test_images_of_one_name_have_files_of_their_own(tmp_path):
    files = [
        image_file(tmp_path / "photos" / place, name) for place, name in (("x", "a.png"), ("y", "a.PNG"))
    ]
    write_labelme(tmp_path / "labels", [make_record(file) for file in files], NAMES)
    assert sorted(path.name for path in (tmp_path / "labels").iterdir()) == ["a.json", "a_2.json"]
    records, _ = load_labelme(tmp_path / "labels", class_names=NAMES)
    assert len({record.image for record in records}) == 2


def test_paths_may_be_from_where_the_files_will_be_moved(tmp_path):
    write_labelme(tmp_path / "new", [make_record(image_file(tmp_path))], NAMES, image_folder=tmp_path)
    assert content(tmp_path / "new")["imagePath"] == "a.png"


def test_what_does_not_fit_is_refused(tmp_path):
    record = make_record(image_file(tmp_path), masks=written_masks()[:1], class_ids=[1])
    with pytest.raises(ValueError, match="labelme reserves the name _background_"):
        write_labelme(tmp_path, [record], ["nut", "_background_"])
    with pytest.raises(ValueError, match="scores must be one array for each record; got 2 for 1"):
        write_labelme(tmp_path, [record], NAMES, scores=[None, None])
    with pytest.raises(ValueError, match=r"a\.png: scores must be \[1\], one for each object; got \(2,\)"):
        write_labelme(tmp_path, [record], NAMES, scores=[np.ones(2)])
    with pytest.raises(ValueError, match="class id 3 is outside"):
        write_labelme(tmp_path, [make_record(record.image, record.boxes, [3])], NAMES)
