import dataclasses
import json
import os
import signal

if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:  # of a run in the background; some tests press Ctrl-C
    signal.signal(signal.SIGINT, signal.default_int_handler)
os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "1")  # the tests train: faster on processors without AVX-512

import pytest
import tensorflow as tf
from command_line import data, draw_images, model
from examples import drawn_records, tiny
from PIL import Image

from keras_maskrcnn.cli.main import main
from keras_maskrcnn.models.load import load_model


@pytest.fixture(scope="session")
def trained(tmp_path_factory):
    """A folder with images, and a run of one epoch on them, after which the learning rate drops."""
    folder = tmp_path_factory.mktemp("trained")
    draw_images(folder)
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
    return load_model(model(trained), compile=False)


@pytest.fixture(scope="session")
def files(tmp_path_factory):
    """Records of eleven images as files, with an object of each class."""
    folder = tmp_path_factory.mktemp("images")
    records = []
    for number, record in enumerate(drawn_records(11)):
        path = folder / f"{number}.png"
        Image.fromarray(record.image).save(path)
        records.append(dataclasses.replace(record, image=str(path)))
    return records


@pytest.fixture
def untraced():
    """Graphs are made, but not traced, which takes most of the time of small models and few steps."""
    tf.config.run_functions_eagerly(True)
    yield
    tf.config.run_functions_eagerly(False)
