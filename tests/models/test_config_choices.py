"""Every choice that a Config offers, every two of them, and the ends of ranges train, detect, are saved and loaded, or
are refused by name."""

import dataclasses
import math

import keras
import numpy as np
import pytest
from choices import BASE, accepted, choices, covering, made
from examples import drawn_records

from keras_maskrcnn.config.config import Config
from keras_maskrcnn.config.fields import rule_of
from keras_maskrcnn.data.pipeline.dataset import make_dataset
from keras_maskrcnn.models.detector import image_batch
from keras_maskrcnn.models.load import load_model
from keras_maskrcnn.models.mask_rcnn import MaskRCNN


def records(config):
    """Two images, with the corners of each object's box as its keypoints."""
    found = drawn_records(2)
    count = len(config.keypoint_names)
    if not count:
        return found
    corners = [np.stack([one.boxes[:, :2], one.boxes[:, 2:] - 1], axis=1)[:, :count] for one in found]
    points = [np.concatenate([xy, np.full_like(xy[..., :1], 2)], axis=2) for xy in corners]
    return [dataclasses.replace(one, keypoints=p) for one, p in zip(found, points, strict=True)]


def check_works(config, folder):
    """Train a step, detect, save, load, and compare."""
    keras.utils.set_random_seed(0)
    truth = records(config)
    model = MaskRCNN(config)
    model.compile(optimizer=keras.optimizers.SGD(1e-4), run_eagerly=True)
    logs = model.fit(make_dataset(truth, config, 2, training=True), verbose=0).history
    assert all(np.isfinite(value).all() for value in logs.values()), logs
    (found,) = model.detect(truth[0].image)
    assert np.isfinite(found.boxes).all() and (found.boxes[:, :2] < found.boxes[:, 2:]).all()
    assert (found.masks is None) == (config.mask_head == "none")
    if config.keypoint_names:
        assert found.keypoints.shape == (len(found), len(config.keypoint_names), 3)
        low, high = found.boxes[:, None, :2] - 1.5, found.boxes[:, None, 2:] + 1.5
        assert ((found.keypoints[..., :2] >= low) & (found.keypoints[..., :2] <= high)).all()
    batch = next(iter(make_dataset(truth, config, 2)))
    inputs = {key: batch[key] for key in ("images", "sizes")}
    model.save(folder / "model.keras")
    loaded = load_model(folder / "model.keras")
    assert loaded.config == config
    expected, again = model(inputs), loaded(inputs)
    for name in expected:
        np.testing.assert_array_equal(again[name], expected[name])


def failures(configs, folder):
    """What goes wrong, with its config."""
    found = []
    for name, config in configs.items():
        try:
            check_works(config, folder)
        except Exception as error:
            found.append(f"{name}: {type(error).__name__}: {error!s:.300}")
        keras.backend.clear_session()
    return found


@pytest.fixture(scope="module")
def covered():
    """Full sets of choices that have every two that go together, and the pairs that do not."""
    return covering(choices())


def test_choices_that_do_not_go_together_are_few_and_refused_by_name(covered):
    rows, refused_pairs = covered
    assert len(rows) < 50 and len(refused_pairs) < 14
    for pair in refused_pairs:
        with pytest.raises(ValueError, match=r"Config\.") as refused:
            made(pair)
        assert any(name in str(refused.value) for name in pair), (pair, refused.value)


def test_two_mixed_configs_work(covered, tmp_path):
    rows, _ = covered
    full = {
        name: choices()[name][1]
        for name in ("class_agnostic_nms", "square", "mask_iou_head", "keypoint_names")
    }
    full |= {"one_class_per_box": False, "depth": 18}  # so that something is detected
    both = [next(row | full for row in rows if accepted(row | full)), rows[0] | {"depth": 18}]
    mixed = {str(row): made(row) for row in both}
    assert not failures(mixed, tmp_path)


@pytest.mark.slow
def test_every_two_choices_work(covered, tmp_path):
    rows, _ = covered
    assert not failures({str(row): made(row) for row in rows}, tmp_path)


def ends():
    """{"field=value": config} for numbers at the ends of their ranges, as far as the Config accepts them."""
    found = {}
    for field in dataclasses.fields(Config):
        rule, value = rule_of(field), getattr(BASE, field.name)
        if isinstance(value, (bool, str)) or not isinstance(value, (int, float)):
            continue
        for end in (rule.low, rule.high):
            if math.isfinite(end):
                end = end + (0.01 if rule.above and end == rule.low else 0)
                try:
                    found[f"{field.name}={end}"] = dataclasses.replace(BASE, **{field.name: end})
                except ValueError as error:
                    assert field.name in str(error) or "Config." in str(error)
    return found


@pytest.mark.slow
def test_every_number_works_at_the_ends_of_its_range(tmp_path):
    assert not failures(ends(), tmp_path)


def test_sequences_of_whole_numbers_are_sequences_of_floats(tmp_path):
    whole = {
        "pixel_mean": (100, 100, 100),
        "pixel_std": (50, 50, 50),
        "scale_jitter": (1, 2),
        "intensity_percentiles": (1, 99),
        "anchor_sizes": ((16,), (32,), (64,), (96,), (128,)),
        "anchor_ratios": (1, 2),
        "rpn_delta_weights": (1, 1, 1, 1),
        "box_delta_weights": (10, 10, 5, 5),
        "class_weights": (1, 2),
        "class_agnostic_boxes": True,
        "cascade_ious": (1,),
        "cascade_delta_weights": ((20, 20, 10, 10),),
    }
    assert not failures({"whole": dataclasses.replace(BASE, **whole)}, tmp_path)


def test_features_have_their_channels_last_whatever_keras_is_set_to():
    batch = image_batch([drawn_records(1)[0].image], BASE)
    keras.utils.set_random_seed(0)
    expected = MaskRCNN(BASE)(batch)
    keras.config.set_image_data_format("channels_first")
    try:
        keras.utils.set_random_seed(0)
        found = MaskRCNN(BASE)(batch)
    finally:
        keras.config.set_image_data_format("channels_last")
    for name in expected:
        np.testing.assert_array_equal(found[name], expected[name])
