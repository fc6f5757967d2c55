"""Files that are to be refused, and what is said of them."""

import numpy as np
import pytest

from keras_maskrcnn.weights.files.read import read_checkpoint

WEIGHT = np.arange(8, dtype="f4").reshape(2, 4)


def refusal(path):
    """What is said of a file that is refused: one short line, which begins with its name and ends as a sentence."""
    with pytest.raises(ValueError) as error:
        read_checkpoint(path)
    message = str(error.value)
    assert message.startswith(f"{path} ") and message.endswith("."), message
    assert "\n" not in message and len(message) < 500 + len(str(path)), message
    return message.removeprefix(f"{path} ")


def written(tmp_path, data):
    path = tmp_path / "model.pkl"
    path.write_bytes(data)
    return path
