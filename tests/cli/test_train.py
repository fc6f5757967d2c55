import csv
import json
import warnings
from pathlib import Path

import numpy as np
import pytest
from command_line import data, draw_images, error
from examples import tiny

from keras_maskrcnn.cli.main import main
from keras_maskrcnn.cli.run_folder import SETTINGS, RunFolder, merged_settings
from keras_maskrcnn.models.mask_rcnn import MaskRCNN
from keras_maskrcnn.weights.transfer import start_from


def test_training_needs_data_or_a_run_to_resume(tmp_path, capsys):
    assert "--annotations must be given" in error(capsys, "train", "--output", tmp_path)
    assert "there is no run to resume" in error(capsys, "train", "--output", tmp_path, "--resume")


def test_annotations_without_masks_need_a_model_without_masks(tmp_path, capsys):
    draw_images(tmp_path)
    content = json.loads((tmp_path / "annotations.json").read_text())
    for annotation in content["annotations"]:
        del annotation["segmentation"]
    (tmp_path / "annotations.json").write_text(json.dumps(content))
    assert main(["train", *data(tmp_path), "--output", str(tmp_path / "run"), "--set", "depth=18"]) == 2
    assert "add --set mask_head=none" in capsys.readouterr().err


def test_a_run_folder_holds_models_log_config_and_backup(trained):
    names = {path.name for path in (trained / "run").iterdir()}
    assert names == {
        "model.keras", "best.keras", "log.csv", "config.json", "settings.json", "backup.weights.h5",
        "curves.png",
    }  # fmt: skip
    with open(trained / "run" / "log.csv") as file:
        first = next(csv.DictReader(file))
    assert first["epoch"] == "1"
    assert float(first["loss"]) > float(first["mask_loss"]) > 0
    assert 0 <= float(first["val_mask_AP"]) <= 1


def test_config_file_and_settings_reach_the_model(source):
    assert source.config == tiny(class_names=("square", "circle"), score_threshold=0.0, min_size=32)


def test_the_format_is_kept_for_a_resumed_run_and_may_be_missing_from_an_old_one(tmp_path):
    run = RunFolder(tmp_path)
    given = {**dict.fromkeys(SETTINGS), "annotations": tmp_path, "format": "via", "class_key": "kind"}
    run.settings.write_text(json.dumps(merged_settings(given, run, False), default=str))
    resumed = merged_settings(dict.fromkeys(SETTINGS), run, True)
    assert (resumed["format"], resumed["class_key"], resumed["images"]) == ("via", "kind", None)
    with pytest.raises(ValueError, match="the run was started with --class-key kind"):
        merged_settings({**dict.fromkeys(SETTINGS), "class_key": "size"}, run, True)
    old = {name: value for name, value in resumed.items() if name not in ("format", "class_key")}
    run.settings.write_text(json.dumps(old))
    assert merged_settings(dict.fromkeys(SETTINGS), run, True)["format"] is None


def test_a_folder_with_a_run_is_not_overwritten(trained, capsys):
    line = error(capsys, "train", *data(trained), "--output", trained / "run")
    assert "a run is there already" in line and "--resume" in line


def test_resume_goes_on_and_says_when_nothing_is_left(trained, capsys):
    resume = ["train", "--output", str(trained / "run"), "--resume"]
    assert main(resume) == 0
    assert "1 of 1 epochs are trained, so nothing is left to train" in capsys.readouterr().out
    assert main([*resume, "--epochs", "2"]) == 0
    assert "The first step takes longer: the graph is built\nEpoch 2/2\n" in capsys.readouterr().out
    with open(trained / "run" / "log.csv") as file:
        rows = list(csv.DictReader(file))
    assert [row["epoch"] for row in rows] == ["1", "2"]
    assert [float(row["learning_rate"]) for row in rows] == pytest.approx([0.0025, 0.00025])


def test_a_run_is_not_resumed_with_other_settings(trained, capsys):
    resume = ["train", "--output", trained / "run", "--resume"]
    assert "started with --batch-size 2" in error(capsys, *resume, "--batch-size", "3")
    line = error(capsys, *resume, "--drop-epochs", "11", "--drop-epochs", "8")
    assert "started with --drop-epochs [1], and continues exactly only so; got [8, 11]" in line
    assert "started with depth=18" in error(capsys, *resume, "--set", "depth=50")


