import numpy as np
import pytest
import tensorflow as tf
from examples import tiny
from inspected import HEIGHT, VARIANTS, WIDTH

from keras_maskrcnn.diagnostics.inspect_model import inspect_model
from keras_maskrcnn.models.mask_rcnn import MaskRCNN


@pytest.fixture(scope="module")
def without_traces():
    """Tracing five models for one image each would take longer than running them."""
    tf.config.run_functions_eagerly(True)
    yield
    tf.config.run_functions_eagerly(False)


@pytest.fixture(scope="session", params=VARIANTS)
def inspected(request):
    """A model of each kind with random weights, an image of noise, and its stages."""
    tf.keras.utils.set_random_seed(1)
    model = MaskRCNN(tiny(**VARIANTS[request.param], score_threshold=0.3))
    image = np.random.default_rng(0).integers(0, 255, (HEIGHT, WIDTH, 3)).astype(np.uint8)
    return model, image, inspect_model(model, image)
