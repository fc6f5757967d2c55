"""On one device; tests/training/test_distributed.py has several replicas."""

import keras
import numpy as np
import tensorflow as tf

from keras_maskrcnn.layers.sync_batch_norm import SyncBatchNorm, counted_if


def made(kind):
    layer = kind(momentum=0.9, epsilon=1e-3)
    layer.build((None, None, None, 3))
    layer.gamma.assign([1.0, 2.0, 0.5])
    return layer


def test_it_is_keras_batch_norm():
    x = np.random.default_rng(0).normal(5, 2, (2, 6, 7, 3)).astype(np.float32)
    own, theirs = made(SyncBatchNorm), made(keras.layers.BatchNormalization)
    np.testing.assert_allclose(own(x, training=True), theirs(x, training=True), atol=1e-5)
    np.testing.assert_allclose(own.moving_variance, theirs.moving_variance, rtol=1e-5)
    np.testing.assert_allclose(own(x, training=False), theirs(x, training=False), atol=1e-5)


def test_variance_is_exact_far_from_zero():
    x = (1e4 + np.random.default_rng(0).normal(size=(4, 8, 8, 3))).astype(np.float32)
    normal = made(SyncBatchNorm)(x, training=True)
    np.testing.assert_allclose(np.std(normal, axis=(0, 1, 2)), [1.0, 2.0, 0.5], rtol=2e-3)


def test_a_blank_image_does_not_count():
    layer = made(SyncBatchNorm)
    with counted_if(tf.constant(False)):
        layer(np.ones((1, 4, 4, 3), np.float32), training=True)
    np.testing.assert_array_equal(layer.moving_mean, 0)
