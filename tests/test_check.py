"""The dataset check: each fault is found, with its image and object, and nothing else is."""

import base64
import dataclasses
import html.parser
import io
import json
import os
import re
import threading
import unittest.mock
from pathlib import Path

import numpy as np
import pytest
from examples import drawn_records, tiny
from PIL import Image

import keras_maskrcnn as km
from keras_maskrcnn.advice import AnchorChoice
from keras_maskrcnn.checking.findings import Finding
from keras_maskrcnn.checking.sizes import anchor_findings
from keras_maskrcnn.data.report import LoadReport, Records
from keras_maskrcnn.images import image_size

CONFIG = tiny()
HEIGHT, WIDTH = 64, 80
SQUARE = [[10, 10, 30, 10, 30, 30, 10, 30]]


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """Eleven pictures as files, with an object of each class."""
    folder = tmp_path_factory.mktemp("pictures")
    records = []
    for number, record in enumerate(drawn_records(11)):
        path = folder / f"{number}.png"
        Image.fromarray(record.image).save(path)
        records.append(dataclasses.replace(record, image=str(path)))
    return records


def check(records, **arguments):
    arguments.setdefault("config", CONFIG)
    return km.check_dataset(records, **arguments)


def with_fault(files, **fields):
    """The records, the third of them with other fields."""
    changed = list(files)
    changed[2] = dataclasses.replace(files[2], **fields)
    return changed


def with_object(files, position=1, **values):
    """The records, of the third one with other values of one object: box=, class_id=, mask=."""
    record = files[2]
    boxes, class_ids, masks = record.boxes.copy(), record.class_ids.copy(), list(record.masks)
    if "box" in values:
        boxes[position] = values["box"]
    if "class_id" in values:
        class_ids[position] = values["class_id"]
    if "mask" in values:
        masks[position] = values["mask"]
    return with_fault(files, boxes=boxes, class_ids=class_ids, masks=tuple(masks))


def only(report) -> Finding:
    assert len(report.findings) == 1, str(report)
    return report.findings[0]


def test_a_clean_dataset_has_no_findings(files):
    validation = drawn_records(10, seed=1)
    report = check(files, validation=validation, class_names=["circle", "square"])
    assert report.findings == [] and report.ok
    assert str(report).startswith(
        "11 training images with 22 objects (0 crowds) and 10 validation images with 20 objects (0 crowds)\n"
        "nothing found"
    )
    assert report.class_counts == {"circle": [11, 10], "square": [11, 10]}
    assert check(files, config=None).findings == []


OBJECT_FAULTS = {
    "reaches to the right of the image": ({"box": [20, 5, WIDTH + 9, 40]}, "box outside the image", "reaches outside"),
    "reaches to the left of the image": ({"box": [-9, 5, 60, 40]}, "box outside the image", "reaches outside"),
    "has its corners swapped": ({"box": [60, 40, 20, 5]}, "inverted box", "inverted"),
    "is x, y, width, height": (
        {"box": [50, 40, 20, 15], "mask": [[50, 40, 70, 40, 70, 55, 50, 55]]},
        "box as x, y, width, height",
        "inverted.* it fits as x, y, width, height",
    ),
    "is a point": ({"box": [20, 5, 20, 5]}, "box without area", r"\[20, 5, 20, 5\] has no area"),
    "is not a number": ({"box": [20, 5, np.nan, 40]}, "box that is not finite", "not finite"),
    "has a class without a name": ({"class_id": 3}, "unknown class", r"class id 3 is outside 1\.\.2"),
    "has a polygon of two points": ({"mask": [[1, 2, 3, 4]]}, "polygon", "at least 3 points"),
    "has a polygon that is not nested": ({"mask": SQUARE[0]}, "polygon", "one flat list"),
    "has an empty mask": ({"mask": {"size": [64, 80], "counts": [64 * 80]}}, "empty mask", "its mask is empty"),
    "has run lengths of another size": ({"mask": {"size": [9, 9], "counts": [81]}}, "run lengths", "size"),
    "has a mask elsewhere": (
        {"mask": SQUARE, "box": [50, 40, 70, 60]},
        "mask outside its box",
        "lies outside its box",
    ),
    "has a mask that is much smaller than its box": (
        {"mask": [[10, 10, 20, 10, 20, 20, 10, 20]], "box": [10, 10, 40, 40]},
        "mask and box disagree",
        r"spans \[10, 10, 20, 20\] and its box \[10, 10, 40, 40\]: IoU 0.11",
    ),
    "has x, y, width, height that are corners too": (
        {"mask": SQUARE, "box": [10, 10, 20, 20]},
        "box as x, y, width, height",
        "fits its mask only as x, y, width, height",
    ),
}  # fmt: skip


