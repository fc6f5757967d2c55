"""Records as they were read: with a report, and with their names in every part."""

import json

import numpy as np
import pytest

from keras_maskrcnn.data.formats.coco import load_coco
from keras_maskrcnn.data.formats.coco_writer import write_coco
from keras_maskrcnn.data.records import make_record
from keras_maskrcnn.data.report import Records


@pytest.fixture
def records(tmp_path):
    """Three images, of which the second has no objects and the first one that is left out."""
    made = [
        make_record(
            np.zeros((20, 30, 3), np.uint8), boxes, [2] * len(boxes), keypoints=points, image_id=number
        )
        for number, boxes, points in (
            (7, [[1, 2, 4, 6], [5, 5, 8, 9]], np.ones((2, 1, 3))),
            (8, [], np.zeros((0, 1, 3))),
            (9, [[0, 0, 9, 9]], np.ones((1, 1, 3))),
        )
    ]
    path = tmp_path / "coco.json"
    write_coco(
        path, made, ["bolt", "nut"], tmp_path, save_images=True, category_ids=[3, 5], keypoint_names=["tip"]
    )
    content = json.loads(path.read_text())
    content["annotations"][1]["bbox"][2] = 0
    path.write_text(json.dumps(content))
    return load_coco(path, tmp_path)[0]


def test_all_that_is_read_knows_its_names(records):
    assert records.class_names == records[1].class_names == records[:1][0].class_names == ("bolt", "nut")
    assert records.keypoint_names == records[-1].keypoint_names == ("tip",)
    assert [record.class_names for record in records + records] == 6 * [("bolt", "nut")]


def test_a_slice_has_a_report_of_its_own(records):
    part = records[1:]
    assert isinstance(part, Records) and [record.image_id for record in part] == [8, 9]
    assert (part.report.images, part.report.empty_images, part.report.objects) == (2, 1, 1)
    assert part.class_names == ("bolt", "nut") and part.report.category_ids == [3, 5]
    assert records.report.unusable and not part.report.unusable
    assert (records.report.images, records.report.objects) == (3, 2)
    assert list(records[::-1]) == list(records)[::-1]
