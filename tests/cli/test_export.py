import json

import pytest

from keras_maskrcnn.cli.main import main
from keras_maskrcnn.runtime.description import description_path


def test_a_run_is_exported_and_what_was_compared_is_printed(trained, tmp_path, capsys):
    images = [str(path) for path in sorted((trained / "images").glob("*.png"))[:2]]
    path = tmp_path / "saved"
    code = main(
        [
            *("export", str(trained / "run"), str(path), "--format", "saved_model"),
            *("--masks", "none", "--images", *images),
        ]
    )
    assert code == 0, capsys.readouterr().err
    out = capsys.readouterr().out
    assert "saved: saved_model, " in out and "detections equal; largest differences: score " in out
    assert json.loads(description_path(path).read_text())["masks"] is None


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--format", "tflite"], "invalid choice: 'tflite'"),
        (["--format", "onnx"], "a file of the format onnx ends with .onnx"),
        (["--format", "litert", "--inputs", "uint8"], "litert computes sizes in single precision"),
    ],
)
def test_what_cannot_be_is_told_in_one_line(trained, tmp_path, capsys, arguments, message):
    try:
        code = main(["export", str(trained / "run"), str(tmp_path / "saved"), *arguments])
    except SystemExit as ended:
        code = ended.code
    assert code != 0
    error = capsys.readouterr().err
    assert message in error and error.count("\n") == 1
    assert not list(tmp_path.iterdir())