@pytest.mark.parametrize("fault", OBJECT_FAULTS)
def test_an_object_that(fault, files):
    values, kind, reason = OBJECT_FAULTS[fault]
    found = only(check(with_object(files, **values)))
    assert (found.kind, found.image, found.object, found.position) == (kind, files[2].image, 1, 2)
    assert found.severity == ("warning" if kind == "mask and box disagree" else "error")
    assert re.search(reason, found.reason)


def test_an_inverted_box_without_a_mask_is_read_by_its_image(files):
    boxes = files[2].boxes.copy()
    boxes[1] = [60, 40, 20, 5]
    config = tiny(mask_head="none")
    assert (
        only(check(with_fault(files, boxes=boxes, masks=None), config=config)).kind
        == "box as x, y, width, height"
    )
    boxes[1] = [60, 40, 30, 5]
    assert only(check(with_fault(files, boxes=boxes, masks=None), config=config)).kind == "inverted box"


def test_an_object_annotated_twice(files):
    record = files[2]
    found = only(check(with_fault(files, **appended(record, record.boxes[1] + 0.2, 1, record.masks[1]))))
    assert (found.severity, found.kind, found.object) == ("warning", "object annotated twice", 2)
    assert "objects 1 and 2" in found.reason
    assert not check(with_fault(files, **appended(record, record.boxes[1], 2, record.masks[1]))).findings


def test_two_objects_that_cross_in_one_box_are_two(files):
    masks = [[[0, 0, 10, 0, 40, 40, 30, 40]], [[30, 0, 40, 0, 10, 40, 0, 40]]]
    fields = {"boxes": np.array([[0, 0, 40, 40]] * 2, np.float32), "masks": tuple(masks)}
    assert not check(with_fault(files, **fields, class_ids=np.array([1, 1]))).findings


def appended(record, box, class_id, mask):
    """The fields of a record with one object more."""
    return {
        "boxes": np.concatenate([record.boxes, [box]]).astype(np.float32),
        "class_ids": np.append(record.class_ids, class_id).astype(np.int32),
        "masks": (*record.masks, mask),
        "crowd": np.append(record.crowd, False),
        "areas": np.append(record.areas, 1).astype(np.float32),
    }


def test_fields_of_different_lengths(files):
    found = only(check(with_fault(files, masks=files[2].masks[:1])))
    assert (found.kind, found.image, found.reason) == ("record", files[2].image, "2 boxes but 1 masks")


def test_keypoints(files):
    points = np.full((2, 1, 3), 2, np.float32)
    points[1, 0] = [20, 20, 7]
    found = only(check(with_fault(files, keypoints=points)))
    assert (found.severity, found.kind, found.object) == ("error", "keypoints", 1)
    points[1, 0] = [WIDTH + 5, 20, 2]
    found = only(check(with_fault(files, keypoints=points)))
    assert (found.severity, found.kind, found.object) == ("warning", "keypoint outside the image", 1)
    points[1, 0] = [WIDTH + 5, 20, 0]
    assert not check(with_fault(files, keypoints=points)).findings


