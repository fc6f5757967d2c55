"""Keras' private names still do what the package needs of them."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from keras_maskrcnn.utils.keras_internals import (
    BuiltModel,
    batches_seen,
    check_compiled,
    decays,
    set_first_epoch,
    strategy_of,
)


class Line(BuiltModel):
    """Learns y = a x from x and y = x, with a loss of its own, as MaskRCNN does."""

    def __init__(self):
        super().__init__()
        self.slope = keras.layers.Dense(1, use_bias=False)
        self.slope.build((None, 1))
        self.built = True

    def call(self, x):
        y = self.slope(x)
        self.add_loss(keras.ops.mean((y - x) ** 2))
        return y


class Untouchable:
    """What may not be iterated over."""

    def __iter__(self):
        raise AssertionError("a batch was taken")


def strategy():
    return tf.distribute.MirroredStrategy(["CPU:0"])


def compiled():
    model = Line()
    model.compile(optimizer="sgd")
    return model


def fit(model, epochs):
    x = np.ones((4, 1), "float32")
    return model.fit(x, batch_size=2, epochs=epochs, verbose=0)


def test_a_built_model_takes_no_batch_to_build_its_optimizer_under_a_strategy():
    with strategy().scope():
        model = compiled()
    model._maybe_symbolic_build(iterator=Untouchable())
    assert model.optimizer.built


def test_keras_asks_a_model_to_build_itself_before_it_trains_under_a_strategy(monkeypatch):
    asked = []
    with strategy().scope():
        model = compiled()
    monkeypatch.setattr(model, "_symbolic_build", lambda **_: asked.append(True))
    fit(model, 1)
    assert asked


def test_a_strategy_belongs_to_the_models_made_in_its_scope():
    assert strategy_of(Line()) is None
    one = strategy()
    with one.scope():
        assert strategy_of(Line()) is one


def test_a_model_that_was_not_compiled_is_refused():
    check_compiled(compiled())
    with pytest.raises(ValueError, match="must call `compile"):
        check_compiled(Line())


def test_fit_begins_at_the_epoch_that_a_callback_sets():
    model = compiled()
    resume = keras.callbacks.LambdaCallback(on_train_begin=lambda logs: set_first_epoch(model, 2))
    x = np.ones((4, 1), "float32")
    assert model.fit(x, epochs=4, verbose=0, callbacks=[resume]).epoch == [2, 3]
    set_first_epoch(model, None)
    assert fit(model, 2).epoch == [0, 1]


def test_batches_are_counted_where_gradients_accumulate():
    model = Line()
    model.compile(optimizer=keras.optimizers.SGD(gradient_accumulation_steps=2))
    fit(model, 2)
    assert batches_seen(model.optimizer) == 4 and int(model.optimizer.iterations) == 2


def test_excluded_variables_do_not_decay():
    one, other = keras.Variable(1.0), keras.Variable(1.0)
    optimizer = keras.optimizers.SGD()
    optimizer.exclude_from_weight_decay([one])
    assert not decays(optimizer, one) and decays(optimizer, other)
