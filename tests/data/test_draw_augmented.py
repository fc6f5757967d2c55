"""Images of augmented examples show what the model is given."""

import numpy as np
import pytest

from keras_maskrcnn.config.config import Config
from keras_maskrcnn.data.draw_augmented import draw_augmented
from keras_maskrcnn.data.records import make_record

CONFIG = Config(class_names=("a",), min_size=40, max_size=60, mask_crop_size=28, keypoint_names=("tip",))


def record(value=0):
    image = np.full((40, 60, 3), value, np.uint8)
    mask = [[10, 10, 30, 10, 30, 30, 10, 30]]
    return make_record(image, masks=[mask], class_ids=[1], keypoints=[[[12, 12, 2]]], image_id=value)


def test_the_record_and_its_draws_lie_side_by_side():
    config = Config(**{**CONFIG.to_dict(), "horizontal_flip_probability": 1.0})
    sheet = np.asarray(draw_augmented([record(0), record(200)], config, index=1, count=4, columns=2))
    assert sheet.shape == (3 * 48 - 8, 2 * 68 - 8, 3)
    first, second, last = sheet[:40, :60], sheet[:40, 68:128], sheet[96:136, :60]
    assert (first[35, 5] == 200).all()
    masked = np.abs(first.astype(int) - 200).max(axis=2) > 20
    assert masked[20:28, 22:28].all() and not masked[20:28, 42:].any()  # its label is right beside it
    flipped = np.abs(second.astype(int) - 200).max(axis=2) > 20
    assert flipped[20:28, 32:38].all() and not flipped[20:28, :28].any()
    np.testing.assert_array_equal(second, last)
    assert (sheet[96:, 68:] == 255).all()  # no fifth draw


def test_each_draw_is_another_one_and_the_seed_repeats_them():
    config = Config(**{**CONFIG.to_dict(), "max_rotation_degrees": 90.0})
    sheet = np.asarray(draw_augmented([record(90)], config, count=3, seed=1))
    again = np.asarray(draw_augmented([record(90)], config, count=3, seed=1))
    np.testing.assert_array_equal(sheet, again)
    draws = [sheet[:, start : start + 60] for start in (0, 68, 136, 204)]
    assert all(not np.array_equal(one, other) for i, one in enumerate(draws) for other in draws[:i])
    other = np.asarray(draw_augmented([record(90)], config, count=3, seed=2))
    assert not np.array_equal(sheet, other)


def test_boxes_alone_are_drawn():
    config = Config(class_names=("a",), min_size=40, max_size=60, mask_head="none")
    assert draw_augmented([record(9)], config, count=1).size == (128, 40)


def test_what_cannot_be_drawn_is_refused():
    with pytest.raises(ValueError, match="no record 1 among 1"):
        draw_augmented([record()], CONFIG, index=1)
    with pytest.raises(ValueError, match="positive count"):
        draw_augmented([record()], CONFIG, count=0)
