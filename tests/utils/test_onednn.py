"""oneDNN is on in whatever imports this package first, and its absence is told."""

import os
import subprocess
import sys

import pytest

from keras_maskrcnn.utils import onednn

PRINT = "; from tensorflow.python.util import _pywrap_util_port as port; print(port.IsMklEnabled())"


def is_on(code, **environment):
    """Whether oneDNN is on in a process of its own."""
    kept = {name: value for name, value in os.environ.items() if name != onednn.SWITCH}
    run = subprocess.run(
        [sys.executable, "-c", code + PRINT],
        env=kept | environment,
        capture_output=True,
        text=True,
        check=True,
    )
    return run.stdout.strip() == "True"


def test_importing_the_package_first_turns_it_on():
    assert is_on("import keras_maskrcnn")


def test_the_environment_has_the_last_word():
    assert not is_on("import keras_maskrcnn", TF_ENABLE_ONEDNN_OPTS="0")


@pytest.mark.parametrize(
    ("switch", "machine", "on", "warned"),
    [
        (None, "x86_64", False, True),
        (None, "AMD64", False, True),
        (None, "arm64", False, False),
        (None, "x86_64", True, False),
        ("0", "x86_64", False, False),
    ],
)
def test_a_tensorflow_without_it_is_told_of_unless_it_is_wanted_so(
    switch, machine, on, warned, monkeypatch, caplog
):
    monkeypatch.delenv(onednn.SWITCH, raising=False)
    if switch is not None:
        monkeypatch.setenv(onednn.SWITCH, switch)
    monkeypatch.setattr(onednn.platform, "machine", lambda: machine)
    monkeypatch.setattr(onednn, "_is_on", lambda: on)
    onednn.warn_if_off()
    assert ("TF_ENABLE_ONEDNN_OPTS=1 in the environment" in caplog.text) == warned
