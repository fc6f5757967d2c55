import keras
import pytest
import tensorflow as tf

from keras_maskrcnn.training.optimizers import sgd
from keras_maskrcnn.training.schedules import WarmUp


def test_coupled_weight_decay_joins_the_momentum():
    weight, velocity, rate, momentum, decay = 2.0, 0.0, 0.1, 0.9, 0.01
    variable = keras.Variable(weight)
    optimizer = sgd(rate, momentum, decay)
    for gradient in (1.0, -0.5, 0.25):
        optimizer.apply([tf.constant(gradient)], [variable])
        velocity = momentum * velocity - rate * (gradient + decay * weight)
        weight += velocity
    assert float(variable) == pytest.approx(weight, rel=1e-6)


def test_excluded_variables_do_not_decay():
    variable = keras.Variable(1.0)
    optimizer = sgd(0.1, weight_decay=0.5)
    optimizer.exclude_from_weight_decay([variable])
    optimizer.apply([tf.constant(0.0)], [variable])
    assert float(variable) == 1.0


def test_optimizer_survives_serialisation():
    optimizer = sgd(WarmUp(0.02, 100, (1000,)), weight_decay=5e-4)
    copy = keras.optimizers.deserialize(keras.optimizers.serialize(optimizer))
    assert copy.get_config() == optimizer.get_config() and copy.coupled_weight_decay == 5e-4
