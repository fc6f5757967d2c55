import os
import subprocess
import sys
import textwrap
from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf
from examples import drawn_records, tiny

from keras_maskrcnn.data.pipeline import make_dataset
from keras_maskrcnn.model import MaskRCNN
from keras_maskrcnn.train import BackupAndRestore, WarmUp, sgd

CONFIG = tiny(mask_head="none", norm="none", depth=18)


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
    model = MaskRCNN(CONFIG)
    model.compile(optimizer=keras.optimizers.Adam(1e-3))
    dataset = make_dataset(
        drawn_records(5), CONFIG, batch_size=2, training=True, seed=1
    )  # three steps an epoch
    steps = StepLosses()
    backup = BackupAndRestore(path, dataset, save_freq=save_freq, delete_checkpoint=False)
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


def test_backup_refuses_what_it_cannot_resume(tmp_path):
    dataset = make_dataset(drawn_records(2), CONFIG, training=True)
    with pytest.raises(ValueError, match=r"must end in"):
        BackupAndRestore(tmp_path / "backup", dataset)
    with pytest.raises(ValueError, match="make_dataset"):
        BackupAndRestore(tmp_path / "b.weights.h5", tf.data.Dataset.range(3))


def test_coupled_weight_decay_joins_the_momentum():
    weight, velocity, rate, momentum, decay = 2.0, 0.0, 0.1, 0.9, 0.01
    variable = keras.Variable(weight)
    optimizer = sgd(rate, momentum, decay)
    for gradient in (1.0, -0.5, 0.25):
        optimizer.apply([tf.constant(gradient)], [variable])
        velocity = momentum * velocity - rate * (gradient + decay * weight)
        weight += velocity
    assert float(variable) == pytest.approx(weight, rel=1e-6)


def test_excluded_variables_do_not_decay():
    variable = keras.Variable(1.0)
    optimizer = sgd(0.1, weight_decay=0.5)
    optimizer.exclude_from_weight_decay([variable])
    optimizer.apply([tf.constant(0.0)], [variable])
    assert float(variable) == 1.0


def test_optimizer_survives_serialisation():
    optimizer = sgd(WarmUp(0.02, 100, (1000,)), weight_decay=5e-4)
    copy = keras.optimizers.deserialize(keras.optimizers.serialize(optimizer))
    assert copy.get_config() == optimizer.get_config() and copy.coupled_weight_decay == 5e-4


def test_warm_up_then_drops():
    rate = WarmUp(0.02, steps=100, drops=(1000, 2000), start=0.1)
    found = [float(rate(step)) for step in (0, 50, 100, 999, 1000, 2000)]
    np.testing.assert_allclose(found, [0.002, 0.011, 0.02, 0.02, 0.002, 0.0002], rtol=1e-5)


DISTRIBUTED = """
    import sys
    import keras, numpy as np, tensorflow as tf
    sys.path.insert(0, {tests!r})
    tf.config.set_logical_device_configuration(
        tf.config.list_physical_devices("CPU")[0], [tf.config.LogicalDeviceConfiguration()] * 2)
    from examples import drawn_records, tiny
    from keras_maskrcnn.data.pipeline import make_dataset
    from keras_maskrcnn.model import MaskRCNN

    config = tiny(score_threshold=0.0)
    records = drawn_records(5)  # batches of 2, 2 and 1: the last has fewer pictures than there are replicas
    found = {{}}
    strategies = {{"one": tf.distribute.get_strategy(), "two": tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"])}}
    for name, strategy in strategies.items():
        keras.utils.set_random_seed(0)
        with strategy.scope():
            model = MaskRCNN(config)
            model.compile(optimizer=keras.optimizers.SGD(0.0))
        logs = model.fit(make_dataset(records, config, batch_size=2, training=True), verbose=0).history
        assert all(np.isfinite(v).all() for v in logs.values()), logs
        found[name] = model.predict(make_dataset(records, config, batch_size=2), verbose=0)
        # nor need batches divide evenly
        losses = model.evaluate(make_dataset(records, config, batch_size=3), verbose=0, return_dict=True)
        logs = model.fit(make_dataset(records, config, batch_size=3, training=True), verbose=0).history
        assert all(np.isfinite(v) for v in losses.values()), losses
    assert strategy.num_replicas_in_sync == 2

    # one step on an even batch moves the weights alike: every image has as many sampled rows
    after = []
    for strategy in strategies.values():
        keras.utils.set_random_seed(0)
        with strategy.scope():
            model = MaskRCNN(tiny(mask_head="none"))
            model.compile(optimizer=keras.optimizers.SGD(0.1))
        before = [v.numpy() for v in model.trainable_variables]
        model.fit(make_dataset(records[:2], model.config, batch_size=2, training=True), verbose=0)
        after.append([v.numpy() - b for v, b in zip(model.trainable_variables, before, strict=True)])
    for one, two in zip(*after, strict=True):
        np.testing.assert_allclose(two, one, atol=1e-3 * max(np.abs(one).max(), 1e-3))
    for key in found["one"]:
        assert found["two"][key].shape == found["one"][key].shape == (5, *found["one"][key].shape[1:])
        np.testing.assert_allclose(found["two"][key], found["one"][key], atol=1e-3)
    model.save(sys.argv[1])
    keras.saving.load_model(sys.argv[1])
    print("equal")
"""


def test_two_replicas_and_a_last_batch_with_fewer_pictures(tmp_path):
    script = textwrap.dedent(DISTRIBUTED.format(tests=str(Path(__file__).parent)))
    arguments = [sys.executable, "-c", script, str(tmp_path / "model.keras")]
    done = subprocess.run(arguments, capture_output=True, text=True, cwd=Path(__file__).parents[1])
    assert done.stdout.strip().endswith("equal"), done.stderr[-3000:]
