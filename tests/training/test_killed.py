"""Training that is killed at a random step and goes on as if it had not been."""

import functools
import os
import random
import signal
import subprocess
import sys
import time

import killed_training
import numpy as np
import pytest
from command_line import data, draw_images
from examples import tiny
from killed_training import EPOCHS, STEPS, read_losses
from places import ROOT, TESTS

from keras_maskrcnn.cli.main import main
from keras_maskrcnn.cli.run_folder import RunFolder


def kill_when(arguments, ready):
    """Run Python and kill it with SIGKILL as soon as `ready()`."""
    paths = os.pathsep.join(map(str, (ROOT, TESTS / "support")))
    process = subprocess.Popen(
        [sys.executable, *arguments], env={**os.environ, "PYTHONPATH": paths}, stdout=subprocess.DEVNULL
    )
    while not ready():
        assert process.poll() is None, "it ended before it could be killed"
        time.sleep(0.01)
    process.kill()
    assert process.wait() == -signal.SIGKILL


@pytest.fixture(scope="module")
def uninterrupted(tmp_path_factory):
    """Losses by step and final weights of a training of either kind."""

    @functools.cache
    def run(kind):
        folder = tmp_path_factory.mktemp(kind)
        weights = killed_training.train(folder, kind)
        losses = read_losses(folder / "losses.txt")
        assert len(losses) == EPOCHS * STEPS
        return losses, weights

    return run


@pytest.mark.parametrize(
    ("kind", "seed"),
    [("small", 0), *(pytest.param("maskrcnn", seed, marks=pytest.mark.slow) for seed in range(5))],
)
def test_a_killed_training_goes_on_with_the_losses_of_an_uninterrupted_one(
    tmp_path, uninterrupted, kind, seed
):
    step = random.Random(seed).randrange(1, EPOCHS * STEPS)
    print(f"seed {seed}: killed in step {step + 1} of {EPOCHS * STEPS}")
    losses = tmp_path / "losses.txt"
    kill_when(
        [TESTS / "support" / "killed_training.py", tmp_path, kind], lambda: len(read_losses(losses)) >= step
    )
    seen = read_losses(losses)
    assert step <= len(seen) < EPOCHS * STEPS

    losses.unlink()
    weights = killed_training.train(tmp_path, kind)
    again = read_losses(losses)
    expected, expected_weights = uninterrupted(kind)
    assert set(again) | set(seen) == set(expected)  # nothing is left out
    assert (
        len(again) <= EPOCHS * STEPS - step + 1
    )  # at most the step is repeated whose backup was not written yet
    for place, loss in again.items():
        assert loss == pytest.approx(expected[place], rel=1e-5), place
    for found, wanted in zip(weights, expected_weights, strict=True):
        np.testing.assert_allclose(found, wanted, rtol=1e-4, atol=1e-6)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(3))
def test_a_killed_run_of_the_command_ends_with_the_log_of_an_uninterrupted_one(tmp_path, seed):
    draw_images(tmp_path, count=6)
    (tmp_path / "config.json").write_text(tiny(class_names=("square", "circle")).to_json())
    options = [
        *("train", *data(tmp_path), "--config", str(tmp_path / "config.json"), "--epochs", "3"),
        *("--val-annotations", str(tmp_path / "annotations.json"), "--set", "score_threshold=0.0"),
        *(
            "--backup-every",
            "1",
            "--accumulate",
            "2",
            "--ema",
            "0.9",
            "--clip-norm",
            "10",
            "--schedule",
            "cosine",
        ),
    ]
    whole, killed = RunFolder(tmp_path / "whole"), RunFolder(tmp_path / "killed")
    assert main([*options, "--output", str(whole.path)]) == 0

    backups = random.Random(seed).randrange(1, 9)  # of 9 steps
    print(f"seed {seed}: killed after {backups} backups")
    written = set()

    def ready():
        if killed.backup.exists():
            written.add(killed.backup.stat().st_mtime_ns)
        return len(written) >= backups

    kill_when(["-m", "keras_maskrcnn.cli.main", *options, "--output", str(killed.path)], ready)
    assert main(["train", "--output", str(killed.path), "--resume"]) == 0
    for found, wanted in zip(killed.rows(), whole.rows(), strict=True):
        assert found.keys() == wanted.keys()
        for name in found.keys() - {"seconds"}:
            assert float(found[name]) == pytest.approx(float(wanted[name]), rel=1e-4, abs=1e-6), name