def test_records_without_what_the_model_learns(files):
    found = only(check(with_fault(files, masks=None)))
    assert (found.severity, found.kind, found.image) == ("error", "not what the model learns", files[2].image)
    assert "no masks" in found.reason
    assert not check(with_fault(files, masks=None), config=tiny(mask_head="none")).findings
    report = check(files, config=tiny(keypoint_names=("nose",)))
    assert len(report.findings) == 11 and "no keypoints" in report.findings[0].reason


def test_a_missing_image(files, tmp_path):
    found = only(check(with_fault(files, image=str(tmp_path / "none.png"))))
    assert (found.severity, found.kind, found.image) == ("error", "missing image", str(tmp_path / "none.png"))
    assert found.reason == "there is no such image file"


@pytest.mark.parametrize("ending", ["jpg", "png"])
def test_an_image_that_is_cut_off(ending, files, tmp_path):
    path = tmp_path / f"cut.{ending}"
    pixels = np.random.default_rng(0).integers(0, 255, (HEIGHT, WIDTH, 3), np.uint8)
    Image.fromarray(pixels).save(path)
    path.write_bytes(path.read_bytes()[:-900])
    assert image_size(path) == (HEIGHT, WIDTH)  # the header is whole
    found = only(check(with_fault(files, image=str(path))))
    assert (found.severity, found.kind, found.image) == ("error", "unreadable image", str(path))
    assert "truncated" in found.reason
    assert not check(with_fault(files, image=str(path)), quick=True).findings


def test_an_image_of_another_size(files, tmp_path):
    path = tmp_path / "other.png"
    Image.new("RGB", (WIDTH + 1, HEIGHT)).save(path)
    found = only(check(with_fault(files, image=str(path))))
    assert (found.kind, found.image) == ("image size", str(path))
    assert found.reason == "the image is 81 x 64 (width x height), but annotated as 80 x 64"
    found = only(check(with_fault(files, image=np.zeros((HEIGHT, WIDTH - 1, 3), np.uint8))))
    assert (found.kind, found.image) == ("image size", "image 'drawn 2'")


def test_annotations_made_on_the_image_before_its_exif_turn(files, tmp_path):
    turned = turned_picture(tmp_path, 6)
    found = only(check(with_fault(files, image=turned)))
    assert (found.severity, found.kind, found.image) == ("error", "EXIF orientation", turned)
    assert "displayed as 64 x 80 (width x height), but annotated as 80 x 64" in found.reason


def test_an_exif_turn_that_sizes_cannot_tell(files, tmp_path):
    turned = turned_picture(tmp_path, 3)
    found = only(check(with_fault(files, image=turned)))
    assert (found.severity, found.kind, found.image) == ("note", "EXIF orientation", turned)
    assert not check(with_fault(files, image=turned_picture(tmp_path, 1))).findings


def turned_picture(folder, orientation):
    exif = Image.Exif()
    exif[0x0112] = orientation
    Image.new("RGB", (WIDTH, HEIGHT)).save(folder / "turned.jpg", exif=exif)
    return str(folder / "turned.jpg")


def test_an_id_that_occurs_twice(files):
    found = only(check(with_fault(files, image_id=files[0].image_id)))
    assert (found.severity, found.kind, found.image) == ("error", "image id twice", files[2].image)
    assert files[0].image in found.reason


def test_an_image_that_occurs_twice(files, tmp_path):
    copy = tmp_path / "copy.png"
    copy.write_bytes(Path(files[0].image).read_bytes())
    found = only(check(with_fault(files, image=str(copy))))
    assert (found.severity, found.kind, found.image) == ("warning", "image twice", str(copy))
    assert files[0].image in found.reason
    arrays = drawn_records(11)
    found = only(check(with_fault(arrays, image=arrays[0].image)))
    assert (found.kind, found.image) == ("image twice", "image 'drawn 2'")


def test_an_image_that_is_in_both_splits(files, tmp_path):
    copy = tmp_path / "copy.png"
    copy.write_bytes(Path(files[0].image).read_bytes())
    validation = with_fault(drawn_records(10, seed=1), image=str(copy))
    found = only(check(files, validation=validation))
    assert (found.severity, found.kind, found.image) == ("warning", "image in both splits", files[0].image)
    assert str(copy) in found.reason
    validation = with_fault(drawn_records(10, seed=1), image=files[0].image)
    assert only(check(files, validation=validation, quick=True)).kind == "image in both splits"


