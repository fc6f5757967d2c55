"""oneDNN, TensorFlow's faster products and convolutions on CPUs, turned on where TensorFlow leaves it off.

TensorFlow turns it on by itself only on processors that have AVX-512's instructions for neural networks. On those that
have AVX2 a training step takes 0.6 to 0.7 of the time with it.
"""

import logging
import os
import platform
import sys

SWITCH = "TF_ENABLE_ONEDNN_OPTS"
"""TensorFlow's environment variable, which it reads once, when it is imported."""

_log = logging.getLogger(__name__)


def turn_on() -> None:
    """Let a TensorFlow that is not imported yet have oneDNN on, unless the environment says otherwise."""
    if "tensorflow" not in sys.modules:
        os.environ.setdefault(SWITCH, "1")


def warn_if_off() -> None:
    """Log a warning if oneDNN is off on an x86 processor, and nobody said that it shall be."""
    if SWITCH not in os.environ and platform.machine().lower() in ("x86_64", "amd64") and not _is_on():
        _log.warning(
            "TensorFlow was imported before keras_maskrcnn, and its oneDNN is off, which makes training on this "
            "processor take up to 1.6 times as long. Set %s=1 in the environment before TensorFlow is imported; to "
            "keep this and lose the warning, set it to 0.",
            SWITCH,
        )


def _is_on() -> bool:
    """Private: TensorFlow's `_pywrap_util_port`. Without it the warning is never given."""
    try:
        from tensorflow.python.util import _pywrap_util_port as port
    except ImportError:
        return True
    return bool(port.IsMklEnabled())
