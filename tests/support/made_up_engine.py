"""An artefact that is described, and whose engine the tests make up."""

import json

import numpy as np
from examples import tiny

from keras_maskrcnn.artefacts.about import describe
from keras_maskrcnn.artefacts.request import Request
from keras_maskrcnn.runtime import ExportedModel
from keras_maskrcnn.runtime import model as module


class Engine:
    """Finds two objects in every image, whatever it shows, and remembers what it was given."""

    def __init__(self):
        self.given = []

    def __call__(self, inputs):
        self.given.append(inputs)
        rows = {
            "boxes": np.array([[8, 8, 32, 40], [0, 0, 16, 16], [0, 0, 0, 0]], np.float32),
            "scores": np.array([0.9, 0.4, 0], np.float32),
            "classes": np.array([2, 1, 0], np.int32),
            "masks": np.ones((3, 28, 28), np.float32),
        }
        if "sizes" not in inputs:
            return rows
        return {name: np.stack([value] * len(inputs["sizes"])) for name, value in rows.items()}


def made_up(folder, monkeypatch, request=None, **changes):
    """The model of such an artefact, and its engine."""
    request = request or Request("onnx")
    (folder / "model.json").write_text(json.dumps(describe(tiny(max_size=96, **changes), request)))
    (folder / "model.onnx").touch()
    engine = Engine()
    monkeypatch.setattr(module, "load_engine", lambda path, threads: engine)
    return ExportedModel(folder / "model.onnx"), engine