def test_an_image_without_objects(files):
    nothing = {"boxes": np.zeros((0, 4), np.float32), "class_ids": np.zeros(0, np.int32), "masks": ()}
    more = dataclasses.replace(drawn_records(1, seed=2)[0], image_id="extra")
    rest = {"crowd": np.zeros(0, bool), "areas": np.zeros(0, np.float32)}
    found = only(check([*files, dataclasses.replace(more, **nothing, **rest)]))
    assert (found.severity, found.kind, found.image) == ("note", "image without objects", "image 'extra'")
    found = [
        one
        for one in check([dataclasses.replace(more, **nothing, **rest)]).findings
        if one.severity == "error"
    ]
    assert [(one.kind, one.split) for one in found] == [("no objects", "training")]


def test_a_class_with_few_objects(files):
    found = only(check([*files[:9], without_circle(files[9])]))
    assert (found.severity, found.kind, found.count) == ("note", "class with few objects", 9)
    assert "circle has only 9 objects" in found.reason


def test_a_class_without_objects(files):
    found = only(check(files, config=tiny(class_names=("circle", "square", "star"))))
    assert (found.severity, found.kind, found.count) == ("warning", "class without objects", 0)
    assert "star has no object" in found.reason


def test_classes_that_differ_between_the_splits(files):
    validation = [without_circle(record) for record in drawn_records(10, seed=1)]
    found = only(check(files, validation=validation))
    assert (found.severity, found.kind, found.split) == ("note", "class not validated", "validation")
    assert "circle has 11 objects to train on and none to validate on" in found.reason
    validation = with_object(drawn_records(10, seed=1), class_id=3)
    config = tiny(class_names=("circle", "square", "star"))
    kinds = {one.kind: one for one in check(files, validation=validation, config=config).findings}
    assert kinds.keys() == {"class without objects", "class not trained"}
    assert "star has 1 objects to validate on and none to train on" in kinds["class not trained"].reason


def without_circle(record):
    """The record without its second object, which is a circle."""
    fields = {name: getattr(record, name)[:1] for name in ("boxes", "class_ids", "masks", "crowd", "areas")}
    return dataclasses.replace(record, **fields)


def test_everything_marked_as_crowd(files):
    crowds = [dataclasses.replace(record, crowd=np.ones(2, bool)) for record in files]
    found = only(check(crowds))
    assert (found.severity, found.kind, found.count) == ("error", "everything is a crowd", 22)
    assert '"iscrowd": 0' in found.reason


def test_objects_that_train_no_anchor(files):
    report = check(files, config=tiny(anchor_sizes=((200,),) * 5))
    found = only(report)
    assert (found.severity, found.kind, found.image) == ("warning", "objects without anchors", None)
    assert report.anchors.lost == 0.5 and found.count == 11
    assert "50% of the objects train no anchor" in found.reason
    better = dataclasses.replace(report.anchors, choices=(AnchorChoice({"anchor_sizes": ((8,),)}, 0.9),))
    (found,) = anchor_findings(better)
    assert found.reason.endswith("by 0.7 or more, 0% overlap one, and 90% with anchor_sizes=((8,),)")
    assert not list(anchor_findings(dataclasses.replace(better, lost=0.09)))
    assert str(report.anchors) in str(report)


