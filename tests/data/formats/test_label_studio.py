"""Label Studio: every kind of region is read or refused by name, and of each task what a person has said."""

import base64
import io
import json
import re

import numpy as np
import pytest
from PIL import Image

from keras_maskrcnn.cli.main import main
from keras_maskrcnn.data.formats.brush_rle import encode_brush
from keras_maskrcnn.data.formats.detect import find_format
from keras_maskrcnn.data.formats.label_studio import load_label_studio
from keras_maskrcnn.masks.rle import segmentation_to_mask

HEIGHT, WIDTH = 40, 80
SIZE = {"original_width": WIDTH, "original_height": HEIGHT, "image_rotation": 0}
TRIANGLE = [[25, 25], [50, 25], [50, 75]]
"""In pixels: 20, 10; 40, 10; 40, 30."""


@pytest.fixture
def folder(tmp_path):
    save(tmp_path / "a.png")
    return tmp_path


def save(path):
    Image.fromarray(np.full((HEIGHT, WIDTH, 3), 7, np.uint8)).save(path)


def region(kind="polygon", name="r0", label="nut", fields=None, **value):
    value = {"points": TRIANGLE, "closed": True} if kind == "polygon" and not value else value
    named = {} if label is None else {f"{kind}labels": [label]}
    type_ = f"{kind}labels"
    return {
        **SIZE,
        "id": name,
        "type": type_,
        "to_name": "image",
        "value": {**value, **named},
        **(fields or {}),
    }


def annotation(*results, **fields):
    return {"id": 1, "completed_by": 1, "was_cancelled": False, "result": list(results), **fields}


def task(*annotations, image="/data/upload/1/0a1b2c3d-a.png", number=5, **fields):
    return {"id": number, "data": {"image": image}, "annotations": list(annotations), **fields}


def load(folder, *tasks, **options):
    (folder / "export.json").write_text(json.dumps(list(tasks)))
    return load_label_studio(folder / "export.json", folder, **options)


def load_regions(folder, *regions, **options):
    return load(folder, task(annotation(*regions)), **options)


def mask_of(record, index=0):
    return segmentation_to_mask(record.masks[index], record.height, record.width)


def bitmask(mask):
    file = io.BytesIO()
    Image.fromarray(np.stack([mask] * 4, axis=2).astype(np.uint8) * 255).save(file, "PNG")
    return "data:image/png;base64," + base64.b64encode(file.getvalue()).decode()


def drawn():
    mask = np.zeros((HEIGHT, WIDTH), bool)
    mask[5:15, 8:30], mask[8:11, 12:20], mask[30, 70] = True, False, True
    return mask


def test_every_kind_of_region_is_an_object(folder):
    records, names = load_regions(
        folder,
        region(),
        region("rectangle", "r1", "bolt", x=10, y=20, width=50, height=25),
        region("ellipse", "r2", x=50, y=50, radiusX=10, radiusY=5),
        region("brush", "r3", format="rle", rle=encode_brush(drawn())),
        region("bitmask", "r4", imageDataURL=bitmask(drawn())),
    )
    assert names == ["bolt", "nut"] and records[0].class_ids.tolist() == [2, 1, 2, 2, 2]
    expected = [[20, 10, 40, 30], [8, 8, 48, 18], [32, 18, 48, 22], [8, 5, 71, 31], [8, 5, 71, 31]]
    np.testing.assert_allclose(records[0].boxes, expected, atol=0.11)
    np.testing.assert_array_equal(mask_of(records[0], 3), drawn())
    np.testing.assert_array_equal(mask_of(records[0], 4), drawn())
    assert records[0].masks[0] == [[20, 10, 40, 10, 40, 30]]


@pytest.mark.parametrize(
    ("degrees", "dx", "dy"), [(0, (1, 0), (0, 1)), (90, (0, 1), (-1, 0)), (30, None, None)]
)
def test_a_rectangle_is_rotated_about_its_first_corner_in_pixels(folder, degrees, dx, dy):
    angle = np.radians(degrees)
    across = np.array(dx or (np.cos(angle), np.sin(angle)))
    down = np.array(dy or (-np.sin(angle), np.cos(angle)))
    value = {"x": 50, "y": 25, "width": 20, "height": 25, "rotation": degrees}  # 40, 10; 16 x 10 pixels
    records, _ = load_regions(folder, region("rectangle", **value))
    corners = np.reshape(records[0].masks[0][0], (4, 2))
    first = np.array([40, 10])
    expected = [first, first + 16 * across, first + 16 * across + 10 * down, first + 10 * down]
    np.testing.assert_allclose(corners, expected, atol=1e-9)


