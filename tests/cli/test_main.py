import logging
import signal
import subprocess
import sys
import warnings

import pytest
from command_line import data, draw_images, error
from places import ROOT

import keras_maskrcnn
from keras_maskrcnn.cli.common import interruptible
from keras_maskrcnn.cli.console import log_shown
from keras_maskrcnn.cli.main import main


@pytest.mark.parametrize("command", ["check", "train", "evaluate", "predict", "convert", "models"])
def test_help_says_what_a_command_does_and_gives_an_example(command, capsys):
    with pytest.raises(SystemExit) as exit_:
        main([command, "--help"])
    text = capsys.readouterr().out
    assert exit_.value.code == 0
    assert f"  maskrcnn {command} " in text
    assert "(default: " in text


def test_the_terminal_shows_what_is_read_and_loaded_and_all_warnings(capsys):
    names = ("data.report", "weights.pretrained", "training.slow_input")
    with log_shown():
        for name in names:
            logging.getLogger(f"keras_maskrcnn.{name}").info("information of %s", name)
            logging.getLogger(f"keras_maskrcnn.{name}").warning("warning of %s", name)
    shown = capsys.readouterr().err
    assert [f"information of {name}" in shown for name in names] == [True, True, False]
    assert all(f"warning of {name}" in shown for name in names)


def test_no_command_prints_the_help(capsys):
    assert main([]) == 2
    assert "train a model" in capsys.readouterr().out


@pytest.mark.parametrize("command", ["train", "check"])
def test_the_fields_of_the_config_are_listed_with_defaults_and_meaning(command, capsys):
    with pytest.raises(SystemExit) as exit_:
        main([command, "--help-config"])
    assert exit_.value.code == 0
    text = capsys.readouterr().out
    assert "\n  min_size = 800\n      An integer of at least 1. Short side of the resized image" in text


def test_help_and_wrong_arguments_do_not_load_tensorflow():
    program = """
import sys, types
package = types.ModuleType("keras_maskrcnn")  # without its __init__, whose contents are not the command's
package.__path__ = ["keras_maskrcnn"]
sys.modules["keras_maskrcnn"] = package
from keras_maskrcnn.cli.main import main
for arguments in (["train", "--help"], ["train", "--output", "x"], ["predict", "no.keras", "a", "--output", "x"]):
    try:
        main(arguments)
    except SystemExit:
        pass
print("loaded:", [name for name in ("tensorflow", "keras", "skimage") if name in sys.modules])
"""
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert done.stdout.endswith("loaded: []\n")


def test_the_version_is_told(capsys):
    assert main(["--version"]) == 0
    assert capsys.readouterr().out == f"keras_maskrcnn {keras_maskrcnn.__version__}\n"


@pytest.mark.parametrize(
    ("option", "hint"),
    [
        ("--lr", "maskrcnn train has no option --lr; nearest: --learning-rate"),
        ("--epoch=1", "maskrcnn train has no option --epoch; nearest: --epochs"),
        ("--anotations", "maskrcnn train has no option --anotations; nearest: --annotations"),
        ("--zzz", "maskrcnn train has no option --zzz; maskrcnn train --help lists all"),
    ],
)
def test_an_option_is_not_abbreviated_and_an_unknown_one_names_the_nearest(option, hint, capsys):
    assert hint in error(capsys, "train", option, "3")


def test_warnings_are_a_line_without_the_place_in_the_code(monkeypatch):
    lines = []

    def warn(_):
        lines.append(warnings.formatwarning("Use Config(norm='x')", UserWarning, "place.py", 3))
        return 0

    monkeypatch.setattr("keras_maskrcnn.cli.models.run", warn)
    assert main(["models"]) == 0
    assert lines == ["Warning: Use Config(norm='x') (Config(x=...) is --set x=VALUE here)\n"]


def test_missing_files_are_named(tmp_path, capsys):
    assert "no.json: there is no such file" in error(capsys, "train", "--annotations", "no.json")
    assert "nowhere: there is no such folder" in error(capsys, "evaluate", "--images", "nowhere")
    assert "no.jpg: there is no such file" in error(capsys, "predict", "no.jpg", "--output", tmp_path)


def test_files_of_another_kind_are_named(tmp_path, capsys):
    draw_images(tmp_path)
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
        ("min_size=large", "Config.min_size must be an integer of at least 1; got 'large'"),
        ("min_size=1.5", "Config.min_size must be an integer of at least 1; got 1.5"),
        ("bgr=1", "Config.bgr must be true or false; got 1"),
        ("nms_iou=true", "Config.nms_iou must be a number in 0..1; got True"),
        ("nms_iou=NaN", "Config.nms_iou must be a number in 0..1; got nan"),
        (
            "train_min_sizes=640",
            "Config.train_min_sizes must be a sequence of integers of at least 1; got 640",
        ),
    ],
)
def test_a_value_of_another_type_is_refused(setting, reason, capsys):
    assert reason in error(capsys, "train", "--set", setting)


def test_a_config_file_with_an_unknown_field_is_named(tmp_path, capsys):
    (tmp_path / "my.json").write_text('{"dept": 50}')
    line = error(capsys, "train", "--config", tmp_path / "my.json")
    assert "my.json: Config has no field 'dept'; nearest: depth" in line


def test_numbers_out_of_range_are_refused(capsys):
    assert "--epochs: it must be an integer of at least 1; got 0" in error(capsys, "train", "--epochs", "0")
    line = error(capsys, "train", "--learning-rate", "nan")
    assert "--learning-rate: it must be a finite number above 0; got nan" in line
    line = error(capsys, "train", "--drop-epochs", "8,0")
    assert "--drop-epochs: it must be an integer of at least 1; got 0" in line
    assert "--ema: it must be less than 1; got 1" in error(capsys, "train", "--ema", "1")
    assert "--score-threshold: it must lie in 0..1; got 2" in error(
        capsys, "predict", "--score-threshold", "2"
    )


@pytest.fixture
def ctrl_c_is_heeded():
    """Of tests that run in the background too, where shells have it ignored."""
    previous = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, previous)


def test_ctrl_c_stays_one_where_a_library_makes_another_error_of_it(ctrl_c_is_heeded):
    with pytest.raises(KeyboardInterrupt), interruptible():
        try:
            signal.raise_signal(signal.SIGINT)
        except KeyboardInterrupt as error:
            raise TypeError("Exception encountered when calling a layer") from error


def test_errors_without_ctrl_c_stay_what_they_are():
    with pytest.raises(TypeError, match="of its own"), interruptible():
        raise TypeError("of its own")
