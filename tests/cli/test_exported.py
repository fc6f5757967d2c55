"""What `maskrcnn export` has written takes a model's place in `predict` and `evaluate`."""

import json

from command_line import data, draw_images
from made_up_engine import made_up

from keras_maskrcnn.cli.main import main


def test_it_predicts(tmp_path, monkeypatch):
    made_up(tmp_path, monkeypatch)
    draw_images(tmp_path)
    image = next((tmp_path / "images").glob("*.png"))
    output = tmp_path / "found"
    assert main(["predict", str(tmp_path / "model.onnx"), str(image), "--output", str(output)]) == 0
    (row,) = json.loads((output / "detections.json").read_text())
    assert abs(row["score"] - 0.9) < 1e-6 and (output / f"{image.stem}.png").exists()


def test_it_is_evaluated(tmp_path, monkeypatch, capsys):
    made_up(tmp_path, monkeypatch)
    draw_images(tmp_path)
    assert main(["evaluate", str(tmp_path / "model.onnx"), *data(tmp_path)]) == 0
    table = capsys.readouterr().out.splitlines()
    assert table[0].split() == ["box", "mask"] and table[1].split()[0] == "AP"


def test_what_it_cannot_is_told_in_one_line(tmp_path, monkeypatch, capsys):
    made_up(tmp_path, monkeypatch)
    draw_images(tmp_path)
    arguments = ["evaluate", str(tmp_path / "model.onnx"), *data(tmp_path), "--augment", "horizontal_flip"]
    assert main(arguments) == 2
    assert "an artefact's masks of several views cannot be joined" in capsys.readouterr().err