def test_the_memory_of_a_training_step(files, monkeypatch):
    estimate = unittest.mock.Mock(return_value=3 * 2**29)
    monkeypatch.setattr("keras_maskrcnn.checking.check.training_memory", estimate)
    monkeypatch.setattr(os, "sysconf", {"SC_PHYS_PAGES": 3 * 2**17, "SC_PAGE_SIZE": 4096}.__getitem__)
    report = check(with_object(files, box=[20, 5, 20, 5]), batch_size=3)
    assert estimate.call_args.args == (CONFIG, 3, files[:2] + files[3:])  # without what is broken
    assert len(report.findings) == 1 and (report.memory, report.batch_size) == (3 * 2**29, 3)
    assert "Memory: a training step of 3 images takes about 1.5 GiB" in str(report)
    assert json.loads(report.to_json())["memory"] == {"batch_size": 3, "bytes": 3 * 2**29}
    monkeypatch.setattr(os, "sysconf", {"SC_PHYS_PAGES": 2**18, "SC_PAGE_SIZE": 4096}.__getitem__)
    found = only(check(files, batch_size=3))
    assert (found.severity, found.kind) == ("warning", "memory")
    assert "needs about 1.5 GiB, and this machine has 1.0 GiB" in found.reason


def test_broken_objects_are_no_part_of_the_anchor_advice(files):
    assert check(with_object(files, box=[20, 5, np.nan, 40])).anchors == check(files[:2] + files[3:]).anchors


def test_what_a_reader_refused_and_left_out(files):
    records = Records(files, LoadReport(unusable={"an empty mask": [7, 8, 9, 10, 11, 12]}))
    problems = [
        "train.json: annotation 5: image some/a.png: box x1=9 y1=9 x2=1 y2=1 is inverted: x1 < x2 is needed",
        "train.json: some/b.jpg: there is no such image file",
        'train.json: image 10: it has no "file_name"',
        "via.json: region 3 of c.png: its shape is 'polyline'",
        "labels: a.txt line 3: it must hold numbers only",
        "labelled: 4.json: shape 1: a circle has 2 points",
    ]
    report = check(records, problems=problems)
    *refused, left_out = report.findings
    assert [(one.severity, one.kind, one.image, one.object) for one in refused] == [
        ("error", "refused", "some/a.png", "annotation 5"),
        ("error", "refused", "some/b.jpg", None),
        ("error", "refused", None, None),
        ("error", "refused", "c.png", "region 3 of c.png"),
        ("error", "refused", None, "a.txt line 3"),
        ("error", "refused", None, "shape 1"),
    ]
    assert [str(one) for one in refused] == [
        "some/a.png, annotation 5: box x1=9 y1=9 x2=1 y2=1 is inverted: x1 < x2 is needed (in train.json)",
        "some/b.jpg: there is no such image file (in train.json)",
        'image 10: it has no "file_name" (in train.json)',
        "c.png, region 3 of c.png: its shape is 'polyline' (in via.json)",
        "a.txt line 3: it must hold numbers only (in labels)",
        "shape 1: 4.json: a circle has 2 points (in labelled)",
    ]
    assert (left_out.severity, left_out.kind, left_out.count) == ("warning", "object left out", 6)
    assert left_out.reason == "left out for having an empty mask: annotation 7, 8, 9, 10, 11, ..."


def test_a_refused_object_does_not_make_its_image_one_without_objects(files):
    record = files[2]
    nothing = {"boxes": np.zeros((0, 4), np.float32), "class_ids": np.zeros(0, np.int32), "masks": ()}
    rest = {"crowd": np.zeros(0, bool), "areas": np.zeros(0, np.float32)}
    problems = [f"train.json: annotation 5: image {record.image}: it is wrong"]
    assert only(check(with_fault(files, **nothing, **rest), problems=problems)).kind == "refused"
    assert only(check([], problems=problems)).kind == "refused"


def test_a_check_needs_records_and_a_config_of_their_classes(files):
    with pytest.raises(ValueError, match="needs records"):
        check([])
    with pytest.raises(ValueError, match="class_names has 1 names; the config has 2 classes"):
        check(files, class_names=["circle"])


def test_any_sequence_of_records_is_checked_and_asked_from_one_thread_only(files):
    threads = set()

    class Drawn:
        def __len__(self):
            return len(files)

        def __getitem__(self, index):
            threads.add(threading.get_ident())
            return files[index]

    assert check(Drawn()).findings == []
    assert threads == {threading.get_ident()}


