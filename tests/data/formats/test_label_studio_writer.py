"""What is written for Label Studio is read back with equal masks, also by the tool's own library."""

import json
import xml.etree.ElementTree as ElementTree

import numpy as np
import pytest
from made_images import CLASSES, HEIGHT, WIDTH, made_images
from PIL import Image

from keras_maskrcnn.data.formats.label_studio import load_label_studio
from keras_maskrcnn.data.formats.label_studio_writer import write_label_studio
from keras_maskrcnn.data.records import make_record
from keras_maskrcnn.masks.rle import mask_to_rle, segmentation_to_mask


def ring():
    mask = np.zeros((HEIGHT, WIDTH), bool)
    mask[20:60, 30:70], mask[30:40, 40:50] = True, False
    return mask


def parts():
    mask = np.zeros((HEIGHT, WIDTH), bool)
    mask[5:9, 5:9], mask[100:110, 140:150] = True, True
    return mask


@pytest.fixture
def images(tmp_path):
    folder = tmp_path / "root" / "scans"
    folder.mkdir(parents=True)
    for one in made_images():
        Image.fromarray(one.pixels()).save(folder / f"{one.name}.png")
    return folder


@pytest.fixture
def records(images):
    """Polygons in tenths of pixels, masks with holes and of parts, and an image without objects."""
    made = []
    for one in made_images():
        masks = [[shape.polygon()] for shape in one.shapes] + [
            mask_to_rle(ring()),
            mask_to_rle(parts()),
        ] * bool(one.shapes)
        classes = [1 + CLASSES.index(shape.class_name) for shape in one.shapes] + [1, 3] * bool(one.shapes)
        made.append(
            make_record(
                images / f"{one.name}.png", masks=masks, class_ids=classes, boxes=None if masks else []
            )
        )
    return made


def written(records, images, **options):
    target = images.parent / "tasks.json"
    write_label_studio(target, records, CLASSES, images, **options)
    return target


def masks_of(record):
    return [segmentation_to_mask(mask, record.height, record.width) for mask in record.masks or ()]


def kinds(target, key="annotations"):
    return [
        result["type"]
        for task in json.loads(target.read_text())
        for row in task[key]
        for result in row["result"]
    ]


@pytest.mark.parametrize("regions", ["mixed", "brush", "polygon"])
def test_masks_classes_and_images_come_back_equal(records, images, regions):
    target = written(records, images, regions=regions)
    again, names = load_label_studio(target, images)
    assert names == CLASSES and len(again) == len(records)
    for one, other in zip(records, again, strict=True):
        assert str(one.image) == str(other.image) and (one.height, one.width) == (other.height, other.width)
        np.testing.assert_array_equal(one.class_ids, other.class_ids)
        for mask, copy in zip(masks_of(one), masks_of(other), strict=True):
            np.testing.assert_array_equal(mask, copy)
    expected = {"mixed": {"polygonlabels", "brushlabels"}, "brush": {"brushlabels"}, "polygon": None}[regions]
    assert expected in (None, set(kinds(target)))


def test_what_no_polygon_can_be_is_told(records, images, caplog):
    target = written(records, images, regions="polygon")
    assert kinds(target).count("brushlabels") == 6 and kinds(target).count("polygonlabels") == 12
    assert "a polygon is one ring: 6" in caplog.text


def test_predictions_have_scores_and_a_version(records, images):
    scores = [np.linspace(0.5, 1, len(record.boxes)) for record in records[:-1]] + [None]
    target = written(records, images, scores=scores, model_version="first")
    tasks = json.loads(target.read_text())
    (prediction,) = tasks[0]["predictions"]
    assert prediction["model_version"] == "first" and prediction["score"] == pytest.approx(0.75)
    assert [row["score"] for row in prediction["result"]] == scores[0].tolist()
    assert tasks[0]["annotations"] == tasks[-1]["predictions"] == [] and len(tasks[-1]["annotations"]) == 1
    again, names = load_label_studio(target, images, predictions="first")
    assert names == CLASSES and [len(one.boxes) for one in again] == [6, 6, 6]


def test_predictions_without_objects_are_predictions(records, images):
    target = written(records[-1:], images, scores=[np.zeros(0)])
    assert json.loads(target.read_text())[0]["predictions"][0]["result"] == []
    again, _ = load_label_studio(target, images, CLASSES, predictions=True)
    assert len(again[0].boxes) == 0


def test_images_are_named_as_label_studio_serves_them(records, images):
    def first(**options):
        write_label_studio(images.parent / "tasks.json", records, CLASSES, **options)
        return json.loads((images.parent / "tasks.json").read_text())[0]["data"]["image"]

    served = "/data/local-files/?d=scans/image%200.png"  # from the folder above that of the images
    assert first() == first(image_folder=images) == served
    assert first(image_folder=images.parent) == "/data/local-files/?d=root/scans/image%200.png"
    assert first(image_folder=images, image_url="https://example.org/") == "https://example.org/image%200.png"
    assert len(load_label_studio(images.parent / "tasks.json", images)[0]) == 4


def test_the_config_names_what_is_in_the_tasks(records, images):
    written(records, images)
    root = ElementTree.parse(images.parent / "tasks.xml").getroot()
    assert [child.tag for child in root] == ["Image", "PolygonLabels", "BrushLabels"]
    assert [label.get("value") for label in root[1]] == CLASSES


