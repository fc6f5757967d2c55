"""A model exported to a format once for all tests of a file, and the images that they search."""

import importlib.util

import keras
import numpy as np
import pytest
import skimage.data
from small_model import small_model

from keras_maskrcnn.artefacts.checks import PACKAGES
from keras_maskrcnn.artefacts.export import export

PATHS = {"saved_model": "saved", "onnx": "model.onnx", "openvino": "openvino", "litert": "model.tflite"}


def need(format):
    """Skip where a format's packages are not installed."""
    missing = [name for name in PACKAGES.get(format, ()) if importlib.util.find_spec(name) is None]
    if missing:
        pytest.skip(f"{format} needs {', '.join(missing)}")


def any_model(**changes):
    """A small model whose random weights find a dozen objects in anything."""
    keras.utils.set_random_seed(1)
    return small_model(**{"score_threshold": 0.0, "max_detections": 12, **changes})


def exported(format, folder, model=None, **options):
    """A model, where it was exported to, and the report."""
    need(format)
    model = any_model() if model is None else model
    return model, folder / PATHS[format], export(model, folder / PATHS[format], format, **options)


def photo(height=70, width=90):
    """A part of a photograph."""
    return skimage.data.chelsea()[:height, :width]


def check_equal(found, expected):
    """Compare two `Detections` row by row."""
    assert (found.height, found.width, found.class_names) == (
        expected.height,
        expected.width,
        expected.class_names,
    )
    np.testing.assert_allclose(found.boxes, expected.boxes, atol=1e-2)
    np.testing.assert_allclose(found.scores, expected.scores, atol=1e-5)
    if isinstance(expected.masks, np.ndarray):
        assert np.mean(found.masks != expected.masks) < 1e-3
    elif expected.masks is None:
        assert found.masks is None
    if expected.keypoints is not None:
        np.testing.assert_allclose(found.keypoints, expected.keypoints, atol=1e-2)
