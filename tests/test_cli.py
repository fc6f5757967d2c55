import csv
import json
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from examples import tiny
from PIL import Image

from keras_maskrcnn.cli import main
from keras_maskrcnn.commands.interrupt import interruptible
from keras_maskrcnn.commands.model_file import read_model, start_from
from keras_maskrcnn.model import MaskRCNN

ROOT = Path(__file__).resolve().parents[1]
CATEGORIES = [{"id": 7, "name": "circle"}, {"id": 3, "name": "square"}]


def draw_pictures(folder, count=4, size=64):
    """Write gray pictures with one bright square each, and their COCO annotation file beside the folder."""
    rng = np.random.default_rng(0)
    (folder / "images").mkdir()
    images, annotations = [], []
    for number in range(1, count + 1):
        x, y = (int(corner) for corner in rng.integers(4, 30, 2))
        pixels = np.full((size, size, 3), 60, np.uint8)
        pixels[y : y + 24, x : x + 24] = 220
        Image.fromarray(pixels).save(folder / "images" / f"{number}.png")
        images.append({"id": number, "file_name": f"{number}.png", "height": size, "width": size})
        outline = [x, y, x + 24, y, x + 24, y + 24, x, y + 24]
        annotations.append(
            {
                "id": number,
                "image_id": number,
                "category_id": 3 if number % 2 else 7,
                "bbox": [x, y, 24, 24],
                "area": 576,
                "iscrowd": 0,
                "segmentation": [outline],
            }
        )
    content = {"images": images, "annotations": annotations, "categories": CATEGORIES}
    (folder / "annotations.json").write_text(json.dumps(content))


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A folder with pictures, and a run of one epoch on them."""
    folder = tmp_path_factory.mktemp("trained")
    draw_pictures(folder)
    fields = tiny().to_dict()
    del fields["class_names"]
    (folder / "config.json").write_text(json.dumps(fields))
    code = main(
        [
            *("train", *data(folder), "--output", str(folder / "run"), "--epochs", "1"),
            *("--val-annotations", str(folder / "annotations.json"), "--config", str(folder / "config.json")),
            *("--set", "score_threshold=0.0", "--set", "min_size=32"),
        ]
    )
    assert code == 0
    return folder


@pytest.fixture(scope="module")
def source(trained):
    return read_model(model(trained))


def data(folder):
    return "--annotations", str(folder / "annotations.json"), "--images", str(folder / "images")


def model(folder):
    return str(folder / "run" / "model.keras")


def error(capsys, *arguments):
    """Run a command that fails; return its error line."""
    try:
        code = main([str(argument) for argument in arguments])
    except SystemExit as exit_:  # how argparse ends
        code = exit_.code
    captured = capsys.readouterr()
    assert code == 2
    assert captured.err.startswith("maskrcnn: error: ") and captured.err.count("\n") == 1
    return captured.err


@pytest.mark.parametrize("command", ["train", "evaluate", "predict"])
def test_help_says_what_a_command_does_and_gives_an_example(command, capsys):
    with pytest.raises(SystemExit) as exit_:
        main([command, "--help"])
    text = capsys.readouterr().out
    assert exit_.value.code == 0
    assert f"  maskrcnn {command} " in text
    assert "(default: " in text


def test_no_command_prints_the_help(capsys):
    assert main([]) == 2
    assert "train a model" in capsys.readouterr().out


def test_training_help_lists_the_fields_of_the_config_with_their_defaults(capsys):
    with pytest.raises(SystemExit):
        main(["train", "--help"])
    assert "min_size=800, max_size=1333" in capsys.readouterr().out


def test_help_and_wrong_arguments_do_not_load_tensorflow():
    program = """
import sys, types
package = types.ModuleType("keras_maskrcnn")  # without its __init__, whose contents are not the command's
package.__path__ = ["keras_maskrcnn"]
sys.modules["keras_maskrcnn"] = package
from keras_maskrcnn.cli import main
for arguments in (["train", "--help"], ["train", "--output", "x"], ["predict", "no.keras", "a", "--output", "x"]):
    try:
        main(arguments)
    except SystemExit:
        pass
