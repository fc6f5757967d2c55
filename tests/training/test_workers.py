import keras

from keras_maskrcnn.training.averages import WithAveragedWeights
from keras_maskrcnn.training.tensorboard import TensorBoardScalars
from keras_maskrcnn.training.workers import callbacks_of_worker


def test_what_only_writes_is_left_to_the_chief(tmp_path):
    stop = keras.callbacks.EarlyStopping(monitor="loss")
    best = keras.callbacks.ModelCheckpoint(tmp_path / "best.keras")  # the model knows who saves
    averaged = WithAveragedWeights([best, keras.callbacks.CSVLogger(tmp_path / "averages.csv")])
    writers = [
        keras.callbacks.CSVLogger(tmp_path / "log.csv"),
        keras.callbacks.TensorBoard(tmp_path / "events"),
        TensorBoardScalars(tmp_path / "events"),
    ]
    assert callbacks_of_worker([stop, *writers, averaged]) == [stop, averaged]
    assert averaged.callbacks == [best]
    assert not list(tmp_path.iterdir())


def test_one_callback_and_none_are_lists_too(tmp_path):
    stop = keras.callbacks.TerminateOnNaN()
    assert callbacks_of_worker(stop) == [stop]
    assert callbacks_of_worker(keras.callbacks.CSVLogger(tmp_path / "log.csv")) == []
    assert callbacks_of_worker(None) == []


def test_keras_own_backup_restores_and_writes_nothing(tmp_path):
    model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)])
    model.compile(optimizer="sgd", loss="mse")
    backup = keras.callbacks.BackupAndRestore(tmp_path / "backup")
    (kept,) = callbacks_of_worker([backup])
    x = keras.ops.ones((4, 2))
    model.fit(x, x[:, :1], epochs=2, verbose=0, callbacks=[kept])
    assert kept is backup and not (tmp_path / "backup").exists()

    writing = keras.callbacks.BackupAndRestore(tmp_path / "backup", delete_checkpoint=False)
    model.fit(x, x[:, :1], epochs=2, verbose=0, callbacks=[writing])
    (kept,) = callbacks_of_worker([keras.callbacks.BackupAndRestore(tmp_path / "backup")])
    history = model.fit(x, x[:, :1], epochs=3, verbose=0, callbacks=[kept])
    assert history.epoch == [2] and (tmp_path / "backup").exists()