def test_boxes_are_rectangles_and_crowds_are_left_out(images, caplog):
    boxes = [[10, 20, 30.5, 40], [50, 60, 70, 80]]
    record = make_record(images / "image 0.png", boxes=boxes, class_ids=[1, 2], crowd=[False, True])
    target = written([record], images)
    again, names = load_label_studio(target, images)
    assert names == CLASSES[:1]
    np.testing.assert_allclose(again[0].boxes, boxes[:1], atol=1e-5)
    assert (
        "cannot mark, left out: 1" in caplog.text and "rectangles, which are read as masks: 1" in caplog.text
    )


def test_keypoints_come_back_with_their_objects(images):
    points = np.array([[[20, 30, 2], [0, 0, 0]], [[60, 70, 1], [61.5, 72.25, 2]]], float)
    boxes = [[10, 20, 30, 40], [50, 60, 70, 80]]
    record = make_record(
        images / "image 0.png",
        boxes=boxes,
        class_ids=[1, 1],
        keypoints=points,
        keypoint_names=["tail", "head"],
    )
    target = written([record], images)
    again, _ = load_label_studio(target, images, keypoint_names=["tail", "head"])
    np.testing.assert_allclose(again[0].keypoints, points, atol=1e-5)
    root = ElementTree.parse(images.parent / "tasks.xml").getroot()
    labels = [(label.get("value"), label.get("model_index")) for label in root.find("KeyPointLabels")]
    assert labels == [("tail", "0"), ("head", "1")]
    with pytest.raises(ValueError, match=r"image 0.png: its objects have 2 keypoints, not 1: tail"):
        written([record], images, keypoint_names=["tail"])


def test_shapes_that_leave_the_image_become_brush_strokes(images):
    polygon = [150.0, 100, 170, 100, 170, 119, 150, 119]
    record = make_record(
        images / "image 0.png", masks=[[polygon]], class_ids=[1], boxes=[[150, 100, 160, 119]]
    )
    target = written([record], images)
    assert kinds(target) == ["brushlabels"]
    again, _ = load_label_studio(target, images)
    np.testing.assert_array_equal(masks_of(again[0])[0], masks_of(record)[0])


def test_what_cannot_be_written_is_named(records, images):
    array = make_record(np.zeros((4, 4), np.uint8), boxes=[], class_ids=[], image_id="a")
    with pytest.raises(ValueError, match=r"image 'a': it is no image file of its own"):
        written([array], images)
    with pytest.raises(ValueError, match=r"image 0.png: it is not in the folder of the images"):
        write_label_studio(images / "tasks.json", records, CLASSES, images / "other")
    with pytest.raises(ValueError, match=r"tasks.xml: the tasks are JSON"):
        write_label_studio(images / "tasks.xml", records, CLASSES)
    with pytest.raises(ValueError, match=r"regions must be one of mixed, brush, polygon; got 'circle'"):
        written(records, images, regions="circle")
    with pytest.raises(ValueError, match=r"image 0.png: scores must be \[6\]"):
        written(records, images, scores=[np.ones(2)] * 4)
    assert not (images.parent / "tasks.json").exists()


def test_the_tools_own_library_reads_the_strokes(records, images):
    brush = pytest.importorskip("label_studio_sdk.converter.brush")
    tasks = json.loads(written(records, images, regions="brush").read_text())
    for record, task in zip(records, tasks, strict=True):
        results = task["annotations"][0]["result"]
        for mask, result in zip(masks_of(record), results, strict=True):
            values = brush.decode_rle(result["value"]["rle"]).reshape(HEIGHT, WIDTH, 4)
            np.testing.assert_array_equal(values[..., 3] > 0, mask)


def test_the_tools_own_converter_finds_the_polygons_and_rectangles(records, images, tmp_path):
    converter = pytest.importorskip("label_studio_sdk.converter")
    polygons = [
        make_record(one.image, masks=list(one.masks[:4]), class_ids=one.class_ids[:4]) for one in records[:3]
    ]
    boxes = make_record(images / "nothing.png", boxes=[[10, 20, 30, 40]], class_ids=[2])
    target = written([*polygons, boxes], images)
    tasks = [{"id": n, **task} for n, task in enumerate(json.loads(target.read_text()), start=1)]
    target.write_text(json.dumps(tasks))
    config = target.with_suffix(".xml").read_text()
    converter.Converter(config, str(tmp_path), download_resources=False).convert_to_coco(
        str(target), str(tmp_path / "coco"), is_dir=False
    )
    content = json.loads((tmp_path / "coco" / "result.json").read_text())
    names = {row["id"]: row["name"] for row in content["categories"]}
    rows = content["annotations"]
    assert len(rows) == 13
    for row in rows:  # one for each object, whose outline it has to a thousandth of its pixels
        record = [*polygons, boxes][row["image_id"]]
        own = [n for n, k in enumerate(record.class_ids) if CLASSES[k - 1] == names[row["category_id"]]]
        best = min(own, key=lambda n: np.abs(np.array(row["bbox"][:2]) - record.boxes[n, :2]).max())
        np.testing.assert_allclose(
            np.add(row["bbox"], [0, 0, *row["bbox"][:2]]), record.boxes[best], atol=1e-3
        )
        if record.masks is not None:
            drawn = segmentation_to_mask(row["segmentation"], HEIGHT, WIDTH)
            assert (drawn != masks_of(record)[best]).sum() <= 0.001 * drawn.sum()
