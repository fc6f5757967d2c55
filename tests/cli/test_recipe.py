"""What the options of `maskrcnn train` make of optimizer, schedule and early end, without training."""

import csv
import json
import math
from pathlib import Path

import keras
import numpy as np
import pytest
from PIL import Image

from keras_maskrcnn.cli import recipe
from keras_maskrcnn.cli.curves import save_curves
from keras_maskrcnn.cli.parser import make_parser
from keras_maskrcnn.cli.progress import EarlyStop
from keras_maskrcnn.cli.run_folder import RunFolder, merged_settings
from keras_maskrcnn.training.optimizers import CoupledSGD

STEPS = 100  # of an epoch


def settings(folder, *options, resume=False):
    """The settings of a command line; data are any files."""
    given = ["train", "--output", str(folder), *options]
    if not resume:
        given += ["--annotations", __file__, "--images", str(Path(__file__).parent)]
        given += ["--val-annotations", __file__]
    merged = merged_settings(vars(make_parser().parse_args(given)), RunFolder(folder), resume)
    return {**merged, "batch_size": recipe.batch_size(merged, replicas=1)}


def test_the_recipe_of_detectron_without_options(tmp_path):
    filled = recipe.completed(settings(tmp_path), STEPS)
    assert filled["learning_rate"] == pytest.approx(0.02 * 2 / 16)
    assert filled["warmup_steps"] == 120  # a tenth of 12 epochs
    optimizer = recipe.make_optimizer(filled, recipe.make_schedule(filled, STEPS))
    assert (
        isinstance(optimizer, CoupledSGD)
        and optimizer.momentum == 0.9
        and optimizer.coupled_weight_decay == 1e-4
    )
    assert (
        not optimizer.use_ema
        and optimizer.global_clipnorm is None
        and not optimizer.gradient_accumulation_steps
    )


def test_a_step_has_two_images_for_each_replica_and_never_fewer_than_replicas(tmp_path):
    assert recipe.batch_size({"batch_size": None}, replicas=8) == 16
    assert recipe.batch_size({"batch_size": 9}, replicas=8) == 9
    with pytest.raises(ValueError, match=r"--batch-size 4 .* of which there are 8"):
        recipe.batch_size({"batch_size": 4}, replicas=8)


def test_options_reach_the_optimizer(tmp_path):
    options = [
        "--optimizer",
        "adamw",
        "--accumulate",
        "4",
        "--clip-norm",
        "3",
        "--ema",
        "0.99",
        "--epochs",
        "1000",
    ]
    filled = recipe.completed(settings(tmp_path, *options), STEPS)
    assert filled["learning_rate"] == pytest.approx(1e-4 * 8 / 16)  # two images, four times
    assert filled["warmup_steps"] == 4000  # 1000 updates
    optimizer = recipe.make_optimizer(filled, 0.1)
    assert isinstance(optimizer, keras.optimizers.AdamW) and optimizer.weight_decay == 0.05
    assert optimizer.gradient_accumulation_steps == 4 and optimizer.global_clipnorm == 3
    assert optimizer.use_ema and optimizer.ema_momentum == 0.99
    decay = recipe.completed(settings(tmp_path, "--weight-decay", "0"), STEPS)["weight_decay"]
    assert decay == 0


