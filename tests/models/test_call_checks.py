"""What a Keras user would naturally call works, or says what to call instead."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from examples import batch, drawn_records, tiny
from small_model import small_backbone

import keras_maskrcnn as km
from keras_maskrcnn.models.call_checks import check_dataset_argument


@pytest.fixture(scope="module")
def model():
    made = km.MaskRCNN(tiny())
    made.compile()
    return made


IMAGE = np.zeros((64, 96, 3), np.uint8)


@pytest.mark.parametrize("call", ["predict", "__call__"])
def test_an_array_of_images_is_for_detect(model, call):
    with pytest.raises(ValueError, match=r"call model\.detect\(images\)"):
        getattr(model, call)(IMAGE[None].astype("float32"))


def test_class_names_alone_are_no_config():
    with pytest.raises(ValueError, match=r"takes a Config, as in MaskRCNN\(Config\(class_names"):
        km.MaskRCNN(["cat"])


@pytest.mark.parametrize("method", ["fit", "evaluate"])
def test_records_are_for_make_dataset(model, method):
    with pytest.raises(ValueError, match=rf"{method} takes a dataset.*make_dataset\(records, model\.config"):
        getattr(model, method)(drawn_records(2))


def test_targets_travel_in_the_batches(model):
    data = tf.data.Dataset.from_tensors(batch())
    with pytest.raises(ValueError, match="ground truth travels in the batches"):
        model.fit(data, np.zeros(2))
    with pytest.raises(ValueError, match="ground truth travels in the batches"):
        model.fit(data, y=np.zeros(2))
    for name in ("class_weight", "sample_weight"):
        with pytest.raises(ValueError, match=f"{name} of fit means nothing.*repeat_factor_sampling"):
            model.fit(data, **{name: {1: 2.0}})
        with pytest.raises(ValueError, match=f"{name} of train_on_batch means nothing"):
            model.train_on_batch(batch(), **{name: {1: 2.0}})
    with pytest.raises(ValueError, match="train_on_batch has targets y"):
        model.train_on_batch(batch(), np.zeros(2))


def test_targets_that_a_dataset_yields_are_refused(model):
    model.compile(run_eagerly=True)
    with pytest.raises(ValueError, match="a dataset of this model has targets y"):
        model.fit(tf.data.Dataset.from_tensors((batch(), np.zeros(2))), verbose=0)


@pytest.mark.parametrize(
    "fields, reason",
    [
        (
            {"mask_crop_size": 14},
            r"gt_masks has shape \[2, 2, 14, 14\], and the model takes \[None, None, 28, 28\]",
        ),
        ({"mask_head": "none"}, "batches have no gt_masks"),
        ({"channels": 1, "pixel_mean": (1,), "pixel_std": (1,)}, "images has shape"),
    ],
)
def test_batches_of_another_config_are_refused(model, fields, reason):
    other = tf.data.Dataset.from_tensors(batch(tiny(**fields)))
    with pytest.raises(ValueError, match=reason):
        model.fit(other)
    with pytest.raises(ValueError, match=rf"fit\(validation_data=\.\.\.\): .*{reason}"):
        model.fit(tf.data.Dataset.from_tensors(batch()), validation_data=other)


def test_classes_in_another_order_are_refused(model):
    other = tiny(class_names=model.config.class_names[::-1])
    dataset = km.make_dataset(drawn_records(2), other, batch_size=2, training=True)
    with pytest.raises(ValueError, match=r"made with Config\.class_names=.*make it with this model's config"):
        model.fit(dataset)


@pytest.mark.parametrize(
    "fields",
    [{"pixel_mean": (0, 0, 0)}, {"min_size": 32}, {"resize": "pillow"}, {"mask_crop_size": 14}],
    ids=str,
)
def test_the_field_that_a_dataset_was_made_otherwise_with_is_named(model, fields):
    (name,) = fields
    dataset = km.make_dataset(drawn_records(1), tiny(**fields), training=True)
    with pytest.raises(ValueError, match=rf"fit: the dataset was made with Config\.{name}="):
        model.fit(dataset)
    with pytest.raises(ValueError, match=rf"evaluate: the dataset was made with Config\.{name}="):
        model.evaluate(dataset)


def test_augmentation_may_be_another_than_the_models(model):
    other = tiny(train_min_sizes=(48, 64), scale_jitter=(0.5, 1.0), vertical_flip_probability=0.5)
    dataset = km.make_dataset(drawn_records(1), other, training=True)
    check_dataset_argument("fit", dataset, (), {}, model.config)


@pytest.mark.parametrize("argument", ["loss", "metrics", "weighted_metrics"])
def test_arguments_of_compile_that_mean_nothing_are_refused(argument):
    with pytest.raises(ValueError, match="means nothing to a MaskRCNN"):
        km.MaskRCNN(tiny()).compile(**{argument: "mse"})


def test_an_unknown_loss_cannot_be_weighed(model):
    with pytest.raises(ValueError, match="loss_weights names boxes; the losses are rpn_class_loss, "):
        model.compile(loss_weights={"boxes": 2.0})
    with pytest.raises(ValueError, match="loss_weights must be a dict"):
        model.compile(loss_weights=[1.0, 2.0])


def test_loss_weights_weigh_the_losses_that_the_logs_show_without(tmp_path):
    data = tf.data.Dataset.from_tensors(batch())
    model = km.MaskRCNN(tiny(), small_backbone())
    model.compile(optimizer=keras.optimizers.SGD(0.0), loss_weights={"mask_loss": 3.0, "rpn_box_loss": 0.0})
    logs = model.fit(data, verbose=0).history
    single = {name: values[0] for name, values in logs.items() if name != "loss"}
    weighted = sum(single.values()) + 2 * single["mask_loss"] - single["rpn_box_loss"]
    assert logs["loss"][0] == pytest.approx(weighted, rel=1e-5)
    model.save(tmp_path / "model.keras")
    again = km.load_model(tmp_path / "model.keras").fit(data, verbose=0).history
    assert again["loss"][0] == pytest.approx(weighted, rel=1e-5)
    model.compile(optimizer=keras.optimizers.SGD(0.0))
    assert model.fit(data, verbose=0).history["loss"][0] == pytest.approx(sum(single.values()), rel=1e-5)


def test_compile_alone_is_the_published_recipe():
    model = km.MaskRCNN(tiny(), small_backbone())
    model.compile(run_eagerly=True)
    assert model.optimizer.momentum == 0.9
    assert model.optimizer.coupled_weight_decay == 1e-4
    dataset = km.make_dataset(drawn_records(8), model.config, batch_size=4, training=True)
    model.fit(dataset, epochs=6, verbose=0)
    schedule = model.optimizer.get_config()["learning_rate"]["config"]
    assert schedule["learning_rate"] == pytest.approx(0.02 * 4 / 16)
    assert (schedule["steps"], tuple(schedule["drops"])) == (1, (8, 11))
    model.fit(dataset, epochs=1, verbose=0)  # goes on with it
    assert tuple(model.optimizer.get_config()["learning_rate"]["config"]["drops"]) == (8, 11)


def test_presets_are_there_as_in_keras_own_models():
    assert "maskrcnn_resnet50_fpn_coco" in km.MaskRCNN.presets
    with pytest.raises(ValueError, match="No published model is called 'maskrcnn'"):
        km.MaskRCNN.from_preset("maskrcnn")
