"""How the box stages of a cascade vote."""

import numpy as np
from examples import tiny

from keras_maskrcnn.network.inference_graph import mean_probabilities

LOGITS = np.random.default_rng(0).normal(scale=4, size=(3, 6, 4))


def softmax(logits):
    powers = np.exp(logits)
    return powers / powers.sum(axis=-1, keepdims=True)


STAGES = [{"logits": one, "probabilities": softmax(one)} for one in LOGITS]


def test_probabilities_are_averaged():
    found = mean_probabilities(tiny(), STAGES)
    np.testing.assert_allclose(found, softmax(LOGITS).mean(axis=0), rtol=1e-5)


def test_or_logits():
    found = mean_probabilities(tiny(cascade_scores="logits"), STAGES)
    np.testing.assert_allclose(found, softmax(LOGITS.mean(axis=0)), rtol=1e-5)
    assert np.abs(found - softmax(LOGITS).mean(axis=0)).max() > 0.1
