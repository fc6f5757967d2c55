"""A save that fails in its middle leaves the file of before."""

import contextlib
import resource
import signal
import zipfile

import h5py
import keras
import numpy as np
import pytest
from small_model import small_model

from keras_maskrcnn.models import mask_rcnn
from keras_maskrcnn.models.load import load_model


@pytest.fixture(scope="module")
def model():
    return small_model()


@contextlib.contextmanager
def files_of_at_most(size):
    """Let writes beyond a size fail, as they do on a full disk."""
    before, handler = resource.getrlimit(resource.RLIMIT_FSIZE), signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
        signal.signal(signal.SIGXFSZ, handler)


def save(model, path):
    model.save(path)


def save_weights(model, path):
    model.save_weights(path)


def checkpoint(model, path):
    callback = keras.callbacks.ModelCheckpoint(path, save_weights_only=path.name.endswith(".h5"))
    callback.set_model(model)
    callback.on_epoch_end(0, {})


@pytest.mark.parametrize(
    "write, name",
    [
        (save, "a.keras"),
        (save_weights, "a.weights.h5"),
        (checkpoint, "a.keras"),
        (checkpoint, "a.weights.h5"),
    ],
)
def test_a_failing_save_leaves_the_file_of_before(write, name, model, tmp_path):
    path = tmp_path / name
    write(model, path)
    before = path.read_bytes()
    with files_of_at_most(len(before) // 2), pytest.raises(OSError):
        write(model, path)
    assert path.read_bytes() == before
    assert [file.name for file in tmp_path.iterdir()] == [name]


def test_a_saved_model_is_read_again(model, tmp_path):
    model.save(str(tmp_path / "a.keras"))
    for ours, theirs in zip(load_model(tmp_path / "a.keras").weights, model.weights, strict=True):
        np.testing.assert_array_equal(ours, theirs)


def test_what_keras_alone_can_write_is_left_to_it(model, tmp_path):
    with open(tmp_path / "open", "wb") as file:
        model.save(file, zipped=False)
    assert zipfile.is_zipfile(tmp_path / "open")
    model.save(tmp_path / "folder", zipped=False)
    assert (tmp_path / "folder" / "model.weights.h5").exists()
    model.save_weights(tmp_path / "parts.weights.json", max_shard_size=1)
    assert (tmp_path / "parts.weights.json").exists()
    with pytest.raises(ValueError, match="extension"):
        model.save(tmp_path / "a.zip")


@pytest.mark.parametrize("answer", ["y", "n"])
def test_keras_question_is_asked_before_a_file_is_replaced(model, tmp_path, monkeypatch, answer):
    path = tmp_path / "a.weights.h5"
    path.write_bytes(b"before")
    asked = []
    monkeypatch.setattr("builtins.input", lambda text: asked.append(text) or answer)
    model.save_weights(path, overwrite=False)
    assert len(asked) == 1 and h5py.is_hdf5(path) == (answer == "y")
    model.save(tmp_path / "new.keras", overwrite=False)  # nothing is there to ask about
    assert len(asked) == 1


def test_neither_saving_nor_loading_assembles_a_graph(tmp_path, monkeypatch):
    assembled = []
    monkeypatch.setattr(mask_rcnn, "training_graph", assembled.append)
    small_model().save(tmp_path / "a.keras")
    load_model(tmp_path / "a.keras")
    assert not assembled
