import dataclasses
import warnings

import keras
import numpy as np
import pytest
import tensorflow as tf
from examples import batch, drawn_records, tiny

from keras_maskrcnn.data.pipeline.dataset import make_dataset
from keras_maskrcnn.layers.convolution import ConvNorm
from keras_maskrcnn.models.fit_checks import check_replicas
from keras_maskrcnn.models.mask_rcnn import MaskRCNN
from keras_maskrcnn.training.averages import WithAveragedWeights
from keras_maskrcnn.training.optimizers import sgd

CONFIG = tiny(mask_head="none")


@pytest.fixture(scope="module")
def model():
    return MaskRCNN(CONFIG)


def data(count=1):
    return tf.data.Dataset.from_tensors(batch(CONFIG)).repeat(count)


def compiled(model, **options):
    model.compile(optimizer=sgd(0.01, **options), run_eagerly=True)
    return model


def moved(model, **options):
    """Paths of the weights that training moves."""
    before = [weight.numpy() for weight in model.weights]
    compiled(model, **options).fit(data(), verbose=0)
    pairs = zip(model.weights, before, strict=True)
    return {weight.path for weight, old in pairs if (weight.numpy() != old).any()}


def test_heads_are_trained_first_and_then_more_of_the_backbone(model):
    model.freeze(5)
    first = moved(model)
    assert first and not [path for path in first if path.startswith("backbone/")]
    assert {path.split("/")[0] for path in first} == {"fpn", "rpn_head", "box_head"}

    model.freeze(3)
    assert model.config.frozen_stages == 3
    second = {path.split("/")[1].split("_")[0] for path in moved(model) if path.startswith("backbone/")}
    assert second == {"res4", "res5"}

    model.freeze(0)
    third = {path.split("/")[1].split("_")[0] for path in moved(model) if path.startswith("backbone/")}
    assert third == {"stem", "res2", "res3", "res4", "res5"}


def test_a_frozen_model_is_as_if_made_so():
    config = tiny(architecture="c4", anchor_sizes=((32,),), box_pool_size=14, mask_pool_size=14, box_fcs=0)
    model = MaskRCNN(config)
    for stages in (5, 1):
        made = MaskRCNN(dataclasses.replace(config, frozen_stages=stages))
        model.freeze(stages)
        trained = [[weight.path for weight in one.trainable_weights] for one in (model, made)]
        assert trained[0] == trained[1] and model.config == made.config


def test_frozen_statistics_stay_frozen_when_stages_are_trained_again():
    model = MaskRCNN(tiny(mask_head="none", norm="frozen_batch_norm", frozen_stages=5))
    model.freeze(0)
    layers = [layer for layer in model._flatten_layers() if isinstance(layer, ConvNorm)]
    assert any(layer.kernel.trainable for layer in layers)
    assert not [
        path for path in (w.path for w in model.trainable_weights) if "moving" in path or "gamma" in path
    ]


def test_after_freezing_a_model_is_compiled_again(model):
    compiled(model).freeze(2)
    with pytest.raises(ValueError, match="compile"):
        model.fit(data(), verbose=0)
    with pytest.raises(ValueError, match=r"Config\.frozen_stages must be an integer in 0"):
        model.freeze(6)


def test_says_so_when_no_epoch_is_left(model):
    with pytest.warns(UserWarning, match="from epoch 3 to epoch 3: nothing is left to train"):
        history = compiled(model).fit(data(), epochs=3, initial_epoch=3, verbose=0)
    assert not history.history


def test_gradients_do_not_accumulate_under_a_strategy():
    with tf.distribute.MirroredStrategy(["CPU:0"]).scope():
        model = compiled(MaskRCNN(CONFIG), gradient_accumulation_steps=2)
    with pytest.raises(
        ValueError, match=r"gradient_accumulation_steps=2 does not work under a MirroredStrategy"
    ):
        model.fit(data(), verbose=0)


@pytest.fixture
def two(monkeypatch):
    """A strategy that says it has two replicas, though this process has one device."""
    strategy = tf.distribute.MirroredStrategy(["CPU:0"])
    monkeypatch.setattr(type(strategy), "num_replicas_in_sync", 2)
    return strategy


@pytest.mark.parametrize(
    ("optimizer", "options", "message"),
    [
        (
            {"use_ema": True, "ema_overwrite_frequency": 5},
            {},
            "ema_overwrite_frequency=5 does not work under a Mirr",
        ),
        (
            {},
            {"steps_per_execution": 2},
            "steps_per_execution=2 does not work under a MirroredStrategy: batches of",
        ),
    ],
)
def test_what_keras_does_wrong_with_replicas_is_refused(two, optimizer, options, message):
    with two.scope():
        model = MaskRCNN(CONFIG)
        model.compile(optimizer=keras.optimizers.SGD(0.01, **optimizer), **options)
    with pytest.raises(ValueError, match=message):
        check_replicas(model)


