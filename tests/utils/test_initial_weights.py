"""A model that gets its weights from a file draws none, and leaves the random numbers that follow as they were."""

import random

import keras
import numpy as np
from examples import tiny
from small_model import small_model

from keras_maskrcnn.models.load import load_model
from keras_maskrcnn.models.mask_rcnn import MaskRCNN
from keras_maskrcnn.utils.initial_weights import weights_from_file


def test_weights_of_a_file_begin_as_zeros():
    with weights_from_file():
        model = small_model()
    assert not any(np.any(weight) for weight in model.fpn.weights + model.box_heads[0].weights)
    assert any(np.any(weight) for weight in model.backbone.weights)  # it was given, with values
    assert all(np.any(layer.kernel) for layer in small_model().fpn.laterals)


def test_what_is_drawn_later_is_the_same():
    keras.utils.set_random_seed(1)
    MaskRCNN(tiny(mask_head="none"))
    expected = random.random()
    keras.utils.set_random_seed(1)
    with weights_from_file():
        MaskRCNN(tiny(mask_head="none"))
    assert random.random() == expected


def test_loading_draws_nothing(tmp_path, monkeypatch):
    model = MaskRCNN(tiny(mask_head="none"))
    model.save(tmp_path / "a.keras")
    drawn = []
    for kind in (keras.initializers.VarianceScaling, keras.initializers.RandomNormal):
        monkeypatch.setattr(kind, "__call__", lambda self, shape, **_: drawn.append(shape))
    loaded = load_model(tmp_path / "a.keras")
    assert not drawn
    for ours, theirs in zip(loaded.weights, model.weights, strict=True):
        np.testing.assert_array_equal(ours, theirs)
