"""Updates of the optimizers, computed by hand."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from examples import batch, tiny

from keras_maskrcnn.models.mask_rcnn import MaskRCNN
from keras_maskrcnn.training.optimizers import CoupledSGD, adamw, sgd, steps_taken
from keras_maskrcnn.training.schedules import WarmUp

# Few samples, so that every image has as many.
CONFIG = tiny(rpn_batch_size=8, box_batch_size=4)


@pytest.fixture(scope="module")
def model():
    return MaskRCNN(CONFIG)


def applied(optimizer, gradients, weight=2.0, name="kernel"):
    """The weight after each of the gradients."""
    variable, found = keras.Variable(weight, name=name), []
    for gradient in gradients:
        optimizer.apply([tf.constant(gradient)], [variable])
        found.append(float(variable))
    return found


def test_coupled_weight_decay_joins_the_momentum():
    weight, velocity, rate, momentum, decay = 2.0, 0.0, 0.1, 0.9, 0.01
    expected = []
    for gradient in (1.0, -0.5, 0.25):
        velocity = momentum * velocity - rate * (gradient + decay * weight)
        weight += velocity
        expected.append(weight)
    assert applied(sgd(rate, momentum, decay), (1.0, -0.5, 0.25)) == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize(
    ("name", "decays"), [("kernel", True), ("bias", True), ("gamma", False), ("beta", False)]
)
@pytest.mark.parametrize("make", [sgd, adamw])
def test_weights_of_normalisations_do_not_decay(make, name, decays):
    (after,) = applied(make(0.1, weight_decay=0.5), [0.0], 1.0, name)
    assert after == pytest.approx(0.95 if decays else 1.0)


def test_the_norms_of_a_model_are_left_out_and_nothing_else(model):
    norms = {
        id(variable)
        for layer in model._flatten_layers()
        if isinstance(layer, keras.layers.GroupNormalization)
        for variable in layer.trainable_variables
    }
    optimizer = sgd()
    left_out = {id(v) for v in model.trainable_variables if not optimizer._decays(v.value)}
    assert left_out == norms and len(norms) > 10


def test_norms_decay_when_asked_to():
    assert applied(sgd(0.1, weight_decay=0.5, decay_norms=True), [0.0], 1.0, "gamma") == [pytest.approx(0.95)]


def test_excluded_variables_do_not_decay():
    variable = keras.Variable(1.0)
    optimizer = sgd(0.1, weight_decay=0.5)
    optimizer.exclude_from_weight_decay([variable])
    optimizer.apply([tf.constant(0.0)], [variable])
    assert float(variable) == 1.0


def test_accumulated_gradients_are_averaged_before_the_decay_joins_them():
    rate, momentum, decay = 0.1, 0.9, 0.01
    found = applied(sgd(rate, momentum, decay, gradient_accumulation_steps=2), (1.0, -0.5, 0.25, 0.75))
    velocity = -rate * ((1.0 - 0.5) / 2 + decay * 2.0)
    first = 2.0 + velocity
    velocity = momentum * velocity - rate * ((0.25 + 0.75) / 2 + decay * first)
    assert found == pytest.approx([2.0, first, first, first + velocity], rel=1e-6)


def test_steps_are_batches_and_iterations_are_updates():
    optimizer = sgd(gradient_accumulation_steps=2)
    applied(optimizer, [1.0] * 5)
    assert steps_taken(optimizer) == 5 and int(optimizer.iterations) == 2


def test_steps_count_under_a_scaled_loss_too():
    optimizer = keras.optimizers.LossScaleOptimizer(
        sgd(), initial_scale=1.0
    )  # as Keras does for mixed_float16
    applied(optimizer, [1.0] * 3)
    assert steps_taken(optimizer) == 3


def test_steps_count_on_replicas_too():
    with tf.distribute.MirroredStrategy(["CPU:0"]).scope():
        optimizer = sgd()
        applied(optimizer, [])
        assert steps_taken(optimizer) == 0


def test_a_schedule_counts_batches_where_gradients_accumulate():
    rate = keras.optimizers.schedules.PiecewiseConstantDecay([2], [0.1, 0.01])
    found = applied(sgd(rate, 0.0, 0.0, gradient_accumulation_steps=2), [1.0] * 4)
    # the updates happen in batches 1 and 3
    assert found == pytest.approx([2.0, 1.9, 1.9, 1.89])


def test_the_gradient_is_clipped_before_the_decay_joins_it():
    rate, decay = 0.1, 0.5
    assert applied(sgd(rate, 0.0, decay, global_clipnorm=1.0), [30.0]) == pytest.approx(
        [2.0 - rate * (1 + decay * 2.0)]
    )


def test_the_average_of_the_weights_follows_them():
    variable, optimizer = keras.Variable(2.0), sgd(0.1, 0.9, 0.0, use_ema=True, ema_momentum=0.5)
    average, seen = None, []
    for gradient in (1.0, -0.5, 0.25):
        optimizer.apply([tf.constant(gradient)], [variable])
        seen.append(float(variable))
        average = seen[-1] if average is None else 0.5 * average + 0.5 * seen[-1]
    optimizer.finalize_variable_values([variable])
    assert float(variable) == pytest.approx(average) and average != pytest.approx(seen[-1])


def test_optimizer_survives_serialisation():
    optimizer = sgd(WarmUp(0.02, 100, (1000,)), weight_decay=5e-4, decay_norms=True)
    copy = keras.optimizers.deserialize(keras.optimizers.serialize(optimizer))
    assert copy.get_config() == optimizer.get_config()
    assert copy.coupled_weight_decay == 5e-4 and copy.decay_norms


@pytest.mark.parametrize("name", ["SGD", "WarmUp"])
def test_it_is_registered_as_saved_models_name_it(name):
    """The names in files of version 0.1.0, which are not today's class names."""
    assert issubclass(keras.saving.get_registered_object(f"keras_maskrcnn>{name}"), (CoupledSGD, WarmUp))


def moved(model, optimizer, batches):
    """How far each weight of a model moves with batches, which are then undone."""
    before = [variable.numpy() for variable in model.trainable_variables]
    model.compile(optimizer=optimizer, run_eagerly=True)
    for data in batches:
        model.train_on_batch(data)
    after = [variable.numpy() for variable in model.trainable_variables]
    for variable, value in zip(model.trainable_variables, before, strict=True):
        variable.assign(value)
    return [new - old for new, old in zip(after, before, strict=True)]


def rows(data, start, stop):
    return {key: value[start:stop] for key, value in data.items()}


def distance(model, data):
    """Norm of the difference between two accumulated batches of one and one batch of two, to that of the latter."""
    two = moved(model, sgd(0.1), [data])
    ones = moved(model, sgd(0.1, gradient_accumulation_steps=2), [rows(data, 0, 1), rows(data, 1, 2)])
    difference = sum(np.square(a - b).sum() for a, b in zip(ones, two, strict=True))
    return np.sqrt(difference / sum(np.square(b).sum() for b in two))


def test_two_accumulated_batches_of_one_are_one_batch_of_two(model):
    """As long as every image has as many sampled rows: the losses are means over the rows of a batch."""
    assert distance(model, batch(CONFIG, objects=(2, 2))) < 1e-3


def test_masks_weigh_differently_where_images_have_different_numbers_of_objects(model):
    """Their loss is a mean over the objects of a batch: beside an image without any, they weigh twice as much."""
    assert 0.05 < distance(model, batch(CONFIG, objects=(0, 2))) < 0.6
