import os
import socket
import subprocess
import sys
import types

import h5py
import keras
import numpy as np
import pytest
import tensorflow as tf
from examples import drawn_records, tiny
from small_model import small_backbone

from keras_maskrcnn.data.pipeline.dataset import make_dataset
from keras_maskrcnn.models.mask_rcnn import MaskRCNN
from keras_maskrcnn.training import backup as backup_module
from keras_maskrcnn.training.backup import TrainingBackup
from keras_maskrcnn.training.not_a_number import StopOnNaN

CONFIG = tiny(mask_head="none")


def compiled(optimizer):
    """A small model that trains eagerly, since few steps are not worth a trace."""
    model = MaskRCNN(CONFIG, small_backbone())
    model.compile(optimizer=optimizer, run_eagerly=True)
    return model


class InterruptionError(Exception):
    """Ends `fit` in its middle, as a crash would."""


class InterruptAt(keras.callbacks.Callback):
    def __init__(self, steps):
        super().__init__()
        self.left = steps

    def on_train_batch_end(self, batch, logs=None):
        self.left -= 1
        if not self.left:
            raise InterruptionError


class StopAfterEpoch(keras.callbacks.Callback):
    def on_epoch_end(self, epoch, logs=None):
        self.model.stop_training = True


class StepLosses(keras.callbacks.Callback):
    """The running mean of the loss after every step: equal only if every step before was."""

    def __init__(self):
        super().__init__()
        self.losses = []

    def on_train_batch_end(self, batch, logs=None):
        self.losses.append(float(logs["loss"]))


def train(path, epochs=2, interrupt_at=None, save_freq=1, callbacks=()):
    keras.utils.set_random_seed(3)
    model = compiled(keras.optimizers.Adam(1e-3))
    dataset = make_dataset(
        drawn_records(5), CONFIG, batch_size=2, training=True, seed=1
    )  # three steps an epoch
    steps = StepLosses()
    backup = TrainingBackup(path, dataset, save_freq=save_freq, delete_checkpoint=False)
    interrupt = [InterruptAt(interrupt_at)] if interrupt_at else []
    history = model.fit(dataset, epochs=epochs, verbose=0, callbacks=[steps, *callbacks, backup, *interrupt])
    return steps.losses, history.history, model


@pytest.fixture(scope="module")
def uninterrupted(tmp_path_factory):
    return train(tmp_path_factory.mktemp("run") / "backup.weights.h5")


@pytest.mark.parametrize("interrupt_at", [2, 4])
def test_a_resumed_run_has_the_losses_of_an_uninterrupted_one(tmp_path, uninterrupted, interrupt_at):
    path = tmp_path / "backup.weights.h5"
    with pytest.raises(InterruptionError):
        train(path, interrupt_at=interrupt_at)
    losses, history, model = train(path)
    expected, expected_history, expected_model = uninterrupted
    first = interrupt_at
    np.testing.assert_allclose(losses, expected[first:], rtol=1e-5)
    assert history["loss"][-1] == pytest.approx(expected_history["loss"][-1], rel=1e-5)
    for found, wanted in zip(model.weights, expected_model.weights, strict=True):
        np.testing.assert_allclose(found, wanted, rtol=1e-4, atol=1e-6)


def test_says_so_when_nothing_is_left_to_train(tmp_path):
    train(tmp_path / "b.weights.h5", epochs=1)
    with pytest.warns(
        UserWarning, match=r"b\.weights\.h5 was written after epoch 1 of 1: nothing is left to train"
    ):
        losses, _, _ = train(tmp_path / "b.weights.h5", epochs=1)
    assert losses == []


def test_fit_begins_anew_after_a_resumed_run(tmp_path, uninterrupted):
    path = tmp_path / "b.weights.h5"
    train(path, epochs=1)
    _, _, model = train(path, epochs=2)
    dataset = make_dataset(drawn_records(2), CONFIG, training=True)
    assert len(model.fit(dataset, epochs=1, verbose=0).history["loss"]) == 1


def test_weights_alone_are_no_backup(tmp_path, uninterrupted):
    uninterrupted[2].save_weights(tmp_path / "b.weights.h5")
    with pytest.raises(ValueError, match=r"b\.weights\.h5 is no backup"):
        train(tmp_path / "b.weights.h5")


def test_another_callback_can_still_stop_a_resumed_run(tmp_path):
    with pytest.raises(InterruptionError):
        train(tmp_path / "b.weights.h5", epochs=4, interrupt_at=2)
    losses, _, _ = train(tmp_path / "b.weights.h5", epochs=4, callbacks=[StopAfterEpoch()])
    assert len(losses) == 1  # the last step of the resumed epoch


def test_the_backup_is_one_file_and_is_removed_after_training(tmp_path):
    train(tmp_path / "run" / "b.weights.h5", epochs=1)
    assert os.listdir(tmp_path / "run") == ["b.weights.h5"]


