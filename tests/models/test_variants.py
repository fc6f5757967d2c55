"""Every architecture trains, saves, loads, halves its precision and detects."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from examples import batch, tiny
from variants import VARIANTS

from keras_maskrcnn.models.load import load_model
from keras_maskrcnn.models.mask_rcnn import MaskRCNN


@pytest.fixture(scope="module", params=VARIANTS)
def model(request):
    return MaskRCNN(tiny(**VARIANTS[request.param]))


def dataset(data):
    return tf.data.Dataset.from_tensors(data)


def images_of(data):
    return {key: data[key] for key in ("images", "sizes")}


def test_every_trained_weight_moves(model):
    config = model.config
    model.compile(optimizer=keras.optimizers.SGD(0.01), run_eagerly=True)
    before = {variable.path: variable.numpy() for variable in model.trainable_variables}
    logs = model.fit(dataset(batch(config)), verbose=0).history
    assert all(np.isfinite(value).all() for value in logs.values())
    assert set(logs) == {*model.network.losses_by_name, "loss"}
    still = {v.path for v in model.trainable_variables if np.array_equal(v, before[v.path])}
    # No anchor or proposal of some level may be in the sample. The softmax over a keypoint's map does not feel a bias:
    # what moves it are rounding errors.
    assert all(path.startswith(("fpn/output", "keypoint_head/logits/bias")) for path in still), still


def test_a_saved_file_gives_identical_detections(model, tmp_path):
    data = images_of(batch(model.config))
    model.save(tmp_path / "model.keras")
    loaded = load_model(tmp_path / "model.keras")
    assert loaded.config == model.config
    expected, found = model(data), loaded(data)
    for key in expected:
        np.testing.assert_array_equal(found[key], expected[key])


def test_half_precision_keeps_boxes_in_single(model):
    keras.mixed_precision.set_global_policy("mixed_bfloat16")
    try:
        half = MaskRCNN(model.config)
    finally:
        keras.mixed_precision.set_global_policy("float32")
    losses = half(batch(model.config), training=True)
    found = half(images_of(batch(model.config)))
    assert all(np.isfinite(loss) for loss in losses.values())
    assert all(value.dtype in (tf.float32, tf.int32) for value in found.values())


def test_pictures_without_objects_train(model):
    losses = model(batch(model.config, objects=(0, 0)), training=True)
    assert all(np.isfinite(loss) for loss in losses.values())
    assert float(losses["rpn_class_loss"]) > 0 and float(losses["box_loss"]) == 0


def test_pictures_of_any_size(model):
    rng, config = np.random.default_rng(0), model.config
    images = [
        rng.integers(0, 255, size).astype(np.uint8) for size in ((50, 70, 3), (33, 120, 3), (81, 41, 3))
    ]
    for found, image in zip(model.detect(images, score_threshold=0.0), images, strict=True):
        assert len(found) or config.one_class_per_box  # whose best class may be the background
        assert (found.boxes >= 0).all()
        assert (found.boxes <= np.array([image.shape[1], image.shape[0]] * 2)).all()
        assert (found.masks is None) == (config.mask_head == "none")
        points = len(config.keypoint_names)
        assert (found.keypoints is None) if not points else (found.keypoints.shape == (len(found), points, 3))


def test_a_batch_without_rows(model):
    none = {key: value[:0] for key, value in batch(model.config).items()}
    assert all(float(loss) == 0 for loss in model(none, training=True).values())


@pytest.mark.slow
@pytest.mark.parametrize("name", ["cascade", "keypoints"])
def test_training_lowers_the_losses(name):
    config = tiny(**VARIANTS[name])
    model = MaskRCNN(config)
    model.compile(optimizer=keras.optimizers.Adam(1e-3))
    history = model.fit(dataset(batch(config, objects=(2, 2))).repeat(25), epochs=4, verbose=0).history
    for loss, values in history.items():
        # box losses, and their sum with the others, rise while more proposals begin to match: at first only the ground
        # truth itself does
        rises = loss == "loss" or loss.startswith("box_loss")
        assert np.isfinite(values).all() and (rises or values[-1] < 0.9 * values[0]), loss
