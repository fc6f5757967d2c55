"""Records of any format written in any that has a writer, and read back."""

from pathlib import Path

import numpy as np
import pytest
from dataset_files import WRITERS
from made_images import CLASSES
from written import masks_of

from keras_maskrcnn.data.formats import FORMATS
from keras_maskrcnn.data.formats.load import load_dataset
from keras_maskrcnn.data.formats.write import write_dataset

WRITABLE = [row.name for row in FORMATS if row.write is not None]


@pytest.mark.parametrize("format", WRITABLE)
@pytest.mark.parametrize("name", ["coco", "labelme", "label images", "rle-csv"])
def test_what_is_written_is_read_back_as_the_same_masks(tmp_path, name, format):
    if (name, format) == ("labelme", "label-studio"):
        pytest.skip(
            "an image that labelme embedded is no file, which Label Studio needs; its writer refuses it"
        )
    records, names = load_dataset(*WRITERS[name](tmp_path / "given"))
    row = next(row for row in FORMATS if row.name == format)
    target = tmp_path / "written" / row.file_name
    (tmp_path / "written").mkdir()
    write_dataset(target, records, names, format, scores=[np.full(len(r.boxes), 0.5) for r in records])
    predictions = {"predictions": True} if format == "label-studio" else {}
    images = tmp_path / "written" if row.needs_images else None
    if format == "label-studio":  # which refers to the images where they are
        images = Path(records[0].image).parent
    again, names_again = load_dataset(target, images, class_names=names, **predictions)
    assert names_again == names == CLASSES and len(again) == len(records)
    by_objects = {tuple(record.class_ids.tolist()): record for record in again}
    for record in records:
        copy = by_objects[tuple(record.class_ids.tolist())]
        np.testing.assert_array_equal(masks_of(copy), masks_of(record))


@pytest.mark.parametrize("format", WRITABLE)
def test_a_wrong_last_record_leaves_no_file(tmp_path, format):
    records, names = load_dataset(*WRITERS["coco"](tmp_path / "given"))
    records = sorted(records, key=lambda record: len(record.boxes))
    records[-1].class_ids[0] = len(names) + 1
    row = next(row for row in FORMATS if row.name == format)
    (tmp_path / "written").mkdir()
    with pytest.raises(ValueError, match=records[-1].name):
        write_dataset(tmp_path / "written" / row.file_name, records, names, format)
    assert [path for path in (tmp_path / "written").rglob("*") if path.is_file()] == []


def test_a_format_that_is_only_read_is_refused(tmp_path):
    with pytest.raises(ValueError, match=r"can be written, coco, .*labelme.*yolo.*; got 'voc'"):
        write_dataset(tmp_path, [], [], "voc")
