import numpy as np
import pytest
import tensorflow as tf

from keras_maskrcnn.layers.cascade_masks import CascadeMaskHeads

POOLED = tf.random.stateless_normal((3, 4, 4, 32), (0, 0))


@pytest.fixture
def layer():
    layer = CascadeMaskHeads(stages=3, num_masks=5, channels=16, convs=1)
    layer.build(POOLED.shape)
    for number, weight in enumerate(layer.weights):
        weight.assign(tf.random.stateless_normal(weight.shape, (number, 1)) / 3)
    return layer


def test_masks_are_the_mean_of_what_the_heads_predict(layer):
    alone = [tf.cast(layer(POOLED, stage=stage), tf.float64) for stage in range(3)]
    assert np.std([np.std(one) for one in alone]) > 0
    expected = np.mean(tf.sigmoid(tf.stack(alone)), axis=0)
    np.testing.assert_allclose(tf.sigmoid(layer(POOLED)), expected, atol=1e-6)


def test_a_mask_made_alone_is_the_one_among_all(layer):
    found, every = layer(POOLED, entries=tf.constant([4, 0, 2])), layer(POOLED)
    assert found.shape == (3, 8, 8, 1) and found.dtype == tf.float32
    expected = np.stack([every[0, ..., 4], every[1, ..., 0], every[2, ..., 2]])
    np.testing.assert_allclose(found[..., 0], expected, atol=1e-4)


@pytest.mark.parametrize(("logit", "seen"), [(30.0, 1.0), (-60.0, 0.0)])
def test_heads_that_are_sure_make_no_nan(layer, logit, seen):
    for head in layer.heads:
        head.logits.kernel.assign(tf.zeros_like(head.logits.kernel))
        head.logits.bias.assign(tf.fill(head.logits.bias.shape, logit))
    np.testing.assert_allclose(layer(POOLED), np.full((3, 8, 8, 5), logit), rtol=1e-5)
    np.testing.assert_allclose(tf.sigmoid(layer(POOLED)), np.full((3, 8, 8, 5), seen), atol=1e-6)


def test_a_stage_is_its_head_alone(layer):
    np.testing.assert_array_equal(layer(POOLED, stage=1), layer.heads[1](POOLED))
