"""Every format is read as it was drawn, and comes back equal from the COCO file that is written of it."""

from pathlib import Path

import numpy as np
import pycocotools.mask as coco_mask
import pytest
from dataset_files import WRITERS
from made_images import CLASSES, HEIGHT, WIDTH, made_images
from places import COCO_MINI

from keras_maskrcnn.data.formats.coco import load_coco
from keras_maskrcnn.data.formats.coco_writer import write_coco
from keras_maskrcnn.data.formats.load import load_dataset
from keras_maskrcnn.images.io import read_image
from keras_maskrcnn.masks.rle import segmentation_to_mask, segmentation_to_rle


def iou(one, other):
    return (one & other).sum() / (one | other).sum()


def masks_of(record):
    return [segmentation_to_mask(mask, record.height, record.width) for mask in record.masks]


def assert_equal(records, again):
    """Each field of each record; masks by their pixels."""
    assert len(records) == len(again)
    for one, other in zip(records, again, strict=True):
        for field in ("image_id", "height", "width"):
            assert getattr(one, field) == getattr(other, field)
        for field in ("boxes", "class_ids", "crowd", "areas"):
            np.testing.assert_array_equal(getattr(one, field), getattr(other, field))
        if one.keypoints is None:
            assert other.keypoints is None
        else:
            np.testing.assert_array_equal(one.keypoints, other.keypoints)
        size = one.height, one.width
        for mask, copy in zip(one.masks, other.masks, strict=True):
            assert segmentation_to_rle(mask, *size) == segmentation_to_rle(copy, *size)
            assert isinstance(mask, list) == isinstance(copy, list)


@pytest.mark.parametrize("name", WRITERS)
def test_every_format_is_read_as_drawn(tmp_path, name):
    annotations, images = WRITERS[name](tmp_path)
    records, names = load_dataset(annotations, images)
    assert names == CLASSES and records.report.unusable == {}
    by_name = {Path(record.image).stem: record for record in records}
    found = []
    for image in made_images():
        record = by_name.pop(image.name)
        assert (record.height, record.width, len(record.boxes)) == (HEIGHT, WIDTH, len(image.shapes))
        pixels = read_image(record.image).astype(int)
        assert np.abs(pixels - image.pixels()).mean() < 12  # VOC's images are JPEG
        masks = masks_of(record)
        for shape in image.shapes:
            truth = shape.mask()
            best = max(range(len(masks)), key=lambda index: iou(masks[index], truth))
            assert names[record.class_ids[best] - 1] == shape.class_name
            np.testing.assert_allclose(record.boxes[best], shape.box(), atol=0.5)
            found.append(iou(masks[best], truth))
    assert not by_name and min(found) >= 0.98


@pytest.mark.parametrize("name", WRITERS)
def test_every_format_comes_back_equal_from_coco(tmp_path, name):
    annotations, images = WRITERS[name](tmp_path / "there")
    records, names = load_dataset(annotations, images)
    write_coco(tmp_path / "coco.json", records, names, tmp_path / "saved", save_images=True)
    again, names_again = load_coco(tmp_path / "coco.json", tmp_path / "saved")
    assert names_again == names
    assert_equal(records, again)
    for one, other in zip(records, again, strict=True):
        np.testing.assert_array_equal(read_image(one.image), read_image(other.image))


@pytest.mark.skipif(not COCO_MINI.exists(), reason="the COCO sample is not on this machine")
@pytest.mark.parametrize("kind", ["instances", "person_keypoints"])
def test_real_coco_comes_back_equal(tmp_path, kind):
    images = COCO_MINI / "val2017"
    records, names = load_coco(COCO_MINI / "annotations" / f"{kind}_val2017.json", images)
    ids = records.report.category_ids
    write_coco(tmp_path / "coco.json", records, names, images, category_ids=ids)
    again, names_again = load_coco(tmp_path / "coco.json", images)
    assert names_again == names and again.report == records.report
    assert_equal(records, again)


def test_the_made_up_shapes_are_what_pycocotools_draws():
    """The pixels that the other tests take for the truth, against the rules by which COCO draws polygons."""
    shapes = [shape for image in made_images() for shape in image.shapes]
    drawn = [
        coco_mask.decode(coco_mask.merge(coco_mask.frPyObjects([shape.polygon()], HEIGHT, WIDTH))) > 0
        for shape in shapes
    ]
    assert min(iou(shape.mask(), mask) for shape, mask in zip(shapes, drawn, strict=True)) >= 0.98