print("loaded:", [name for name in ("tensorflow", "keras", "numpy") if name in sys.modules])
"""
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert done.stdout.endswith("loaded: []\n")


def test_missing_files_are_named(tmp_path, capsys):
    assert "no.json: there is no such file" in error(capsys, "train", "--annotations", "no.json")
    assert "nowhere: there is no such folder" in error(capsys, "evaluate", "--images", "nowhere")
    assert "no.jpg: there is no such file" in error(capsys, "predict", "no.jpg", "--output", tmp_path)


def test_files_of_another_kind_are_named(tmp_path, capsys):
    draw_pictures(tmp_path)
    damaged = tmp_path / "damaged.keras"
    damaged.write_bytes(b"PK")
    line = error(capsys, "evaluate", damaged, *data(tmp_path))
    assert "damaged.keras: the file is damaged" in line
    text = tmp_path / "text.json"
    text.write_text("no json")
    line = error(capsys, "train", "--annotations", text, "--images", tmp_path, "--output", tmp_path / "run")
    assert "text.json: this is no valid JSON" in line


def test_an_unknown_field_names_the_nearest_ones(capsys):
    line = error(capsys, "train", "--set", "minsize=3")
    assert "Config has no field 'minsize'; nearest: min_size" in line


@pytest.mark.parametrize(
    ("setting", "reason"),
    [
        ("min_size", "it must look like FIELD=VALUE"),
        ("min_size=large", "Config.min_size must be a whole number; got 'large'"),
        ("min_size=1.5", "Config.min_size must be a whole number; got 1.5"),
        ("bgr=1", "Config.bgr must be true or false; got 1"),
        ("nms_iou=true", "Config.nms_iou must be a number; got True"),
        ("train_min_sizes=640", "Config.train_min_sizes must be a JSON list; got 640"),
    ],
)
def test_a_value_of_another_type_is_refused(setting, reason, capsys):
    assert reason in error(capsys, "train", "--set", setting)


def test_a_value_that_no_model_can_have_is_refused_before_anything_is_read(tmp_path, capsys):
    draw_pictures(tmp_path)
    line = error(capsys, "train", *data(tmp_path), "--output", tmp_path / "run", "--set", "norm=best")
    assert "Config.norm must be one of" in line
    assert not (tmp_path / "run").exists()


def test_a_config_file_with_an_unknown_field_is_named(tmp_path, capsys):
    (tmp_path / "my.json").write_text('{"dept": 50}')
    line = error(capsys, "train", "--config", tmp_path / "my.json")
    assert "my.json: Config has no field 'dept'; nearest: depth" in line


def test_numbers_out_of_range_are_refused(capsys):
    assert "--epochs: it must be a whole number from 1; got 0" in error(capsys, "train", "--epochs", "0")
    assert "--learning-rate: it must be above 0; got nan" in error(capsys, "train", "--learning-rate", "nan")
    assert "--score-threshold: it must lie in 0..1; got 2" in error(
        capsys, "predict", "--score-threshold", "2"
    )


def test_training_needs_data_or_a_run_to_resume(tmp_path, capsys):
    assert "--annotations and --images must be given" in error(capsys, "train", "--output", tmp_path)
    assert "there is no run to resume" in error(capsys, "train", "--output", tmp_path, "--resume")


def test_annotations_without_masks_need_a_model_without_masks(tmp_path, capsys):
    draw_pictures(tmp_path)
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
    }  # fmt: skip
    with open(trained / "run" / "log.csv") as file:
        first = next(csv.DictReader(file))
    assert first["epoch"] == "1"
    assert float(first["loss"]) > float(first["mask_loss"]) > 0
    assert 0 <= float(first["val_mask_AP"]) <= 1


def test_config_file_and_settings_reach_the_model(source):
    assert source.config == tiny(class_names=("square", "circle"), score_threshold=0.0, min_size=32)


def test_a_folder_with_a_run_is_not_overwritten(trained, capsys):
    line = error(capsys, "train", *data(trained), "--output", trained / "run")
    assert "a run is there already" in line and "--resume" in line


def test_resume_goes_on_and_says_when_nothing_is_left(trained, capsys):
    resume = ["train", "--output", str(trained / "run"), "--resume"]
    assert main(resume) == 0
    assert "1 of 1 epochs are trained, so nothing is left to train" in capsys.readouterr().out
    assert main([*resume, "--epochs", "2"]) == 0
    assert "Epoch 2/2" in capsys.readouterr().out
    with open(trained / "run" / "log.csv") as file:
        assert [row["epoch"] for row in csv.DictReader(file)] == ["1", "2"]


def test_a_run_is_not_resumed_with_other_settings(trained, capsys):
    resume = ["train", "--output", trained / "run", "--resume"]
    assert "started with --batch-size 2" in error(capsys, *resume, "--batch-size", "3")
    assert "started with depth=18" in error(capsys, *resume, "--set", "depth=50")


def test_evaluate_prints_a_table_and_writes_results_with_the_files_category_ids(trained, capsys):
    results, figures = trained / "results.json", trained / "figures.json"
    written = ["--results", str(results), "--json", str(figures)]
    assert main(["evaluate", model(trained), *data(trained), "--per-class", *written]) == 0
    table, classes = (text.splitlines() for text in capsys.readouterr().out.split("\n\n"))
    assert table[0].split() == ["box", "mask"]
    figures_of = {line[:9].strip(): line[9:].split() for line in table[1:]}
    assert figures_of["AP large"] == ["-", "-"]  # no object is large
    assert 0 <= float(figures_of["AP50"][1]) <= 1
    assert classes[0].split() == ["class", "mask", "AP", "box", "AP", "objects"]
    assert sorted(line.split()[0] for line in classes[1:]) == ["circle", "square"]
    rows = json.loads(results.read_text())
    assert rows and {row["category_id"] for row in rows} <= {3, 7}
    values = json.loads(figures.read_text())
    assert values["mask_AP_large"] is None  # JSON knows no nan
    assert 0 <= values["mask_AP"] <= 1


def test_predict_writes_a_picture_per_image_and_coco_results(trained, tmp_path, capsys):
    out = tmp_path / "found"
    inputs = [
        str(trained / "images"),
        "--output",
        str(out),
        "--score-threshold",
        "0",
        "--max-detections",
        "3",
    ]
    assert main(["predict", model(trained), *inputs]) == 0
    rows = json.loads((out / "detections.json").read_text())
    assert {row["image_id"] for row in rows} <= {1, 2, 3, 4} and len(rows) <= 12
    assert rows[0]["category_name"] in ("circle", "square")
    assert Path(rows[0]["file_name"]).parent == trained / "images"
    assert rows[0]["segmentation"]["size"] == [64, 64]
    assert sorted(path.name for path in out.glob("*.png")) == ["1.png", "2.png", "3.png", "4.png"]
    assert Image.open(out / "1.png").size == (64, 64)
    assert f"{len(rows)} objects in 4 images" in capsys.readouterr().out


def test_images_of_the_same_name_get_pictures_of_their_own(trained, tmp_path):
    (tmp_path / "other").mkdir()
    for name in ("1.png", "1_2.png", "1.bmp"):
        Image.new("RGB", (40, 30)).save(tmp_path / "other" / name)
    inputs = [str(trained / "images" / "1.png"), str(tmp_path / "other")]
    assert main(["predict", model(trained), *inputs, "--output", str(tmp_path / "out")]) == 0
    names = sorted(path.name for path in (tmp_path / "out").glob("*.png"))
    assert names == ["1.png", "1_2.png", "1_3.png", "1_4.png"]


def test_an_unreadable_image_is_named_and_the_others_are_kept(trained, tmp_path, capsys):
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "a.jpg").write_text("no picture")
    Image.new("RGB", (40, 30)).save(tmp_path / "in" / "b.png")
    assert main(["predict", model(trained), str(tmp_path / "in"), "--output", str(tmp_path / "out")]) == 1
    captured = capsys.readouterr()
    assert "a.jpg: the image cannot be read" in captured.err
    assert captured.err.endswith("1 of 2 images could not be read\n")
    assert {path.name for path in (tmp_path / "out").iterdir()} == {"b.png", "detections.json"}


def test_predict_refuses_folders_without_images_and_to_write_beside_its_inputs(trained, tmp_path, capsys):
    line = error(capsys, "predict", model(trained), tmp_path, "--output", tmp_path / "out")
    assert "the folder has no image files" in line
    images = trained / "images"
    assert "must be another" in error(capsys, "predict", model(trained), images, "--output", images)


def test_ctrl_c_stays_one_where_a_library_makes_another_error_of_it():
    with pytest.raises(KeyboardInterrupt), interruptible():
        try:
            signal.raise_signal(signal.SIGINT)
        except KeyboardInterrupt as error:
            raise TypeError("Exception encountered when calling a layer") from error


def test_errors_without_ctrl_c_stay_what_they_are():
    with pytest.raises(TypeError, match="of its own"), interruptible():
        raise TypeError("of its own")


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
    assert start_from(same, source, "model.keras") == []
    for ours, theirs in zip(same.weights, source.weights, strict=True):
        np.testing.assert_array_equal(ours, theirs)


def test_with_other_classes_only_the_layers_that_depend_on_them_are_new(source):
    other = MaskRCNN(tiny(class_names=("cat", "dog", "bird")))
    new = start_from(other, source, "model.keras")
    assert new == ["box_head/logits", "box_head/deltas", "mask_head/logits"]
    for ours, theirs in zip(other.weights, source.weights, strict=True):
        if not ours.path.startswith(tuple(new)):
            np.testing.assert_array_equal(ours, theirs)


def test_weights_of_another_architecture_are_refused(source):
    other = MaskRCNN(tiny(class_names=source.config.class_names, mask_head_channels=64))
    with pytest.raises(ValueError, match=r"model\.keras: mask_head/.* has shape .*, and the model to train"):
        start_from(other, source, "model.keras")
