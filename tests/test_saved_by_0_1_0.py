"""Files that version 0.1.0 saved load with equal outputs: an FPN cascade, a C4 and a keypoint model."""

import numpy as np
import pytest
import tensorflow as tf
from places import TESTS

import keras_maskrcnn as km

NAMES = ("fpn", "c4", "keypoints")
FOLDER = TESTS / "saved_by_0_1_0"


def inputs(config):
    """The batch whose outputs were written down: two striped images, three objects."""
    y, x = np.mgrid[:64, :96]
    image = np.stack([(x * 3 + y * 5 * k) % 256 for k in (1, 2, 3)], axis=-1).astype("float32")
    found = {
        "images": np.stack([image, image[::-1]]),
        "sizes": np.array([[64, 96], [64, 96]], "int32"),
        "gt_boxes": np.array(
            [[[5, 8, 40, 50], [50, 10, 80, 40]], [[20, 20, 60, 60], [0, 0, 0, 0]]], "float32"
        ),
        "gt_classes": np.array([[1, 2], [2, 0]], "int32"),
        "gt_crowd": np.zeros((2, 2), bool),
        "seeds": np.array([[1, 2], [3, 4]], "int32"),
    }
    if config.mask_head != "none":
        side = config.mask_crop_size
        rows, columns = np.mgrid[:side, :side]
        disc = ((rows - side / 2) ** 2 + (columns - side / 2) ** 2 < (side / 2.5) ** 2) * 255
        found["gt_masks"] = np.broadcast_to(disc, (2, 2, side, side)).astype("uint8")
    if config.keypoint_names:
        points = np.array([[20, 20, 2], [15, 30, 1], [30, 30, 2]], "float32")
        found["gt_keypoints"] = np.broadcast_to(points, (2, 2, 3, 3)).copy()
    return {key: tf.constant(value) for key, value in found.items()}


@pytest.fixture(scope="module", params=NAMES)
def saved(request):
    return km.load_model(str(FOLDER / f"{request.param}.keras")), np.load(FOLDER / f"{request.param}.npz")


def test_detections_and_losses_are_equal(saved):
    model, recorded = saved
    batch = inputs(model.config)
    found = {f"detections.{key}": value for key, value in model.predict_step(batch).items()}
    found |= {f"losses.{key}": value for key, value in model(batch).items()}
    assert set(found) == set(recorded.files)
    for key, value in found.items():
        np.testing.assert_allclose(value, recorded[key], rtol=1e-4, atol=1e-4, err_msg=key)


@pytest.mark.parametrize("name", ["fpn", "keypoints"])  # the C4 model was saved before it was compiled
def test_it_trains_on_with_its_optimizer(name):
    model = km.load_model(str(FOLDER / f"{name}.keras"))
    schedule = model.optimizer.get_config()["learning_rate"]["config"]
    assert (schedule["learning_rate"], schedule["steps"], list(schedule["drops"])) == (0.02, 50, [80])
    history = model.fit(tf.data.Dataset.from_tensors(inputs(model.config)), verbose=0).history
    assert np.isfinite(history["loss"]).all()


def test_its_config_says_the_same_with_the_names_of_today(saved):
    model, _ = saved
    again = type(model).from_config(model.get_config())
    assert again.config == model.config
