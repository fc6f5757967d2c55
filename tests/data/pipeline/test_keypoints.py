"""Keypoints in batches: where they lie in the resized image, and which is which in a flipped one."""

import dataclasses
import json

import numpy as np
import pytest
from places import COCO_MINI

from keras_maskrcnn.config.config import Config
from keras_maskrcnn.data.formats.coco import load_coco
from keras_maskrcnn.data.pipeline.dataset import make_dataset
from keras_maskrcnn.data.records import make_record

NAMES = ("nose", "left_hand", "right_hand")
CONFIG = Config(
    class_names=("a", "b"),
    min_size=10,
    max_size=64,
    mask_head="none",
    keypoint_names=NAMES,
    horizontal_flip_probability=0.0,
)
POINTS = [[8, 10, 2], [4, 6, 1], [0, 0, 0]]


def record(keypoints=(POINTS,), image_id=1, height=20, width=32):
    """Objects in an image that is halved; one per list of keypoints."""
    count = len(keypoints)
    return make_record(
        np.zeros((height, width, 3), np.uint8),
        boxes=[[4, 6, 12, 14]] * count,
        class_ids=[1] * count,
        keypoints=np.reshape(keypoints, (count, len(NAMES), 3)) if count else None,
        image_id=image_id,
    )


def batch(records, config=CONFIG, **options):
    (found,) = make_dataset(records, config, batch_size=len(records), **options)
    return {key: value.numpy() for key, value in found.items()}


def test_keypoints_are_scaled_with_the_image():
    found = batch([record()])["gt_keypoints"]
    assert found.dtype == np.float32 and found.shape == (1, 1, 3, 3)
    np.testing.assert_array_equal(found[0, 0], [[4, 5, 2], [2, 3, 1], [0, 0, 0]])


def test_the_offset_moves_labelled_keypoints_before_they_are_scaled():
    found = batch([record()], dataclasses.replace(CONFIG, keypoint_offset=0.5))["gt_keypoints"]
    np.testing.assert_array_equal(found[0, 0], [[4.25, 5.25, 2], [2.25, 3.25, 1], [0, 0, 0]])


def test_a_flipped_image_has_its_sides_swapped():
    flipping = dataclasses.replace(CONFIG, horizontal_flip_probability=1.0)
    found = batch([record()], flipping, training=True)
    np.testing.assert_array_equal(found["gt_boxes"], [[[10, 3, 14, 7]]])
    np.testing.assert_array_equal(found["gt_keypoints"][0, 0], [[12, 5, 2], [0, 0, 0], [14, 3, 1]])
    evaluated = batch([record()], flipping)
    np.testing.assert_array_equal(evaluated["gt_keypoints"], batch([record()])["gt_keypoints"])


def test_rows_are_padded_and_objects_without_labels_stay():
    unlabelled = np.zeros((3, 3))
    found = batch([record([POINTS, unlabelled]), record([], 2), record([POINTS], 3)], training=True, seed=1)
    assert found["gt_keypoints"].shape == (3, 2, 3, 3)
    counts = (found["gt_classes"] > 0).sum(axis=1)
    labelled = (found["gt_keypoints"][..., 2] > 0).any(axis=2).sum(axis=1)
    assert sorted(zip(counts.tolist(), labelled.tolist(), strict=True)) == [(0, 0), (1, 1), (2, 1)]


def test_an_image_without_objects_has_one_padded_row():
    assert not batch([record([])])["gt_keypoints"].any()
    assert batch([record([])])["gt_keypoints"].shape == (1, 1, 3, 3)


def test_keypoints_come_with_masks():
    square = [[4, 6, 12, 6, 12, 14, 4, 14]]
    both = dataclasses.replace(record(), masks=(square,))
    found = batch([both], dataclasses.replace(CONFIG, mask_head="fcn", mask_crop_size=8))
    assert found["gt_masks"].shape == (1, 1, 8, 8) and found["gt_keypoints"].shape == (1, 1, 3, 3)


def test_a_config_without_keypoints_leaves_them_out():
    assert "gt_keypoints" not in batch([record()], dataclasses.replace(CONFIG, keypoint_names=()))


def test_records_that_do_not_fit_are_refused_by_name():
    boxes_only = dataclasses.replace(record(), keypoints=None)
    with pytest.raises(ValueError, match=r"image 1: its objects have no keypoints; .*names 3"):
        make_dataset([record(), boxes_only], CONFIG)
    with pytest.raises(ValueError, match=r"image 1: its objects have 3 keypoints; .*names 1"):
        make_dataset([record()], dataclasses.replace(CONFIG, keypoint_names=("nose",)))


def test_names_of_a_file_in_another_order_are_refused():
    swapped = dataclasses.replace(record(), keypoint_names=("nose", "right_hand", "left_hand"))
    with pytest.raises(
        ValueError,
        match=r"image 1: its keypoint names are in another order .*: keypoint 2 is 'right_hand', not 'left",
    ):
        make_dataset([swapped], CONFIG)
    make_dataset([swapped], dataclasses.replace(CONFIG, keypoint_names=()))
    make_dataset([dataclasses.replace(record(), keypoint_names=NAMES)], CONFIG)


def test_a_side_without_a_partner_is_refused_where_images_are_flipped():
    odd = dataclasses.replace(CONFIG, keypoint_names=("nose", "left_hand", "tail"))
    make_dataset([record()], odd, training=True)
    with pytest.raises(ValueError, match="'left_hand' has no partner"):
        make_dataset([record()], dataclasses.replace(odd, horizontal_flip_probability=0.5), training=True)


@pytest.mark.skipif(not COCO_MINI.exists(), reason="the COCO sample is not on this machine")
def test_all_people_of_a_real_split_go_through():
    path = COCO_MINI / "annotations" / "person_keypoints_val2017.json"
    raw = json.loads(path.read_text())["annotations"]
    records, classes = load_coco(path, COCO_MINI / "val2017", masks=False)
    names = records.report.keypoint_names
    config = Config(tuple(classes), min_size=80, max_size=160, mask_head="none", keypoint_names=names)
    labelled = inside = 0
    for found in make_dataset(records, config, batch_size=4, training=True):
        points, boxes = found["gt_keypoints"].numpy(), found["gt_boxes"].numpy()[:, :, None]
        seen = points[..., 2] > 0
        labelled += seen.sum()
        within = (points[..., :2] >= boxes[..., :2]) & (points[..., :2] <= boxes[..., 2:])
        inside += (within.all(axis=-1) & seen).sum()
    assert labelled == sum(annotation["num_keypoints"] for annotation in raw)
    expected = 0
    for annotation in raw:
        x, y, width, height = annotation["bbox"]
        points = np.reshape(annotation["keypoints"], (-1, 3)) - [x, y, 0]
        expected += ((points >= [0, 0, 1]) & (points <= [width, height, 2])).all(axis=1).sum()
    assert abs(inside - expected) <= 2  # those on an edge of their box, by rounding