def test_an_ellipse_is_rotated_clockwise_about_its_centre(folder):
    upright, turned = (
        load_regions(folder, region("ellipse", x=50, y=50, radiusX=x, radiusY=y, rotation=r))[0][0]
        for x, y, r in ((5, 40, 0), (20, 10, 90))
    )
    np.testing.assert_allclose(turned.boxes, upright.boxes, atol=0.11)
    np.testing.assert_allclose(turned.boxes, [[36, 4, 44, 36]], atol=0.11)


def test_ellipses_and_rotated_rectangles_may_reach_outside(folder):
    records, _ = load_regions(
        folder,
        region("ellipse", x=0, y=50, radiusX=25, radiusY=25),
        region("rectangle", "r1", x=5, y=-20, width=25, height=100, rotation=45),
    )
    assert records[0].boxes.min() == 0 and len(records[0].boxes) == 2


def test_polygons_of_one_id_are_parts_of_one_object(folder):
    other = region(points=[[60, 25], [80, 25], [80, 75]])
    records, _ = load_regions(folder, region(), other)
    assert records[0].masks[0] == [[20, 10, 40, 10, 40, 30], [48, 10, 64, 10, 64, 30]]
    assert "1 regions of several polygons are one object each" in str(records.report)


def test_a_shape_and_its_labels_may_be_two_results(folder):
    plain = {**region(label=None), "type": "polygon"}
    said = {**region(label=None), "type": "labels"}
    said["value"]["labels"] = ["bolt"]
    merged = {**region(label=None, name="r1"), "type": "polygon"}
    merged["value"]["labels"] = ["nut"]
    records, names = load_regions(folder, plain, said, merged)
    assert names == ["bolt", "nut"] and records[0].class_ids.tolist() == [1, 2]


def test_what_says_no_shape_is_left_out_and_counted(folder):
    said = {**region(label=None), "type": "choices"}
    said["value"]["choices"] = ["old"]
    records, _ = load_regions(
        folder, region(), said, {"type": "textarea", "value": {"text": ["x"]}, "id": "r9"}
    )
    assert len(records[0].boxes) == 1
    assert "results that are no shapes are left out: 1 choices, 1 textarea" in str(records.report)


def test_regions_without_a_label_are_of_the_default_class(folder):
    plain = region(label=None)
    assert load_regions(folder, plain)[1] == ["object"]
    assert load_regions(folder, plain, class_names=["cell"])[1] == ["cell"]
    with pytest.raises(
        ValueError, match=r"export.json: region r0 of .*a.png: it has no label; default_class"
    ):
        load_regions(folder, plain, region(name="r1"))
    assert load_regions(folder, plain, region(name="r1"), default_class="bolt")[1] == ["bolt", "nut"]


def test_an_open_polygon_is_read_and_noted(folder):
    records, _ = load_regions(folder, region(points=TRIANGLE, closed=False))
    assert "1 polygons that are not closed are read as if they were" in str(records.report)


def keypoint(name, label, parent=None, x=25, **value):
    fields = {} if parent is None else {"parentID": parent}
    return region("keypoint", name, label, fields, x=x, y=50, width=0.5, **value)


def test_keypoints_are_of_the_object_that_they_are_nested_in_or_related_to(folder):
    relation = {"type": "relation", "from_id": "k2", "to_id": "r1", "direction": "right"}
    records, _ = load_regions(
        folder,
        region(),
        region(name="r1"),
        region(name="r2"),
        keypoint("k0", "tail", "r0"),
        keypoint("k1", "head", "r0", x=50, hidden=True),
        keypoint("k2", "head", x=75),
        relation,
    )
    assert records.keypoint_names == ("head", "tail")
    expected = [[[40, 20, 1], [20, 20, 2]], [[60, 20, 2], [0, 0, 0]], [[0, 0, 0], [0, 0, 0]]]
    np.testing.assert_array_equal(records[0].keypoints, expected)
    swapped, _ = load(
        folder, *json.loads((folder / "export.json").read_text()), keypoint_names=["tail", "head"]
    )
    np.testing.assert_array_equal(swapped[0].keypoints, records[0].keypoints[:, ::-1])


