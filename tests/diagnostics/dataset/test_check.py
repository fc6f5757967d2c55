"""The dataset check: what it asks of records, model and machine; the other files here have the issues it reports."""

import dataclasses
import json
import os
import threading
import unittest.mock

import numpy as np
import pytest
from examples import drawn_records, tiny
from faults import CONFIG, check, only, with_fault, with_object

from keras_maskrcnn.data.report import LoadReport, Records
from keras_maskrcnn.diagnostics.anchors import AnchorChoice
from keras_maskrcnn.diagnostics.dataset.sizes import anchor_issues


def test_a_clean_dataset_has_no_issues(files):
    validation = drawn_records(10, seed=1)
    report = check(files, validation=validation, class_names=["circle", "square"])
    assert report.issues == [] and report.ok
    assert str(report).startswith(
        "11 training images with 22 objects (0 crowds) and 10 validation images with 20 objects (0 crowds)\n"
        "no issues"
    )
    assert report.class_counts == {"circle": [11, 10], "square": [11, 10]}
    assert check(files, config=None).issues == []


def test_objects_that_train_no_anchor(files):
    report = check(files, config=tiny(anchor_sizes=((200,),) * 5))
    found = only(report)
    assert (found.severity, found.kind, found.image) == ("warning", "objects without anchors", None)
    assert report.anchors.lost == 0.5 and found.count == 11
    assert "50% of the objects train no anchor" in found.reason
    better = dataclasses.replace(report.anchors, choices=(AnchorChoice({"anchor_sizes": ((8,),)}, 0.9),))
    (found,) = anchor_issues(better)
    assert found.reason.endswith("by 0.7 or more, 0% overlap one, and 90% with anchor_sizes=((8,),)")
    assert not list(anchor_issues(dataclasses.replace(better, lost=0.09)))
    assert str(report.anchors) in str(report)


def test_the_memory_of_a_training_step(files, monkeypatch):
    estimate = unittest.mock.Mock(return_value=3 * 2**29)
    monkeypatch.setattr("keras_maskrcnn.diagnostics.dataset.check.training_memory", estimate)
    monkeypatch.setattr(os, "sysconf", {"SC_PHYS_PAGES": 3 * 2**17, "SC_PAGE_SIZE": 4096}.__getitem__)
    report = check(with_object(files, box=[20, 5, 20, 5]), batch_size=3)
    assert estimate.call_args.args == (CONFIG, 3, files[:2] + files[3:])  # without what is broken
    assert len(report.issues) == 1 and (report.memory, report.batch_size) == (3 * 2**29, 3)
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
        "labels: line 3 of a.txt: it must hold numbers only",
        "labelled: 4.json: shape 1: a circle has 2 points",
    ]
    report = check(records, problems=problems)
    *refused, left_out = report.issues
    assert [(one.severity, one.kind, one.image, one.object) for one in refused] == [
        ("error", "refused", "some/a.png", "annotation 5"),
        ("error", "refused", "some/b.jpg", None),
        ("error", "refused", None, None),
        ("error", "refused", "c.png", "region 3 of c.png"),
        ("error", "refused", "a.txt", "line 3 of a.txt"),
        ("error", "refused", None, "shape 1"),
    ]
    assert [str(one) for one in refused] == [
        "some/a.png, annotation 5: box x1=9 y1=9 x2=1 y2=1 is inverted: x1 < x2 is needed (in train.json)",
        "some/b.jpg: there is no such image file (in train.json)",
        'image 10: it has no "file_name" (in train.json)',
        "c.png, region 3 of c.png: its shape is 'polyline' (in via.json)",
        "a.txt, line 3 of a.txt: it must hold numbers only (in labels)",
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

    assert check(Drawn()).issues == []
    assert threads == {threading.get_ident()}


def test_the_quick_check_reads_no_pixels_and_no_masks(files, tmp_path):
    path = tmp_path / "broken.png"
    path.write_bytes(b"no image")
    records = with_object(files, mask=[[1, 2, 3, 4]])
    records[5] = dataclasses.replace(records[5], image=str(path))
    assert check(records, quick=True).issues == []
    assert {one.kind for one in check(records).issues} == {"polygon", "unreadable image"}
    found = only(check(with_object(files, box=[20, 5, 20, 5]), quick=True))
    assert (found.kind, found.object) == ("box without area", 1)
