"""`maskrcnn demo`: its arguments, and the process from its start to its end."""

import builtins
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request

import numpy as np
import pytest
from command_line import error
from PIL import Image
from places import ROOT
from small_model import small_model

from keras_maskrcnn.cli.main import main


def test_what_is_needed_is_said_where_gradio_is_missing(tmp_path, capsys, monkeypatch):
    (tmp_path / "model.onnx").touch()
    real = builtins.__import__

    def without_gradio(name, *rest, **options):
        if name.partition(".")[0] == "gradio":
            raise ImportError("No module named 'gradio'")
        return real(name, *rest, **options)

    for module in ("demo", "page", "trials"):
        monkeypatch.delitem(sys.modules, f"keras_maskrcnn.serving.{module}", raising=False)
    monkeypatch.setattr(builtins, "__import__", without_gradio)
    handler = signal.getsignal(signal.SIGTERM)
    message = error(capsys, "demo", tmp_path / "model.onnx")
    assert "No module named 'gradio': pip install 'keras3-maskrcnn[demo]'" in message
    assert signal.getsignal(signal.SIGTERM) is handler


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (["nothing"], "nothing"),
        (["nuclei_resnet18_fpn", "--examples", "{}/missing"], "there is no such folder"),
        (["nuclei_resnet18_fpn", "--examples", "{}"], "the folder has no image files"),
        (["nuclei_resnet18_fpn", "--score-threshold", "2"], "it must lie in 0..1; got 2"),
        (["nuclei_resnet18_fpn", "--share"], "maskrcnn demo has no option --share"),
    ],
)
def test_wrong_arguments_are_refused_before_tensorflow_is_loaded(tmp_path, capsys, arguments, reason):
    assert reason in error(capsys, "demo", *(argument.format(tmp_path) for argument in arguments))


def test_help_lists_it(capsys):
    with pytest.raises(SystemExit):
        main(["--help"])
    assert "demo" in capsys.readouterr().out


def free_port():
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return taken.getsockname()[1]


@pytest.mark.slow
@pytest.mark.parametrize(("ended_by", "code"), [(signal.SIGTERM, 143), (signal.SIGINT, 0)])
def test_it_serves_until_it_is_ended_and_leaves_nothing_behind(tmp_path, ended_by, code):
    pytest.importorskip("gradio")
    small_model(max_size=96).save(tmp_path / "model.keras")
    (tmp_path / "examples").mkdir()
    Image.fromarray(np.full((32, 48, 3), 99, np.uint8)).save(tmp_path / "examples" / "one.png")
    (tmp_path / "temporary").mkdir()
    port = free_port()
    command = [
        sys.executable,
        "-m",
        "keras_maskrcnn.cli.main",
        "demo",
        "model.keras",
        "--examples",
        "examples",
    ]
    process = subprocess.Popen(
        [*command, "--port", str(port)],
        cwd=tmp_path,
        env={**os.environ, "TMPDIR": str(tmp_path / "temporary"), "PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        assert process.stdout.readline() == f"Open http://127.0.0.1:{port} in a browser; Ctrl-C ends it\n"
        for _ in range(100):
            try:
                page = urllib.request.urlopen(f"http://127.0.0.1:{port}/").read().decode()
                break
            except OSError:
                time.sleep(0.1)
        assert "model.keras: try it" in page
        assert list((tmp_path / "temporary").iterdir())
        process.send_signal(ended_by)
        assert process.wait(30) == code
    finally:
        process.kill()
    assert not list((tmp_path / "temporary").glob("maskrcnn_demo_*"))