BROKEN = {
    "no type": ({"id": "x", "value": {}}, 'result 1: it must be an object with a "type"'),
    "no object": (7, 'result 1: it must be an object with a "type"'),
    "another type": (region("video", "x"), "its type is 'videolabels'; what can be an object is a polygon"),
    "no value": ({**region(name="x"), "value": None}, 'it has no "value"|it has no label'),
    "labels that are no list": (
        {**region(name="x"), "value": {"points": TRIANGLE, "polygonlabels": "nut"}},
        "its labels must be a list of names; got 'nut'",
    ),
    "two labels": (
        {**region(name="x"), "value": {"points": TRIANGLE, "polygonlabels": ["nut", "bolt"]}},
        "region x of .*: it has several labels: nut, bolt",
    ),
    "labels alone": (
        {**region(name="x"), "type": "labels", "value": {"labels": ["nut"]}},
        "labels but no shape",
    ),
    "points": (region(name="x", points=[1, 2, 3]), "must be pairs of numbers"),
    "two points": (region(name="x", points=TRIANGLE[:2]), "6 numbers.*got 4"),
    "outside": (region(name="x", points=[[25, 25], [150, 25], [50, 75]]), "reaches outside the image"),
    "negative side": (region("rectangle", "x", x=1, y=1, width=-5, height=5), "negative side: width -5"),
    "no side": (
        region("rectangle", "x", x=1, y=1, width=5),
        "its x, y, width, height, rotation must be numbers",
    ),
    "no brush": (region("brush", "x", format="rle"), 'a brush stroke without "rle"'),
    "brush of another image": (
        region("brush", "x", rle=encode_brush(np.ones((4, 4), bool))),
        "has 64 values",
    ),
    "no PNG": (
        region("bitmask", "x", imageDataURL="data:image/png;base64,AAAA"),
        '"imageDataURL" cannot be read',
    ),
    "no data": (region("bitmask", "x", imageDataURL="a.png"), "must begin with data:image/png;base64,"),
    "bitmask of another image": (
        region("bitmask", "x", imageDataURL=bitmask(np.ones((4, 5), bool))),
        r"its bitmask is 5 x 4 \(width x height\), its image 80 x 40",
    ),
    "size": (
        region(name="x", fields={"original_width": 81}),
        "drawn on an image of 81 x 40 .* which is 80 x 40",
    ),
    "rotated image": (
        region(name="x", fields={"image_rotation": 90}),
        "rotated by 90 degrees; rotate it back",
    ),
    "two shapes": (region("rectangle", "r0", x=1, y=1, width=9, height=9), "region r0 is a polygon already"),
    "free keypoint": (
        keypoint("x", "head"),
        "nothing says of which object: drag it onto its object's region",
    ),
    "keypoint of nothing": (keypoint("x", "head", "gone"), "nothing says of which object"),
    "keypoint outside": (keypoint("x", "head", "r0", x=101), "must be per cent, 0..100; got 101, 50"),
}


@pytest.mark.parametrize("name", BROKEN)
def test_a_broken_region_is_named_and_left_out(folder, name):
    broken, reason = BROKEN[name]
    with pytest.raises(ValueError, match=f"export.json: .*{reason}"):
        load_regions(folder, region(), broken)
    problems = []
    records, _ = load_regions(folder, region(), broken, problems=problems)
    assert len(problems) == 1 and re.search(f"export.json: .*{reason}", problems[0])
    np.testing.assert_array_equal(records[0].boxes, [[20, 10, 40, 30]])


def test_keypoints_that_are_unclear_are_named(folder):
    links = [{"type": "relation", "from_id": "k0", "to_id": name} for name in ("r0", "r1")]
    with pytest.raises(ValueError, match=r"region k0 of .*: it is a keypoint of several regions: r0, r1"):
        load_regions(folder, region(), region(name="r1"), keypoint("k0", "head"), *links)
    with pytest.raises(ValueError, match=r"region k1 .*: its object has another keypoint called 'head'"):
        load_regions(folder, region(), keypoint("k0", "head", "r0"), keypoint("k1", "head", "r0"))
    with pytest.raises(ValueError, match=r"it is a keypoint called 'head', which is none of tail"):
        load_regions(folder, region(), keypoint("k0", "head", "r0"), keypoint_names=["tail"])


def test_tasks_without_an_annotation_are_left_out_and_those_without_regions_are_not(folder):
    for name in "bcd":
        save(folder / f"{name}.png")
    records, _ = load(
        folder,
        task(annotation(region())),
        task(annotation(), image="b.png", number=6),
        task(image="c.png", number=7),
        task(annotation(region(), was_cancelled=True), image="d.png", number=8),
    )
    assert [len(record.boxes) for record in records] == [1, 0]
    assert "1 tasks that nobody has annotated are left out" in str(records.report)
    assert "1 tasks that were skipped are left out" in str(records.report)
    with pytest.raises(
        ValueError, match=r"export.json: there is nothing to read: 1 tasks that nobody has annotated"
    ):
        load(folder, task())