def test_a_compiler_is_refused_with_replicas(two):
    with (
        two.scope(),
        pytest.raises(ValueError, match="jit_compile=True does not work under a MirroredStrategy"),
    ):
        MaskRCNN(CONFIG).compile(jit_compile=True)


def test_float16_is_refused_with_replicas(two):
    keras.mixed_precision.set_global_policy("mixed_float16")
    try:
        with two.scope():
            model = compiled(MaskRCNN(CONFIG))
    finally:
        keras.mixed_precision.set_global_policy("float32")
    with pytest.raises(ValueError, match=r"mixed_float16 does not work under .*mixed_bfloat16"):
        check_replicas(model)


def test_batch_norm_of_replicas_is_warned_of(two):
    with two.scope():
        model = compiled(MaskRCNN(dataclasses.replace(CONFIG, fpn_norm="batch_norm")))
    with pytest.warns(UserWarning, match=r"Config's fpn_norm is batch_norm .* sync_batch_norm takes"):
        check_replicas(model)


def test_an_optimizer_of_another_strategy_is_refused():
    with tf.distribute.MirroredStrategy(["CPU:0"]).scope():
        model = MaskRCNN(CONFIG)
    with tf.distribute.MirroredStrategy(["CPU:0"]).scope():
        compiled(model)
    with pytest.raises(ValueError, match="make the strategy once, and call compile"):
        model.fit(data(), verbose=0)


def test_gradients_accumulate_on_one_device():
    with tf.distribute.OneDeviceStrategy("CPU:0").scope():
        model = compiled(MaskRCNN(CONFIG), gradient_accumulation_steps=2)
    history = model.fit(data(2), verbose=0)
    assert np.isfinite(history.history["loss"]).all()


class Exhausting(keras.callbacks.Callback):
    def on_train_batch_begin(self, step, logs=None):
        raise tf.errors.ResourceExhaustedError(None, None, "OOM when allocating tensor")


def test_when_memory_does_not_suffice_the_error_names_the_knobs(model):
    with pytest.raises(tf.errors.ResourceExhaustedError) as error:
        compiled(model).fit(data(), verbose=0, callbacks=[Exhausting()])
    (advice,) = error.value.__notes__
    for knob in (
        "batch_size",
        "gradient_accumulation_steps",
        "Config.min_size (now 64)",
        "box_batch_size (16)",
    ):
        assert knob in advice


def dataset(**options):
    return make_dataset(drawn_records(1), CONFIG, **options)


def test_a_dataset_for_evaluation_is_trained_on_with_a_warning(model):
    with pytest.warns(UserWarning, match="made without training=True"):
        compiled(model).fit(dataset(), verbose=0)


def test_a_dataset_for_training_is_validated_on_with_a_warning(model):
    with pytest.warns(UserWarning, match="validation_data that was made with training=True"):
        compiled(model).fit(dataset(training=True), validation_data=dataset(training=True), verbose=0)


def test_each_for_its_purpose_is_used_in_silence(model):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        history = compiled(model).fit(dataset(training=True), validation_data=dataset(), verbose=0).history
    assert np.isfinite([*history["loss"], *history["val_loss"]]).all()


@pytest.mark.parametrize("option", ["restore_best_weights", "save_best_only"])
def test_what_keeps_the_best_weights_belongs_among_the_averages(model, option, tmp_path):
    keeps = {
        "restore_best_weights": lambda: keras.callbacks.EarlyStopping("loss", restore_best_weights=True),
        "save_best_only": lambda: keras.callbacks.ModelCheckpoint(
            tmp_path / "best.keras", save_best_only=True
        ),
    }[option]()
    averages = WithAveragedWeights([keras.callbacks.Callback()])
    with pytest.raises(ValueError, match=rf"\({option}=True\) beside WithAveragedWeights"):
        compiled(model, use_ema=True).fit(data(), verbose=0, callbacks=[averages, keeps])


class Spoiling(keras.callbacks.Callback):
    """Makes a weight NaN after the epoch, as a step that diverged would."""

    def on_epoch_end(self, epoch, logs=None):
        spoil(self.model)


def spoil(model):
    bias = model.box_heads[0].logits.bias
    bias.assign([*[0.0] * (bias.shape[0] - 1), np.nan])


def test_weights_that_are_nan_are_not_trained_and_not_left_in_silence():
    model = compiled(MaskRCNN(CONFIG))
    with pytest.warns(UserWarning, match="hold NaN or Inf after this fit.*StopOnNaN"):
        model.fit(data(), verbose=0, callbacks=[Spoiling()])
    with pytest.raises(ValueError, match=r"fit: the weights box_head/logits/bias hold NaN or Inf"):
        model.fit(data(), verbose=0)
