"""Another backend of Keras is refused when the package is imported."""

import json
import os
import subprocess
import sys

import pytest


def imported(**environment):
    """What an import of the package says at last, in a process of its own."""
    kept = {k: v for k, v in os.environ.items() if k not in ("KERAS_BACKEND", "KERAS_HOME")}
    command = [sys.executable, "-c", "import keras_maskrcnn; print('done')"]
    done = subprocess.run(command, env=kept | environment, capture_output=True, text=True, timeout=60)
    return (done.stdout.strip() or done.stderr.strip()).splitlines()[-1]


@pytest.mark.parametrize("backend", ["torch", "jax", "numpy"])
def test_a_backend_of_the_environment_is_refused_at_once(backend):
    said = imported(KERAS_BACKEND=backend)
    assert f"needs Keras with the backend tensorflow, and it is set to {backend}" in said


def test_a_backend_of_keras_settings_is_refused_unless_the_environment_has_another(tmp_path):
    (tmp_path / "keras.json").write_text(json.dumps({"backend": "torch"}))
    assert f'"tensorflow" in {tmp_path / "keras.json"}' in imported(KERAS_HOME=str(tmp_path))
    assert imported(KERAS_HOME=str(tmp_path), KERAS_BACKEND="tensorflow") == "done"
    (tmp_path / "keras.json").write_text("broken")
    assert imported(KERAS_HOME=str(tmp_path)) == "done"
