"""`maskrcnn train` in two processes: the same run as in one, also when one of them is killed."""

import os
import random
import signal
import subprocess
import sys
import time

import pytest
from command_line import data, draw_images
from examples import tiny
from places import ROOT
from workers import tf_configs

from keras_maskrcnn.cli.main import main
from keras_maskrcnn.cli.run_folder import RunFolder

FILES = [
    "backup.weights.h5",
    "best.keras",
    "config.json",
    "curves.png",
    "log.csv",
    "model.keras",
    "settings.json",
]
STEPS = 9


def start(*options):
    """Start a worker for each TF_CONFIG with the same command line."""
    command = [sys.executable, "-m", "keras_maskrcnn.cli.main", "train", *options, "--strategy", "workers"]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    return [
        subprocess.Popen(
            command,
            env={**environment, "TF_CONFIG": config},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for config in tf_configs()
    ]


def ended(workers, seconds):
    """What each worker printed, and its exit code."""
    outputs = [worker.communicate(timeout=seconds) for worker in workers]
    return [(worker.returncode, *output) for worker, output in zip(workers, outputs, strict=True)]


@pytest.fixture(scope="module")
def options(tmp_path_factory):
    folder = tmp_path_factory.mktemp("workers")
    draw_images(folder, count=6)
    (folder / "config.json").write_text(tiny(class_names=("square", "circle")).to_json())
    return [
        *(*data(folder), "--config", str(folder / "config.json"), "--epochs", "3", "--batch-size", "2"),
        *("--val-annotations", str(folder / "annotations.json"), "--set", "score_threshold=0.0"),
        *("--backup-every", "1", "--ema", "0.9", "--clip-norm", "10", "--schedule", "cosine"),
    ]


@pytest.fixture(scope="module")
def whole(options, tmp_path_factory):
    """The folder of an uninterrupted run, and what its workers printed."""
    run = RunFolder(tmp_path_factory.mktemp("whole") / "run")
    return run, ended(start(*options, "--output", str(run.path)), 300)


def test_one_process_on_the_devices_of_its_machine(options, tmp_path, capsys):
    run = RunFolder(tmp_path / "run")
    given = [
        *options,
        "--epochs",
        "1",
        "--eval-every",
        "2",
        "--strategy",
        "mirrored",
        "--output",
        str(run.path),
    ]
    assert main(["train", *given, "--accumulate", "2"]) == 2
    assert "--accumulate 2 does not work with --strategy or --cluster" in capsys.readouterr().err
    assert main(["train", *given]) == 0
    assert "Trained on 1 replica of this machine\n" in capsys.readouterr().out
    assert len(run.rows()) == 1


@pytest.mark.slow
def test_the_chief_alone_speaks_and_writes(whole):
    run, (chief, other) = whole
    assert chief[0] == other[0] == 0, chief[2] + other[2]
    assert "Trained on 2 replicas in 2 processes: 127.0.0.1:" in chief[1] and "Done: " in chief[1]
    assert "6 images" in chief[2] and "6 images" not in other[2]
    assert other[1] == ""
    assert sorted(path.name for path in run.path.iterdir()) == FILES
    assert len(run.rows()) == 3


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(5))
def test_a_killed_worker_ends_the_other_and_both_go_on_where_they_were(seed, options, whole, tmp_path):
    choice = random.Random(seed)
    backups, victim = choice.randrange(1, STEPS), choice.randrange(2)
    print(f"seed {seed}: worker {victim} is killed after {backups} backups")
    run, written = RunFolder(tmp_path / "run"), set()
    workers = start(*options, "--output", str(run.path))
    while len(written) < backups:
        assert all(worker.poll() is None for worker in workers), ended(workers, 60)
        if run.backup.exists():
            written.add(run.backup.stat().st_mtime_ns)
        time.sleep(0.005)
    workers[victim].kill()
    began = time.monotonic()
    found = ended(workers, 60)
    print(f"the other ended after {time.monotonic() - began:.0f} s")
    assert found[victim][0] == -signal.SIGKILL
    assert found[1 - victim][0] == 2
    assert "Another process of this training has ended" in found[1 - victim][2]

    for code, _, errors in ended(start("--output", str(run.path), "--resume"), 300):
        assert code == 0, errors
    assert sorted(path.name for path in run.path.iterdir()) == FILES
    for row, wanted in zip(run.rows(), whole[0].rows(), strict=True):
        assert {**row, "seconds": ""} == {**wanted, "seconds": ""}
