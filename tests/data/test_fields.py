"""Each field of ground truth says all about itself, and whatever moves an object moves all of its fields alike."""

import dataclasses

import keras
import numpy as np
import pytest
import tensorflow as tf

from keras_maskrcnn.config.config import Config
from keras_maskrcnn.data.augment.affine import AffineTransform
from keras_maskrcnn.data.augment.compose import composed_example, place
from keras_maskrcnn.data.augment.flips import flip, rotate90
from keras_maskrcnn.data.fields import FIELDS, fields_of
from keras_maskrcnn.data.pipeline.dataset import make_dataset
from keras_maskrcnn.data.pipeline.examples import load_example
from keras_maskrcnn.data.records import make_record

SIDE = 32
ALL = Config(
    ("a", "b"),
    min_size=SIDE,
    max_size=SIDE,
    mask_crop_size=8,
    keypoint_names=("nose", "left_hand", "right_hand"),
)
BOXES = dataclasses.replace(ALL, mask_head="none", keypoint_names=())


@pytest.fixture
def record():
    """Two rectangles in a square image, the second a crowd, with a keypoint in the first's upper left quarter."""
    masks = np.zeros((2, SIDE, SIDE), bool)
    masks[0, 4:12, 6:22], masks[1, 20:30, 2:8] = True, True
    masks[0, 4:8, 6:14] = False
    keypoints = [[[9, 10, 2], [20, 5, 1], [0, 0, 0]], np.zeros((3, 3))]
    return make_record(
        np.arange(SIDE * SIDE * 3, dtype=np.uint8).reshape(SIDE, SIDE, 3),
        boxes=[[6, 4, 22, 12], [2, 20, 8, 30]],
        masks=masks,
        class_ids=[1, 2],
        crowd=[False, True],
        keypoints=keypoints,
        image_id="record",
    )


def loaded(record, config):
    fields = fields_of(config)
    names = ["images", "sizes", *(field.name for field in fields)]
    return dict(zip(names, load_example(record, config, fields, SIDE), strict=True)), fields


def assert_equal(found, expected):
    assert found.keys() == expected.keys()
    for name, values in expected.items():
        np.testing.assert_allclose(np.asarray(found[name]), np.asarray(values), atol=1e-4, err_msg=name)


def test_a_config_says_which_fields_there_are():
    assert [field.name for field in fields_of(ALL)] == [field.name for field in FIELDS]
    assert [field.name for field in fields_of(BOXES)] == ["gt_boxes", "gt_classes", "gt_crowd"]


@pytest.mark.parametrize("config", [ALL, BOXES])
def test_specs_are_those_of_batches_and_make_inputs(record, config):
    batch = next(iter(make_dataset([record], config)))
    for field in fields_of(config):
        shape, dtype = field.spec
        assert batch[field.name].dtype == dtype
        assert batch[field.name].shape[2:] == shape[1:] and shape[0] is None
        assert keras.Input(shape, dtype=dtype, name=field.name).shape == (None, *shape)
    assert {name for name in batch if name.startswith("gt_")} == {field.name for field in fields_of(config)}


@pytest.mark.parametrize("axis", [0, 1])
def test_flipping_twice_changes_nothing(record, axis):
    example, fields = loaded(record, ALL)
    once = flip(example, fields, axis)
    assert all((np.asarray(once[name]) != example[name]).any() for name in ("images", "gt_boxes", "gt_masks"))
    assert_equal(flip(once, fields, axis), example)


def test_four_rotations_change_nothing_and_sides_stay(record):
    example, fields = loaded(record, ALL)
    rotated = rotate90(example, fields, tf.constant(1))
    np.testing.assert_array_equal(rotated["images"], np.rot90(example["images"]))
    np.testing.assert_array_equal(rotated["gt_keypoints"][0, 0], [10, SIDE - 9, 2])
    np.testing.assert_array_equal(rotated["gt_masks"][0], np.rot90(example["gt_masks"][0]))
    assert_equal(rotate90(rotated, fields, tf.constant(3)), example)


TRANSFORMS = {
    "flip": ([[-1, 0, SIDE], [0, 1, 0]], lambda example, fields: flip(example, fields)),
    "flip vertically": ([[1, 0, 0], [0, -1, SIDE]], lambda example, fields: flip(example, fields, axis=0)),
    "rotation": ([[0, 1, 0], [-1, 0, SIDE]], lambda e, fields: rotate90(e, fields, tf.constant(1))),
    "half a rotation": (
        [[-1, 0, SIDE], [0, -1, SIDE]],
        lambda e, fields: rotate90(e, fields, tf.constant(2)),
    ),
}


@pytest.mark.parametrize("name", TRANSFORMS)
def test_flips_and_rotations_are_affine_transforms(record, name):
    """What TensorFlow does to loaded values, and what composing an image does to shapes, are the same."""
    matrix, move = TRANSFORMS[name]
    example, fields = loaded(record, ALL)
    transform = AffineTransform(np.array(matrix, np.float64), SIDE, SIDE)
    composed = place(record, record.image, transform, 1, fields, (0.0, 0.0, 0.0))
    values = composed_example(composed, np.ones(2, bool), fields)
    assert_equal(dict(zip(example, values, strict=True)), move(example, fields))