@pytest.mark.parametrize("warmup", [0, 20])
def test_a_cosine_falls_to_zero_at_the_last_step(tmp_path, warmup):
    options = [
        "--schedule",
        "cosine",
        "--epochs",
        "2",
        "--learning-rate",
        "0.1",
        "--warmup-steps",
        str(warmup),
    ]
    rate = recipe.make_schedule(recipe.completed(settings(tmp_path, *options), STEPS), STEPS)
    rates = [float(rate(step)) for step in (warmup // 2, warmup, 110, 200)]
    middle = 0.05 * (1 + math.cos(math.pi * (110 - warmup) / (200 - warmup)))
    rising = 0.1 * (1e-3 + (1 - 1e-3) / 2) if warmup else 0.1
    np.testing.assert_allclose(rates, [rising, 0.1, middle, 0.0], rtol=1e-5, atol=1e-8)


def test_what_is_going_to_happen_is_said(tmp_path):
    cosine = recipe.completed(settings(tmp_path, "--schedule", "cosine", "--accumulate", "2"), STEPS)
    assert recipe.described(cosine, STEPS) == (
        "Training to epoch 12 of 100 steps each, 2 images per step, 4 per update of the weights; sgd, "
        "learning rate 0.005 after a warm-up of 120 steps, then along a cosine to 0"
    )


def test_settings_that_do_not_go_together_are_refused(tmp_path):
    with pytest.raises(ValueError, match="--drop-epochs is of --schedule step"):
        settings(tmp_path, "--schedule", "cosine", "--drop-epochs", "3")
    given = vars(make_parser().parse_args(["train", "--output", "x", "--patience", "3"]))
    given.update(annotations=Path("a.json"), images=Path("i"))
    with pytest.raises(ValueError, match="--patience needs --val-annotations"):
        merged_settings(given, RunFolder(tmp_path), False)
    given.update(val_annotations=Path("v.json"), eval_every=5)
    with pytest.raises(ValueError, match="--patience 3 is over before the next validation, 5 epochs later"):
        merged_settings(given, RunFolder(tmp_path), False)


def test_a_resumed_cosine_keeps_its_length_but_may_get_another_patience(tmp_path):
    (tmp_path / "settings.json").write_text(json.dumps(settings(tmp_path, "--schedule", "cosine")))
    assert settings(tmp_path, "--patience", "3", "--epochs", "12", resume=True)["patience"] == 3
    with pytest.raises(ValueError, match="falls along a cosine to epoch 12, which --epochs 20 would change"):
        settings(tmp_path, "--epochs", "20", resume=True)


def run_with(folder, values):
    """A run whose log has these mask APs."""
    rows = [
        {
            "epoch": epoch, "learning_rate": 0.1 / epoch, "loss": 3 / epoch, "class_loss": 1 / epoch,
            "val_box_AP": 0.9 - epoch / 10, "val_mask_AP": value,
        }
        for epoch, value in enumerate(values, start=1)
    ]  # fmt: skip
    with open(folder / "log.csv", "w", newline="") as file:
        writer = csv.DictWriter(file, fieldnames=list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    return RunFolder(folder)


@pytest.mark.parametrize(
    ("values", "stops"),
    [
        ([0.1, 0.2, 0.3], False),
        ([0.1, 0.3, 0.2], False),  # one epoch without a gain
        ([0.1, 0.3, 0.2, 0.3], True),  # as good is not better
        ([0.1, 0.3, 0.2, 0.31], False),
        ([float("nan"), 0.1, 0.05, 0.05], True),
    ],
)
def test_patience_is_counted_from_the_log_alone(tmp_path, values, stops, capsys):
    run = run_with(tmp_path, values)
    callback = EarlyStop(run, patience=2)  # a new one, as after a resume
    model = keras.Sequential()
    model.stop_training = False
    callback.set_model(model)
    callback.set_params({"epochs": 9})
    callback.on_epoch_end(len(values) - 1)
    assert callback.model.stop_training == stops
    assert ("Stopped early: val_mask_AP has not risen above epoch 2's" in capsys.readouterr().out) == stops
    assert run.patience_is_over(None) is None


def test_the_best_epoch_is_the_first_with_the_highest_mask_precision(tmp_path):
    assert run_with(tmp_path, [0.1, 0.3, 0.3]).best_epoch() == ("val_mask_AP", 0.3, 2)


def test_curves_are_drawn_with_and_without_validation(tmp_path):
    rows = run_with(tmp_path, [0.1, 0.3, 0.2]).rows()
    save_curves(rows, tmp_path / "three.png")
    for row in rows:
        del row["val_box_AP"], row["val_mask_AP"]
    rows[1]["class_loss"] = ""  # a gap
    save_curves(rows, tmp_path / "two.png")
    assert Image.open(tmp_path / "three.png").size == (1500, 400)
    assert Image.open(tmp_path / "two.png").size == (1000, 400)
    colors = np.asarray(Image.open(tmp_path / "three.png").convert("RGB")).reshape(-1, 3)
    drawn = {(31, 119, 180), (255, 127, 14)} - {tuple(color) for color in np.unique(colors, axis=0).tolist()}
    assert not drawn  # both of matplotlib's first colours are seen
