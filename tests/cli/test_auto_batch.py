"""--batch-size auto: the largest batch that the free memory holds, and why."""

import json
import types

import numpy as np
import pytest
import tensorflow as tf
from command_line import data, error
from examples import tiny
from tensorflow.python.client import device_lib

from keras_maskrcnn.cli import auto_batch
from keras_maskrcnn.cli.auto_batch import auto_batch_size
from keras_maskrcnn.cli.cluster import Cluster
from keras_maskrcnn.cli.main import main
from keras_maskrcnn.cli.run_folder import RunFolder, merged_settings
from keras_maskrcnn.data.records import make_record
from keras_maskrcnn.diagnostics.memory import StepMemory
from keras_maskrcnn.models.mask_rcnn import MaskRCNN
from keras_maskrcnn.utils.machine_memory import FreeMemory

PLAIN = {"optimizer": "sgd", "ema": None, "accumulate": 1}
CONFIG = tiny(mask_head="none")


def records(count):
    image = np.zeros((64, 64, 3), np.uint8)
    return [make_record(image, [[4, 4, 20, 20]], [1], image_id=number) for number in range(count)]


@pytest.fixture(scope="module")
def counted():
    return StepMemory(CONFIG, records(1))


@pytest.fixture
def step(counted, monkeypatch):
    """The memory of steps, counted once for all tests."""
    monkeypatch.setattr(auto_batch, "StepMemory", lambda config, records, more_per_weight: counted)
    return counted


def chosen(monkeypatch, free, count=40, settings=PLAIN, replicas=1, cluster=None):
    monkeypatch.setattr(auto_batch, "free_memory", lambda: FreeMemory(int(free), "on this machine"))
    strategy = types.SimpleNamespace(num_replicas_in_sync=replicas)
    return auto_batch_size(CONFIG, records(count), settings, strategy, cluster)


def test_as_many_images_as_four_fifths_of_the_free_memory_hold(monkeypatch, capsys, step):
    assert chosen(monkeypatch, step.of(5) / 0.8 + 10) == 5
    line = capsys.readouterr().out
    assert line.startswith("--batch-size auto: 5 images per step, which take about 0.")
    assert "(6 would take 0." in line and "GiB are free on this machine, of which 80% are used" in line
    assert "would fit" not in line


def test_no_more_than_the_recipes_have_and_no_more_than_there_are(monkeypatch, capsys, step):
    assert chosen(monkeypatch, step.of(20) / 0.8 + 10) == 16
    assert "; 20 would fit, but 16 images in all are the published recipes' batch" in capsys.readouterr().out
    assert chosen(monkeypatch, step.of(20) / 0.8 + 10, count=6) == 6
    assert "; 20 would fit, but 6 images in all are all that an epoch has" in capsys.readouterr().out


def test_replicas_have_equally_many_of_the_recipes_batch(monkeypatch, capsys, step):
    assert chosen(monkeypatch, 3 * step.of(20) / 0.8 + 30, replicas=3) == 15
    assert "; 20 would fit, but 15 images in all are the published recipes' batch" in capsys.readouterr().out


def test_what_the_optimizer_keeps_counts(monkeypatch, counted):
    more = []
    monkeypatch.setattr(auto_batch, "StepMemory", lambda *_: more.append(_[2]) or counted)
    for change in (
        {},
        {"optimizer": "adamw"},
        {"ema": 0.99},
        {"optimizer": "adamw", "ema": 0.99, "accumulate": 4},
    ):
        chosen(monkeypatch, 2**40, settings={**PLAIN, **change})
    assert more == [0, 1, 1, 3]


def test_where_not_even_one_image_fits_the_numbers_are_said(monkeypatch, step):
    reason = (
        r"a step of 1 image takes about 0\.\d\d GiB, and 0\.\d\d GiB are free on this machine, .*min_size"
    )
    with pytest.raises(ValueError, match=reason):
        chosen(monkeypatch, step.of(1) / 0.8 - 10)


def test_replicas_and_processes_of_a_machine_share_its_memory(monkeypatch, capsys, step):
    free = step.of(3) / 0.8 + 10
    assert chosen(monkeypatch, 2 * free, replicas=2) == 6
    assert "3 images per step for each of 2 replicas" in capsys.readouterr().out
    together = Cluster({"worker": ["localhost:1", "localhost:2"]}, "worker", 0)
    assert chosen(monkeypatch, 2 * free, replicas=2, cluster=together) == 6
    apart = Cluster({"worker": ["a:1", "b:1"]}, "worker", 1)
    assert chosen(monkeypatch, free, replicas=2, cluster=apart) == 6
    of_slurm = Cluster({"worker": ["a:1", "a:2"]}, "worker", 1, neighbours=2)
    assert chosen(monkeypatch, 2 * free, replicas=2, cluster=of_slurm) == 6


def test_with_gpus_the_smallest_counts(monkeypatch, capsys, step):
    free = step.of(3) / 0.8 + 10
    devices = [
        types.SimpleNamespace(device_type="CPU", name="/device:CPU:0", memory_limit=2**28),
        types.SimpleNamespace(device_type="GPU", name="/device:GPU:0", memory_limit=int(9 * free)),
        types.SimpleNamespace(device_type="GPU", name="/device:GPU:1", memory_limit=int(free) + 1000),
    ]
    monkeypatch.setattr(device_lib, "list_local_devices", lambda: devices)
    monkeypatch.setattr(tf.config.experimental, "get_memory_info", lambda name: {"current": 1000})
    assert chosen(monkeypatch, 0, replicas=2) == 6
    assert "are free on GPU:1" in capsys.readouterr().out


def test_a_system_that_does_not_say_what_is_free_needs_a_number(monkeypatch):
    monkeypatch.setattr(auto_batch, "free_memory", lambda: None)
    with pytest.raises(ValueError, match="does not say how much memory is free; give a number"):
        auto_batch_size(CONFIG, records(1), PLAIN, tf.distribute.get_strategy(), None)


def test_a_run_keeps_the_number_that_was_chosen(trained, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(MaskRCNN, "fit", lambda *_, **__: None)
    monkeypatch.setattr(auto_batch, "free_memory", lambda: FreeMemory(2**40, "on this machine"))
    run = tmp_path / "run"
    config = ["--config", str(trained / "config.json")]
    assert main(["train", *data(trained), *config, "--output", str(run), "--batch-size", "auto"]) == 0
    assert "would fit, but 4 images in all are all that an epoch has" in capsys.readouterr().out
    settings = json.loads((run / "settings.json").read_text())
    assert settings["batch_size"] == 4 and settings["learning_rate"] == pytest.approx(0.02 * 4 / 16)
    given = dict.fromkeys(settings) | {"batch_size": "auto"}
    assert merged_settings(given, RunFolder(run), resume=True)["batch_size"] == 4


def test_other_words_are_refused(tmp_path, capsys):
    assert "integer of at least 1; got most" in error(
        capsys, "train", "--output", tmp_path, "--batch-size", "most"
    )
