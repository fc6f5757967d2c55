"""Several replicas do what one device does: two of one process, and two processes, which share the images."""

import json
import os
import subprocess
import sys

import h5py
import numpy as np
import pytest
from places import TESTS
from workers import tf_configs

from keras_maskrcnn.models.load import load_model

SCRIPT = TESTS / "support" / "replicas.py"


def start(name, result, *rest, **environment):
    command = [sys.executable, str(SCRIPT), name, str(result), *rest]
    environment = {**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3", **environment}
    return subprocess.Popen(command, env=environment, stderr=subprocess.PIPE, text=True)


def trained(folder, changes="{}", count="5", written=""):
    """Run the training alone, mirrored and as two workers, and return what each found."""
    rest = changes, count
    running = {name: start(name, folder / f"{name}.npz", *rest) for name in ("one", "mirrored")}
    for number, config in enumerate(tf_configs()):
        name = f"worker {number}"
        running[name] = start("workers", folder / f"{name}.npz", *rest, written, TF_CONFIG=config)
    for name, process in running.items():
        _, errors = process.communicate(timeout=900)
        assert process.returncode == 0, f"{name}: {errors[-3000:]}"
    return {name: np.load(folder / f"{name}.npz") for name in running}


@pytest.fixture(scope="module")
def found(tmp_path_factory):
    # Batches of four of five images: of the second batch one replica has no image.
    folder = tmp_path_factory.mktemp("replicas")
    (folder / "run").mkdir()
    return {**trained(folder, written=str(folder / "run")), "run": folder / "run"}


def difference(found, begin, others=("mirrored", "worker 0", "worker 1")):
    """The largest difference between one device and others, of the values whose names begin so; relative above 1."""
    names = [name for name in found["one"].files if name.startswith(begin)]
    pairs = [(found[other][name], found["one"][name]) for name in names for other in others]
    assert pairs and all(one.shape == other.shape for one, other in pairs)
    return max(float(np.max(np.abs(one - other) / (1 + np.abs(other)))) for one, other in pairs)


def test_losses_of_training_and_validation_are_those_of_one_device(found):
    assert {"loss/loss", "loss/val_loss", "loss/mask_loss", "loss/val_rpn_class_loss"} <= set(
        found["one"].files
    )
    assert difference(found, "loss/") < 1e-5


def test_weights_are_those_of_one_device_with_gradients_clipped_and_averages(found):
    assert difference(found, "weight/") < 1e-6


def test_workers_are_bit_equal_to_replicas_of_one_process(found):
    for name in found["mirrored"].files:
        if name != "images":
            for worker in ("worker 0", "worker 1"):
                np.testing.assert_array_equal(found[worker][name], found["mirrored"][name], err_msg=name)


def test_predictions_are_of_all_images_in_their_order(found):
    assert len(found["one"]["predicted/boxes"]) == 5
    assert difference(found, "predicted/") < 1e-3


def test_each_worker_decodes_its_own_images_only(found):
    # Two epochs and two validations of five images: of each batch of four two, and the fifth is the first worker's.
    assert int(found["one"]["images"]) == int(found["mirrored"]["images"]) == 20
    assert (int(found["worker 0"]["images"]), int(found["worker 1"]["images"])) == (12, 8)


def test_the_chief_alone_writes_and_everything_is_there(found):
    run = found["run"]
    assert sorted(path.name for path in run.iterdir()) == [
        "backup.weights.h5", "best.keras", "keras", "log.csv", "tensorboard",
    ]  # fmt: skip
    assert len((run / "log.csv").read_text().splitlines()) == 3
    assert len(list((run / "tensorboard").iterdir())) == 1
    with h5py.File(run / "backup.weights.h5") as file:
        assert (file.attrs["epoch"], file.attrs["step"]) == (1, 2)
    assert load_model(run / "best.keras").config.num_classes == 2


def test_all_workers_know_the_evaluation(found):
    for number in range(2):
        assert np.isfinite(found[f"worker {number}"]["loss/val_box_AP"]).all()
    np.testing.assert_array_equal(found["worker 0"]["loss/val_box_AP"], found["worker 1"]["loss/val_box_AP"])


@pytest.mark.slow
@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"keypoint_names": ["a", "b"]},
        {"architecture": "c4", "anchor_sizes": [[16, 32]], "box_pool_size": 14, "mask_pool_size": 14},
        {
            "class_agnostic_boxes": True,
            "cascade_ious": [0.6],
            "cascade_delta_weights": [[20.0, 20.0, 10.0, 10.0]],
        },
        {"class_weights": [1.0, 3.0]},
        {"fpn_norm": "sync_batch_norm", "head_norm": "sync_batch_norm", "box_convs": 1},
    ],
    ids=str,
)
def test_ten_steps_of_other_models_too(changes, tmp_path):
    found = trained(tmp_path, json.dumps(changes), count="18")
    differences = {name: difference(found, name) for name in ("loss/", "weight/")}
    print(changes, differences)
    assert max(differences.values()) < 1e-5
    for name in found["mirrored"].files:
        if name != "images":
            np.testing.assert_array_equal(found["worker 0"][name], found["mirrored"][name], err_msg=name)


@pytest.mark.slow
def test_a_worker_without_any_image_trains_all_the_same(tmp_path):
    found = trained(tmp_path, count="1")
    assert (int(found["worker 0"]["images"]), int(found["worker 1"]["images"])) == (4, 0)
    assert difference(found, "loss/") < 1e-5 and difference(found, "weight/") < 1e-5


@pytest.mark.slow
def test_losses_over_each_replicas_images_are_another_rule(tmp_path):
    found = trained(tmp_path, json.dumps({"losses_over": "replica"}))
    # Of the second batch one replica has no image, and its loss of 0 counts.
    assert difference(found, "loss/loss") > 1e-2
    for name in found["mirrored"].files:
        if name != "images":
            np.testing.assert_array_equal(found["worker 0"][name], found["mirrored"][name], err_msg=name)