@pytest.mark.parametrize("batch_size", [1, 4])
def test_a_backup_of_epochs_of_another_length_is_refused(tmp_path, batch_size):
    path = tmp_path / "b.weights.h5"
    with pytest.raises(InterruptionError):
        train(path, interrupt_at=2)
    model = compiled(keras.optimizers.Adam(1e-3))
    dataset = make_dataset(drawn_records(5), CONFIG, batch_size=batch_size, training=True, seed=1)
    with pytest.raises(
        ValueError, match=f"with 3 steps per epoch; this dataset has {5 if batch_size == 1 else 2}"
    ):
        model.fit(dataset, verbose=0, callbacks=[TrainingBackup(path, dataset)])


def test_epochs_of_a_part_of_the_dataset_are_refused(tmp_path):
    model = compiled("sgd")
    dataset = make_dataset(drawn_records(5), CONFIG, batch_size=2, training=True)
    for callback in (TrainingBackup(tmp_path / "b.weights.h5", dataset), StopOnNaN(dataset)):
        with pytest.raises(ValueError, match="epochs of 3 steps, and fit was asked for epochs of 2"):
            model.fit(dataset, steps_per_epoch=2, verbose=0, callbacks=[callback])


def test_fit_after_an_interrupted_resume_begins_where_it_is_told(tmp_path):
    path = tmp_path / "b.weights.h5"
    with pytest.raises(InterruptionError):
        train(path, interrupt_at=4)  # in the second epoch
    model = compiled(keras.optimizers.Adam(1e-3))
    dataset = make_dataset(drawn_records(5), CONFIG, batch_size=2, training=True, seed=1)
    with pytest.raises(InterruptionError):
        model.fit(dataset, epochs=2, verbose=0, callbacks=[TrainingBackup(path, dataset), InterruptAt(1)])
    dataset = make_dataset(drawn_records(5), CONFIG, batch_size=2, training=True, seed=1)
    assert model.fit(dataset, epochs=2, verbose=0).epoch == [0, 1]


def test_backup_refuses_what_it_cannot_resume(tmp_path):
    dataset = make_dataset(drawn_records(2), CONFIG, training=True)
    with pytest.raises(ValueError, match=r"must end in"):
        TrainingBackup(tmp_path / "backup", dataset)
    with pytest.raises(ValueError, match="make_dataset"):
        TrainingBackup(tmp_path / "b.weights.h5", tf.data.Dataset.range(3))
    with pytest.raises(ValueError, match=r"save_freq must be .* at least 1; got 0"):
        TrainingBackup(tmp_path / "b.weights.h5", dataset, save_freq=0)


@pytest.mark.parametrize(
    ("save_freq", "steps"), [(2, [2, 4, 5]), (3, [3, 5]), (9, [5]), ("epoch", [5])], ids=str
)
def test_backups_lie_save_freq_steps_apart_and_at_the_ends_of_epochs(save_freq, steps, tmp_path, monkeypatch):
    dataset = make_dataset(drawn_records(5), CONFIG, training=True)  # five steps an epoch
    backup, written = TrainingBackup(tmp_path / "b.weights.h5", dataset, save_freq=save_freq), []
    backup.set_model(types.SimpleNamespace(stop_training=False))
    monkeypatch.setattr(backup, "_write", lambda *epoch_and_step: written.append(epoch_and_step))
    for epoch in (0, 1):
        backup.on_epoch_begin(epoch)
        for batch in range(5):
            backup.on_train_batch_end(batch)
        backup.on_epoch_end(epoch)
    assert written == [(epoch, step) for epoch in (0, 1) for step in steps]


def test_what_a_killed_process_had_half_written_is_removed(tmp_path):
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    (tmp_path / f".{process.pid}.b.weights.h5").write_bytes(b"half, by version 0.1.0")
    unfinished = tmp_path / f".{process.pid}@{socket.gethostname()}.abcd1234.unfinished"
    unfinished.mkdir()
    (unfinished / "b.weights.h5").write_bytes(b"half")
    train(tmp_path / "b.weights.h5", epochs=1)
    assert os.listdir(tmp_path) == ["b.weights.h5"]


def test_a_backup_of_another_number_of_replicas_goes_on_with_a_warning(tmp_path):
    data, path = make_dataset(drawn_records(2), CONFIG, training=True), tmp_path / "backup.weights.h5"
    model = compiled(keras.optimizers.SGD(0.01))
    model.fit(data, verbose=0, callbacks=[TrainingBackup(path, data, delete_checkpoint=False)])
    with h5py.File(path, "a") as file:
        assert file.attrs["replicas"] == 1
        file.attrs["replicas"] = 8
    backup = TrainingBackup(path, data)
    with pytest.warns(
        UserWarning, match=r"is of a run on 8 replicas; this one has 1\. Batches have the same"
    ):
        model.fit(data, epochs=2, verbose=0, callbacks=[backup])


def test_a_worker_that_sees_another_backup_than_the_chief_is_refused(tmp_path, monkeypatch):
    data = make_dataset(drawn_records(2), CONFIG, training=True)
    monkeypatch.setattr(backup_module, "from_chief", lambda values, strategy: np.array([3, 1]))
    with pytest.raises(
        ValueError, match=r"there is no backup here, and it is of epoch 4, step 1 where the chief"
    ):
        compiled("sgd").fit(data, verbose=0, callbacks=[TrainingBackup(tmp_path / "x.weights.h5", data)])