@pytest.mark.parametrize(
    ("options", "drops"),
    [([], []), (["--drop-epochs", "8,11"], [8, 11])],
)
def test_the_learning_rate_is_divided_by_ten_after_the_epochs_asked_for(
    options, drops, trained, tmp_path, capsys, monkeypatch
):
    optimizers = []
    monkeypatch.setattr(MaskRCNN, "fit", lambda self, *_, **__: optimizers.append(self.optimizer))
    config = ["--config", str(trained / "config.json"), *options]
    assert main(["train", *data(trained), *config, "--output", str(tmp_path)]) == 0
    steps = 2  # four images, two at a time
    optimizers[0].iterations.assign(8 * steps - 1)
    assert float(optimizers[0].learning_rate) == pytest.approx(0.0025)
    optimizers[0].iterations.assign(8 * steps)
    assert float(optimizers[0].learning_rate) == pytest.approx(0.00025 if drops else 0.0025)
    optimizers[0].iterations.assign(11 * steps)
    assert float(optimizers[0].learning_rate) == pytest.approx(0.000025 if drops else 0.0025)
    assert json.loads((tmp_path / "settings.json").read_text())["drop_epochs"] == drops
    assert ("divided by ten after epoch 8 and 11" in capsys.readouterr().out) == bool(drops)


def test_training_from_scratch_says_so_and_where_to_start_from(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(MaskRCNN, "fit", lambda *_, **__: None)
    draw_images(tmp_path)
    small = ["--set", "depth=18", "--set", "norm=none", "--set", "frozen_stages=0"]
    assert main(["train", *data(tmp_path), *small, "--output", str(tmp_path / "run")]) == 0
    assert (
        "No --weights: everything is trained from randomly initialised weights, with fpn_norm=group_norm, "
        "head_norm=group_norm; for your own photographs start from --weights maskrcnn_resnet50_fpn_v2_coco\n"
    ) in capsys.readouterr().out


def test_stopped_training_says_how_to_go_on(trained, tmp_path, capsys, monkeypatch):
    def stop(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr(MaskRCNN, "fit", stop)
    run = str(tmp_path / "run")
    config = ["--config", str(trained / "config.json")]
    assert main(["train", *data(trained), *config, "--output", run]) == 130
    assert f"maskrcnn train --output {run} --resume" in capsys.readouterr().out


def test_training_can_start_from_the_weights_of_another_run(source):
    same = MaskRCNN(source.config)
    assert start_from(same, source, "model.keras") == ()
    for ours, theirs in zip(same.weights, source.weights, strict=True):
        np.testing.assert_array_equal(ours, theirs)


def test_with_other_classes_only_the_layers_that_depend_on_them_are_new(source):
    other = MaskRCNN(tiny(class_names=("cat", "dog", "bird")))
    new = start_from(other, source, "model.keras")
    assert new == ("box_head/logits", "box_head/deltas", "mask_head/logits")
    for ours, theirs in zip(other.weights, source.weights, strict=True):
        if not ours.path.startswith(new):
            np.testing.assert_array_equal(ours, theirs)


def test_weights_of_another_architecture_are_refused(source):
    other = MaskRCNN(tiny(class_names=source.config.class_names, mask_head_channels=64))
    with pytest.raises(ValueError, match=r"model\.keras: mask_head/.* has shape .*, and the model to train"):
        start_from(other, source, "model.keras")


def test_a_value_that_no_model_can_have_is_refused_before_anything_is_read(tmp_path, capsys):
    draw_images(tmp_path)
    line = error(capsys, "train", *data(tmp_path), "--output", tmp_path / "run", "--set", "norm=best")
    assert "Config.norm must be one of" in line
    assert not (tmp_path / "run").exists()


def test_weights_are_a_file_or_the_name_of_a_published_model(tmp_path, capsys):
    given = dict.fromkeys(SETTINGS) | {"annotations": Path("a.json"), "images": Path("i")}
    run = RunFolder(tmp_path)
    assert merged_settings({**given, "weights": "resnet50"}, run, False)["weights"] == "resnet50"
    assert merged_settings({**given, "weights": Path("a.keras")}, run, False)["weights"] == str(
        Path.cwd() / "a.keras"
    )
    line = error(capsys, "train", "--output", tmp_path, "--weights", "resnet-50")
    assert "No published model is called 'resnet-50'; nearest: resnet50" in line


def test_a_resumed_run_with_frozen_statistics_warns_of_nothing(tmp_path):
    draw_images(tmp_path)
    MaskRCNN(tiny(norm="frozen_batch_norm", class_names=("square", "circle"))).save(tmp_path / "start.keras")
    start = ["train", *data(tmp_path), "--weights", str(tmp_path / "start.keras"), "--epochs", "1"]
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "The backbone's batch norm is frozen")  # it really is random here
        assert main([*start, "--output", str(tmp_path / "run")]) == 0
    with warnings.catch_warnings():
        warnings.simplefilter("error", UserWarning)
        assert main(["train", "--output", str(tmp_path / "run"), "--resume", "--epochs", "2"]) == 0
