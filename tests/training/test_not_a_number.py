import keras
import numpy as np
import pytest
import tensorflow as tf
from examples import drawn_records, tiny
from killed_training import MeanColor

from keras_maskrcnn.data.pipeline.dataset import make_dataset
from keras_maskrcnn.training.backup import TrainingBackup
from keras_maskrcnn.training.not_a_number import LossError, StopOnNaN

CONFIG = tiny(mask_head="none", horizontal_flip_probability=0.0, min_size=64)
RECORDS = drawn_records(5)


def dataset(**options):
    return make_dataset(RECORDS, CONFIG, batch_size=2, training=True, seed=3, **options)


def images(batch):
    """Which of RECORDS are in a batch, by their pixels."""
    names = []
    for image in batch["images"].numpy():
        differences = [np.abs(image[: r.height, : r.width] - r.image).max() for r in RECORDS]
        assert min(differences) < 1e-3
        names.append(RECORDS[int(np.argmin(differences))].name)
    return names


def test_the_names_of_a_step_are_those_of_its_images():
    data = dataset()
    for epoch in range(2):
        for step, batch in enumerate(data):
            assert data.names_of(epoch, step) == images(batch)
        assert step == 2


@pytest.mark.parametrize("loss", [float("nan"), float("inf"), float("-inf")])
def test_nan_or_inf_stops_with_the_images_of_its_step(loss):
    data = dataset()
    stop = StopOnNaN(data)
    data.clock.epoch.assign(4)
    data.clock.first_step.assign(1)  # an epoch that is resumed in its middle
    batches = iter(data)
    stop.on_epoch_begin(4)
    before = images(next(batches))
    stop.on_train_batch_end(0, {"loss": tf.constant(2.0), "mask_loss": 1.0})
    spoiled = images(next(batches))
    with pytest.raises(LossError) as error:
        stop.on_train_batch_end(1, {"loss": loss, "class_loss": 1.0, "mask_loss": tf.constant(loss)})
    message = str(error.value)
    assert message.startswith(f"loss, mask_loss became {loss} at step 3 of epoch 5. ")
    assert f"Its images: {spoiled[0]}; those of the step before" in message  # the last batch has one image
    assert f"whose update may have spoiled the weights: {', '.join(before)}. " in message
    assert "Likely causes: a learning rate that is too high" in message


def test_only_datasets_for_training_have_steps():
    with pytest.raises(ValueError, match="StopOnNaN needs the dataset that make_dataset"):
        StopOnNaN(make_dataset(RECORDS, CONFIG))


def small(data):
    """A model that trains in no time."""
    model = MeanColor()
    model.compile(optimizer=keras.optimizers.SGD(1e-3), run_eagerly=True)
    model(next(iter(data)))
    return model


def test_the_backup_keeps_the_last_weights_that_are_finite(tmp_path):
    data, path = dataset(), tmp_path / "b.weights.h5"
    model = small(data)
    spoil = keras.callbacks.LambdaCallback(
        on_train_batch_end=lambda batch, logs: batch == 1 and model.dense.kernel.assign([[np.nan]] * 3)
    )
    callbacks = [StopOnNaN(data), spoil, TrainingBackup(path, data, save_freq=1)]
    with (
        pytest.warns(
            UserWarning, match=r"NaN or Inf after step 2 of epoch 1: .*b\.weights\.h5 keeps older ones"
        ),
        pytest.raises(LossError, match="became nan at step 3 of epoch 1"),
    ):
        model.fit(data, epochs=2, verbose=0, shuffle=False, callbacks=callbacks)
    assert not all(np.isfinite(weight).all() for weight in model.get_weights())
    model.load_weights(path)
    assert all(np.isfinite(weight).all() for weight in model.get_weights())


def test_training_that_ends_with_weights_that_are_not_finite_keeps_its_backup(tmp_path):
    data, path = dataset(), tmp_path / "b.weights.h5"
    model = small(data)
    spoil = keras.callbacks.LambdaCallback(
        on_epoch_end=lambda epoch, logs: epoch and model.dense.kernel.assign([[np.nan]] * 3)
    )
    with pytest.warns(UserWarning, match="NaN or Inf after step 3 of epoch 2"):
        backup = TrainingBackup(path, data)
        model.fit(data, epochs=2, verbose=0, shuffle=False, callbacks=[spoil, backup])
    assert path.exists()