def test_of_several_annotations_one_must_be_chosen(folder):
    mine, yours = annotation(region()), annotation(region(), region(name="r1"), completed_by=2)
    with pytest.raises(
        ValueError, match=r"task 5: it has 2 annotations, by 1, 2: mark one as ground truth, or"
    ):
        load(folder, task(mine, yours))
    assert len(load(folder, task(mine, yours), completed_by=2)[0][0].boxes) == 2
    records, _ = load(folder, task(mine, {**yours, "ground_truth": True}))
    assert len(records[0].boxes) == 2 and "1 tasks have several annotations, of which the ground" in str(
        records.report
    )
    mine["completed_by"] = {"id": 1, "email": "me@example.org"}
    assert len(load(folder, task(mine, yours), completed_by="me@example.org")[0][0].boxes) == 1
    save(folder / "b.png")
    records, _ = load(folder, task(mine), task(yours, image="b.png", number=6), completed_by=2)
    assert len(records) == 1 and "1 tasks without an annotation by completed_by" in str(records.report)


def test_predictions_are_read_when_asked_for(folder):
    old = {"model_version": "v1", "result": [region()]}
    new = {"model_version": "v2", "result": [region(), region(name="r1")]}
    one = task(annotation(region()), predictions=[new])
    assert [len(load(folder, one, predictions=p)[0][0].boxes) for p in (False, True)] == [1, 2]
    both = task(annotation(), predictions=[old, new])
    with pytest.raises(ValueError, match=r"it has 2 predictions, of the model versions v1, v2"):
        load(folder, both, predictions=True)
    assert len(load(folder, both, predictions="v1")[0][0].boxes) == 1
    with pytest.raises(
        ValueError, match=r'its "predictions" are told by number only .* a snapshot has them whole'
    ):
        load(folder, task(annotation(), predictions=[17]), predictions=True)


def test_the_key_of_the_image_may_be_any(folder):
    assert (
        len(load(folder, {**task(annotation(region())), "data": {"$undefined$": "a.png", "id": 3}})[0]) == 1
    )
    two = {**task(annotation(region())), "data": {"photo": "a.png", "text": "a nut"}}
    with pytest.raises(
        ValueError, match=r"task 5: its \"data\" has no 'image' but 'photo', 'text': image_key must say"
    ):
        load(folder, two)
    assert len(load(folder, two, image_key="photo")[0]) == 1
    with pytest.raises(ValueError, match=r"as 'image'; got \['a.png'\]; tasks of several pages are not read"):
        load(folder, {**task(annotation(region())), "data": {"image": ["a.png"]}})


def test_two_tasks_of_one_image_are_named(folder):
    with pytest.raises(ValueError, match=r"task 6: task 5 has the objects of its image a.png"):
        load(folder, task(annotation(region()), image="a.png"), task(annotation(), image="a.png", number=6))
    uploads = (task(annotation(region()), image=f"/data/upload/1/{n}a1b2c3d-a.png", number=n) for n in (1, 2))
    with pytest.raises(ValueError, match=r"all lead to one file"):
        load(folder, *uploads)


def test_a_missing_image_is_named(folder):
    with pytest.raises(ValueError, match=r"gone\.png"):
        load(folder, task(annotation(region()), image="/data/upload/1/0a1b2c3d-gone.png"))


OTHER_EXPORTS = {
    "JSON_MIN": (
        [{"image": "a.png", "label": [], "annotator": 1, "annotation_id": 3}],
        'JSON_MIN, .* as "JSON"',
    ),
    "an annotation": ({"id": 1, "result": [], "task": {}}, 'one annotation of Label Studio.* as "JSON"'),
    "old": ([{"id": 1, "data": {}, "completions": []}], 'before 1.0 \\("completions"\\)'),
    "nothing": ([], "it is a list of tasks"),
    "others": ([{"id": 1}], 'no tasks with "data" and "annotations"'),
}


@pytest.mark.parametrize("name", OTHER_EXPORTS)
def test_other_exports_are_refused_by_name(folder, name):
    content, reason = OTHER_EXPORTS[name]
    (folder / "export.json").write_text(json.dumps(content))
    with pytest.raises(ValueError, match=f"export.json: .*{reason}"):
        load_label_studio(folder / "export.json", folder)


def test_tables_are_found_and_refused(folder):
    for name, mark in (("export.csv", ","), ("export.tsv", "\t")):
        (folder / name).write_text(mark.join(['"annotation_id"', '"annotator"', '"id"', '"image"']) + "\r\n")
        assert find_format(folder / name).name == "label-studio"
        with pytest.raises(ValueError, match=r'this is a table, .* export the project as "JSON"'):
            load_label_studio(folder / name, folder)


def test_the_command_line_says_whose_annotations_are_read(folder):
    yours = annotation(region(), region(name="r1"), completed_by=2)
    (folder / "export.json").write_text(json.dumps([task(annotation(region()), yours)]))
    command = ["to-coco", str(folder / "export.json"), str(folder / "coco.json"), "--images", str(folder)]
    assert main([*command, "--completed-by", "2"]) == 0
    assert len(json.loads((folder / "coco.json").read_text())["annotations"]) == 2