def test_the_quick_check_reads_no_pixels_and_no_masks(files, tmp_path):
    path = tmp_path / "broken.png"
    path.write_bytes(b"no picture")
    records = with_object(files, mask=[[1, 2, 3, 4]])
    records[5] = dataclasses.replace(records[5], image=str(path))
    assert check(records, quick=True).findings == []
    assert {one.kind for one in check(records).findings} == {"polygon", "unreadable image"}
    found = only(check(with_object(files, box=[20, 5, 20, 5]), quick=True))
    assert (found.kind, found.object) == ("box without area", 1)


def test_the_report_as_json_has_all_findings(files):
    report = check(with_object(files, box=[20, 5, 20, 5]), validation=drawn_records(10, seed=1))
    content = json.loads(report.to_json())
    assert content["counts"] == {"error": 1, "warning": 0, "note": 0}
    assert content["splits"]["validation"] == {"images": 10, "objects": 20, "crowds": 0}
    assert content["classes"] == {"circle": [11, 10], "square": [11, 10]}
    assert content["anchors"]["objects"] == 20
    (found,) = content["findings"]
    assert (found["image"], found["object"], found["split"]) == (files[2].image, 1, "training")


def test_the_text_lists_the_most_severe_first_and_says_how_many_are_left(files):
    records = [dataclasses.replace(record, image="none.png") for record in drawn_records(30)]
    text = str(check(records, validation=records[:1], config=None))
    errors, warnings = text.index("error: missing image (31)"), text.index("warning: image in both")
    assert errors < warnings and "... and 11 more" in text


class Page(html.parser.HTMLParser):
    """The pictures of a page, its text, and where it leads to."""

    def __init__(self, text):
        super().__init__()
        self.pictures, self.links, self.tags, self.text = [], [], set(), ""
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.tags.add(tag)
        for name, value in attrs:
            if name == "src" and value.startswith("data:image/jpeg;base64,"):
                picture = Image.open(io.BytesIO(base64.b64decode(value.partition(",")[2])))
                self.pictures.append(np.asarray(picture).astype(int))
            elif name in ("src", "href", "action"):
                self.links.append(value)

    def handle_data(self, data):
        self.text += data


def test_the_page_shows_what_is_wrong_and_needs_no_other_file(files, tmp_path):
    folder = tmp_path / '<b>&amp; "x"'
    folder.mkdir()
    path = folder / "gray.png"
    Image.new("RGB", (WIDTH, HEIGHT), (90, 90, 90)).save(path)
    records = with_object(files, box=[40, 5, WIDTH + 20, 40], mask=[[40, 5, 70, 5, 70, 40, 40, 40]])
    records[2] = dataclasses.replace(records[2], image=str(path))
    report = check(records, class_names=["<script>alert(1)</script>", "b"])
    report.write_html(tmp_path / "report.html")
    page = Page((tmp_path / "report.html").read_text(encoding="utf-8"))
    assert page.links == [] and "script" not in page.tags
    assert f"{path}, object 1" in page.text and "reaches outside the image" in page.text
    assert "<script>alert(1)</script>" in page.text
    (picture,) = page.pictures
    assert picture.shape == (HEIGHT, WIDTH + 20, 3)  # to where the box ends
    assert (
        abs(picture[-3, 3] - 90).max() < 8 and abs(picture[-3, -3] - 150).max() < 8
    )  # the image, and its margin
    assert picture[30, 60, 0] > picture[30, 60, 1] + 20  # the mask, reddish


def test_the_page_goes_without_the_picture_of_a_broken_image(files, tmp_path):
    path = tmp_path / "broken.png"
    path.write_bytes(b"no picture")
    report = check(with_fault(files, image=str(path)), problems=[f"train.json: {path}: it is broken"])
    report.write_html(tmp_path / "report.html")
    page = Page((tmp_path / "report.html").read_text(encoding="utf-8"))
    assert page.pictures == [] and page.text.count("no picture can be shown") == 2
