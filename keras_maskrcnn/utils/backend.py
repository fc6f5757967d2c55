"""Keras with another backend than TensorFlow is refused when this package is imported, before it makes anything."""

import json
import os
import sys
from pathlib import Path
from typing import Any

_TENSORFLOW = "tensorflow"


def check_backend() -> None:
    """Check which backend Keras has, or will have when it is imported.

    Raises:
        ImportError: it is not TensorFlow; the message says where to change it.
    """
    keras: Any = sys.modules.get("keras")
    backend = keras.backend.backend() if hasattr(keras, "backend") else _chosen()
    if backend != _TENSORFLOW:
        raise ImportError(
            f"keras_maskrcnn needs Keras with the backend tensorflow, and it is set to {backend}: set KERAS_BACKEND="
            f'tensorflow in the environment before keras is imported, or "backend": "tensorflow" in {_settings()}'
        )


def _chosen() -> str:
    """What Keras will take: of the environment, of its file of settings, or by default."""
    if os.environ.get("KERAS_BACKEND"):
        return os.environ["KERAS_BACKEND"]
    try:
        chosen = json.loads(_settings().read_text()).get("backend", _TENSORFLOW)
    except (OSError, ValueError, AttributeError):
        return _TENSORFLOW  # Keras would write a new file
    return str(chosen)


def _settings() -> Path:
    home = os.environ.get("KERAS_HOME") or os.path.join(os.path.expanduser("~"), ".keras")
    return Path(home) / "keras.json"
