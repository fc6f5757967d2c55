import pytest

from keras_maskrcnn.cli import export as module
from keras_maskrcnn.cli.main import main
from keras_maskrcnn.models.mask_rcnn import MaskRCNN


def test_a_run_is_exported_as_asked_and_what_was_compared_is_printed(trained, tmp_path, capsys, monkeypatch):
    asked = []
    monkeypatch.setattr(module, "export", lambda *given: asked.append(given) or "what was compared")
    images = sorted((trained / "images").glob("*.png"))
    path = tmp_path / "cells.onnx"
    arguments = [
        "--format",
        "onnx",
        "--inputs",
        "uint8",
        "--masks",
        "none",
        "--images",
        str(trained / "images"),
        "--int8",
        "--calibrate",
        str(images[0]),
    ]
    assert main(["export", str(trained / "run"), str(path), *arguments]) == 0
    ((model, *rest),) = asked
    assert isinstance(model, MaskRCNN) and rest == [path, "onnx", "uint8", None, images, True, images[:1]]
    assert capsys.readouterr().out.strip() == "what was compared"


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
