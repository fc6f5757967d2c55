import gc
import json

import pytest
from command_line import data, draw_pictures, model
from examples import tiny
from tensorflow.python.framework import ops

from keras_maskrcnn.cli import main
from keras_maskrcnn.weights.transfer import read_model


@pytest.fixture(autouse=True, scope="module")
def _forgotten_graphs():
    """Let go of the graphs of a file's models.

    TensorFlow registers the gradient of each use of `tf.custom_gradient` in a graph for ever, and with it the graph: a
    hundred megabytes for each small model, of which the tests make hundreds.
    """
    yield
    registry = ops.gradient_registry._registry
    for name in [name for name in registry if name.startswith("CustomGradient-")]:
        del registry[name]
    gc.collect()


@pytest.fixture(scope="session")
def trained(tmp_path_factory):
    """A folder with pictures, and a run of one epoch on them, after which the learning rate drops."""
    folder = tmp_path_factory.mktemp("trained")
    draw_pictures(folder)
    fields = tiny().to_dict()
    del fields["class_names"]
    (folder / "config.json").write_text(json.dumps(fields))
    code = main(
        [
            *("train", *data(folder), "--output", str(folder / "run"), "--epochs", "1"),
            *("--val-annotations", str(folder / "annotations.json"), "--config", str(folder / "config.json")),
            *("--set", "score_threshold=0.0", "--set", "min_size=32"),
            *("--warmup-steps", "0", "--drop-epochs", "1"),
        ]
    )
    assert code == 0
    return folder


@pytest.fixture(scope="session")
def source(trained):
    """The model of that run."""
    return read_model(model(trained))
