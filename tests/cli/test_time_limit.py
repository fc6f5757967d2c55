"""--max-hours: training stops after a step or an epoch, and goes on there as if nothing had happened."""

import csv
import types

import keras
import pytest
from command_line import data
from examples import drawn_records, tiny
from small_model import small_backbone

from keras_maskrcnn.cli import time_limit
from keras_maskrcnn.cli.main import main
from keras_maskrcnn.cli.time_limit import TimeIsOver, TimeLimit
from keras_maskrcnn.data.pipeline.dataset import make_dataset
from keras_maskrcnn.models.mask_rcnn import MaskRCNN
from keras_maskrcnn.training.backup import TrainingBackup

CONFIG = tiny(mask_head="none")


class Seen(keras.callbacks.Callback):
    """The losses of steps, and the epochs that ended."""

    def __init__(self):
        super().__init__()
        self.losses, self.epochs = [], []

    def on_train_batch_end(self, batch, logs=None):
        self.losses.append(float(logs["loss"]))

    def on_epoch_end(self, epoch, logs=None):
        self.epochs.append(epoch)


def train(folder, over_at_step=None, epochs=2):
    """Train with three steps an epoch; the time is over at the end of a step, counted in this `fit` from 1."""
    keras.utils.set_random_seed(3)
    model = MaskRCNN(CONFIG, small_backbone())
    model.compile(optimizer=keras.optimizers.Adam(1e-3), run_eagerly=True)
    dataset = make_dataset(drawn_records(5), CONFIG, batch_size=2, training=True, seed=1)
    seen = Seen()
    backup = TrainingBackup(folder / "b.weights.h5", dataset, save_freq=100, delete_checkpoint=False)
    limit = TimeLimit(2.0, 1000.0, backup)

    def clock():
        return 1000.0 + 7200 * (over_at_step is not None and len(seen.losses) >= over_at_step)

    stopped = False
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(time_limit, "time", types.SimpleNamespace(monotonic=clock))
        try:
            model.fit(dataset, epochs=epochs, verbose=0, callbacks=[seen, backup, limit])
        except TimeIsOver:
            stopped = True
    return seen, stopped


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    seen, stopped = train(tmp_path_factory.mktemp("whole"))
    assert not stopped and len(seen.losses) == 6
    return seen.losses


@pytest.mark.parametrize(("step", "epochs"), [(1, []), (3, [0])])
def test_it_stops_at_once_and_goes_on_there(step, epochs, tmp_path, whole):
    first, stopped = train(tmp_path, over_at_step=step)
    assert stopped and len(first.losses) == step
    assert first.epochs == epochs  # no epoch that was not trained to its end was evaluated, saved or logged
    second, stopped = train(tmp_path)
    assert not stopped
    assert [*first.losses, *second.losses] == pytest.approx(whole, rel=1e-5)


def test_at_the_end_of_training_there_is_nothing_to_stop(tmp_path):
    seen, stopped = train(tmp_path, over_at_step=3, epochs=1)
    assert not stopped and seen.epochs == [0]


def test_the_command_stops_with_success_and_is_resumed(trained, tmp_path, capsys, untraced):
    run = str(tmp_path / "run")
    start = [
        *data(trained),
        "--config",
        str(trained / "config.json"),
        "--set",
        "min_size=32",
        "--epochs",
        "1",
    ]
    assert main(["train", *start, "--output", run, "--max-hours", "1e-9", "--warmup-steps", "0"]) == 0
    said = capsys.readouterr().out
    resume = f"maskrcnn train --output {run} --resume"
    assert said.endswith(f"Stopped by --max-hours. This goes on where it stopped: {resume}\n")
    assert not (tmp_path / "run" / "log.csv").exists() and (tmp_path / "run" / "backup.weights.h5").exists()
    assert main(resume.split()[1:]) == 0
    assert capsys.readouterr().out.splitlines()[-1].startswith("Done: ")
    with open(tmp_path / "run" / "log.csv") as found, open(trained / "run" / "log.csv") as expected:
        (row,), wanted = csv.DictReader(found), next(csv.DictReader(expected))
    assert float(row["loss"]) == pytest.approx(float(wanted["loss"]), rel=1e-3)
