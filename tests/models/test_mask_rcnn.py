import dataclasses
import json
import zipfile

import keras
import numpy as np
import pytest
import tensorflow as tf
from examples import TINY, batch, tiny
from keras.src.trainers.trainer import model_supports_jit
from small_model import small_backbone

from keras_maskrcnn.models.load import load_model
from keras_maskrcnn.models.mask_rcnn import MaskRCNN

LOSSES = {"rpn_class_loss", "rpn_box_loss", "class_loss", "box_loss", "mask_loss"}


@pytest.fixture(autouse=True)
def _fixed_seed():
    keras.utils.set_random_seed(1)


@pytest.fixture(scope="module")
def model():
    keras.utils.set_random_seed(1)
    return MaskRCNN(TINY)


def dataset(*batches):
    signature = {k: tf.TensorSpec((None, *v.shape[1:]), v.dtype) for k, v in batches[0].items()}
    data = tf.data.Dataset.from_generator(lambda: iter(batches), output_signature=signature)
    return data.apply(tf.data.experimental.assert_cardinality(len(batches)))


def one_step(config, data=None, run_eagerly=True):
    """The logs of one training step of a new model, and the model; eagerly, since one step is not worth a trace."""
    model = MaskRCNN(config)
    model.compile(optimizer=keras.optimizers.SGD(0.01), run_eagerly=run_eagerly)
    history = model.fit(dataset(data or batch(config)), verbose=0)
    return {key: values[0] for key, values in history.history.items()}, model


def test_logs_show_every_loss_by_name_and_their_sum():
    logs, _ = one_step(TINY, run_eagerly=False)
    assert set(logs) == LOSSES | {"loss"}
    assert logs["loss"] == pytest.approx(sum(logs[name] for name in LOSSES), rel=1e-5)


@pytest.mark.parametrize(
    ("mask_loss", "mask_head"),
    [
        ("class_agnostic", "mlp"),
        ("softmax", "fcn"),
        *(
            pytest.param(*both, marks=pytest.mark.slow)
            for both in (
                ("sigmoid", "fcn"),
                ("sigmoid", "mlp"),
                ("class_agnostic", "fcn"),
                ("softmax", "mlp"),
            )
        ),
    ],
)
def test_every_mask_head_trains_and_detects(mask_head, mask_loss):
    config = tiny(mask_head=mask_head, mask_loss=mask_loss, score_threshold=0.0)
    model = MaskRCNN(config)
    model.compile(optimizer=keras.optimizers.SGD(0.01), run_eagerly=True)
    before = [variable.numpy() for variable in model.mask_head.trainable_variables]
    logs = model.fit(dataset(batch(config)), verbose=0).history
    assert np.isfinite(logs["mask_loss"][0]) and logs["mask_loss"][0] > 0
    for variable, value in zip(model.mask_head.trainable_variables, before, strict=True):
        assert not np.array_equal(variable, value), variable.path
    masks = model.predict(dataset(batch(config)), verbose=0)["masks"]
    assert masks.shape == (2, 5, 28, 28) and masks.min() >= 0 and masks.max() <= 1


@pytest.mark.parametrize(
    "changes",
    [
        {"depth": 50, "norm": "frozen_batch_norm", "stride_in_1x1": True},
        {"depth": 34, "norm": "batch_norm"},
        {"norm": "none", "fpn_norm": "group_norm", "head_norm": "group_norm", "rpn_convs": 2, "box_convs": 2},
        {"class_agnostic_boxes": True, "class_agnostic_nms": True, "background_outputs": False},
        {"roi_mode": "max", "roi_sampling_ratio": 0, "roi_aligned": True},
        {"frozen_stages": 5},
    ],
    ids=str,
)
def test_every_variant_trains(changes):
    config = tiny(**changes)
    model = MaskRCNN(config)
    model.compile(optimizer=keras.optimizers.SGD(0.01), run_eagerly=True)
    before = {variable.path: variable.numpy() for variable in model.variables}
    logs = model.fit(dataset(batch(config)), verbose=0).history
    assert all(np.isfinite(value).all() for value in logs.values())
    moved = {v.path for v in model.variables if v.path in before and not np.array_equal(v, before[v.path])}
    # no anchor or proposal of some level may be in the sample
    levels = {variable.path for layer in model.fpn.outputs for variable in layer.variables}
    assert {variable.path for variable in model.trainable_variables} - levels <= moved
    kernels = {v.path for v in model.backbone.variables if v.name == "kernel"}
    assert (len(kernels & moved) == 0) == (config.frozen_stages == 5)


def test_boxes_only():
    config = tiny(mask_head="none")
    logs, model = one_step(config)
    assert set(logs) == LOSSES - {"mask_loss"} | {"loss"}
    assert set(model.predict(dataset(batch(config)), verbose=0)) == {"boxes", "scores", "classes"}


@pytest.mark.parametrize("channels", [1, 5])
def test_other_channel_counts(channels):
    config = tiny(channels=channels, pixel_mean=(100,) * channels, pixel_std=(50,) * channels)
    logs, model = one_step(config)
    assert np.isfinite(logs["loss"])
    image = np.full((50, 70, channels), 9, np.uint8)
    assert len(model.detect([image])) == 1


@pytest.mark.parametrize("objects", [(0,), (0, 0), (0, 2)])
def test_images_without_objects_give_a_useful_rpn_loss_and_no_nan(objects):
    logs, _ = one_step(TINY, batch(objects=objects))
    assert all(np.isfinite(value) for value in logs.values())
    assert logs["rpn_class_loss"] > 0.1 and logs["class_loss"] > 0.1
    if not any(objects):
        assert logs["rpn_box_loss"] == logs["box_loss"] == logs["mask_loss"] == 0


def test_images_without_objects_move_the_rpn():
    model = MaskRCNN(TINY)
    model.compile(optimizer=keras.optimizers.SGD(0.01), run_eagerly=True)
    before = model.rpn_head.logits.kernel.numpy()
    model.fit(dataset(batch(objects=(0, 0))), verbose=0)
    assert np.abs(model.rpn_head.logits.kernel.numpy() - before).max() > 0


def test_a_crowd_alone_trains_nothing_where_it_lies():
    data = batch(objects=(1,))
    data["gt_boxes"] = tf.constant([[[-1e4, -1e4, 1e4, 1e4]]])
    data["gt_crowd"] = tf.constant([[True]])
    logs, _ = one_step(TINY, data)
    assert logs["loss"] == 0


def test_training_lowers_every_loss():
    keras.utils.set_random_seed(0)
    model = MaskRCNN(TINY)
    model.compile(optimizer=keras.optimizers.Adam(1e-3))
    data = dataset(batch(objects=(2, 2))).repeat(20)
    history = model.fit(data, epochs=4, verbose=0).history
    for name in LOSSES:
        # the box loss rises at first, while more proposals begin to match than the ground truth itself
        before = max(history[name]) if name == "box_loss" else history[name][0]
        assert history[name][-1] < 0.9 * before, history


def test_same_seed_same_run():
    runs = []
    for _ in range(2):
        keras.utils.set_random_seed(7)
        model = MaskRCNN(TINY, small_backbone())
        model.compile(optimizer=keras.optimizers.Adam(1e-3))
        runs.append(model.fit(dataset(batch()).repeat(3), epochs=2, verbose=0).history)
    assert runs[0] == runs[1]


def test_seeds_of_the_batch_choose_the_sample(model):
    data = batch()
    losses = [
        model({**data, "seeds": tf.constant(seeds)})["rpn_class_loss"].numpy()
        for seeds in ([[0, 0]] * 2, [[5, 5]] * 2)
    ]
    assert losses[0] != losses[1]


@pytest.mark.parametrize("size", [(64, 96), (96, 64), (160, 32)])
@pytest.mark.parametrize("images", [1, 3])
def test_predict_any_size_and_batch(model, size, images):
    found = model.predict(dataset(batch(objects=(1,) * images, size=size)), verbose=0)
    assert found["boxes"].shape == (images, 5, 4) and found["masks"].shape == (images, 5, 28, 28)


def test_predict_concatenates_partial_last_batches(model):
    found = model.predict(dataset(batch(objects=(1, 1)), batch(objects=(1,))), verbose=0)
    assert found["scores"].shape == (3, 5)


def test_inference_inputs_alone_are_enough(model):
    data = batch()
    found = model.predict({key: data[key].numpy() for key in ("images", "sizes")}, verbose=0)
    assert set(found) == {"boxes", "scores", "classes", "masks"}


def test_a_batch_without_rows_gives_outputs_without_rows_and_no_loss(model):
    empty = {key: value[:0] for key, value in batch().items()}
    assert {
        key: value.shape[0] for key, value in model({k: empty[k] for k in ("images", "sizes")}).items()
    } == dict.fromkeys(("boxes", "scores", "classes", "masks"), 0)
    assert all(float(value) == 0 for value in model(empty).values())


def test_saved_model_gives_identical_outputs(tmp_path):
    _, model = one_step(tiny(score_threshold=0.0), run_eagerly=False)
    model.save(tmp_path / "model.keras")
    loaded = load_model(tmp_path / "model.keras")
    assert loaded.config == model.config
    expected, found = (m.predict(dataset(batch()), verbose=0) for m in (model, loaded))
    for key in expected:
        np.testing.assert_array_equal(found[key], expected[key])
    assert loaded.optimizer.iterations == 1
    loaded.fit(dataset(batch()), verbose=0)


def test_a_saved_model_keeps_its_precision(tmp_path):
    data = {key: value for key, value in batch().items() if key in ("images", "sizes")}
    keras.mixed_precision.set_global_policy("mixed_bfloat16")
    try:
        model = MaskRCNN(tiny(score_threshold=0.0))
        expected = model(data)
        model.save(tmp_path / "half.keras")
    finally:
        keras.mixed_precision.set_global_policy("float32")
    found = load_model(tmp_path / "half.keras")(data)
    for key in expected:
        np.testing.assert_array_equal(found[key], expected[key])
    assert keras.config.dtype_policy().name == "float32"


def test_warns_when_what_is_frozen_is_random():
    model = MaskRCNN(tiny(norm="frozen_batch_norm"))
    model.compile(optimizer="sgd", run_eagerly=True)
    with pytest.warns(UserWarning, match="frozen_stages=0"):
        model.fit(dataset(batch()), verbose=0)


def test_load_model_refuses_another_kind_of_model(tmp_path):
    keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)]).save(tmp_path / "other.keras")
    with pytest.raises(ValueError, match=r"other\.keras: this is a Sequential, not a MaskRCNN"):
        load_model(tmp_path / "other.keras")


@pytest.mark.parametrize("policy", ["mixed_bfloat16", "mixed_float16"])
def test_mixed_precision_trains_and_keeps_boxes_exact(policy):
    keras.mixed_precision.set_global_policy(policy)
    try:
        logs, model = one_step(tiny(score_threshold=0.0), run_eagerly=False)
        found = model.predict(dataset(batch()), verbose=0)
    finally:
        keras.mixed_precision.set_global_policy("float32")
    assert all(np.isfinite(value) for value in logs.values())
    assert found["boxes"].dtype == np.float32
    coarse = tf.cast(tf.cast(found["boxes"], tf.bfloat16), tf.float32).numpy()
    assert np.abs(found["boxes"] - coarse).max() > 0  # half precision would have rounded them


def test_xla_is_never_used_even_where_keras_would(model, monkeypatch):
    """RoIAlign and NMS are no XLA operations; an empty NMS under XLA has killed processes."""
    assert not model_supports_jit(model)
    gpu = tf.config.PhysicalDevice("/GPU:0", "GPU")  # on CPUs alone "auto" is off in any case
    monkeypatch.setattr(tf.config, "list_physical_devices", lambda: [gpu])
    model.compile(optimizer="sgd")
    assert model.jit_compile is False
    with pytest.warns(UserWarning, match="doesn't support `jit_compile=True`"):
        model.compile(optimizer="sgd", jit_compile=True)
    assert model.jit_compile is False


def test_weights_of_other_classes_are_refused_or_kept_out_by_name(model, tmp_path):
    path = tmp_path / "two.weights.h5"
    model.save_weights(path)
    keras.utils.set_random_seed(2)
    other = MaskRCNN(tiny(class_names=("a", "b", "c")))
    before = {variable.path: variable.numpy() for variable in other.variables}
    with pytest.raises(ValueError, match="logits"):
        other.load_weights(path)
    with pytest.warns(UserWarning, match="could not be loaded") as warned:
        other.load_weights(path, skip_mismatch=True)
    kernels = [variable for variable in other.variables if variable.path.endswith("kernel")]
    kept = {kernel.path for kernel in kernels if np.array_equal(kernel, before[kernel.path])}
    assert len(kept) == 3 and all("logits" in name or "deltas" in name for name in kept)
    assert all(any(layer in str(w.message) for w in warned) for layer in ("logits", "deltas"))
    np.testing.assert_array_equal(other.backbone.variables[0], model.backbone.variables[0])


def test_weights_of_the_same_classes_in_another_order_are_refused(model, tmp_path):
    """Their shapes fit, and circles would be called squares."""
    path = tmp_path / "swapped.keras"
    config = {"config": {"config": tiny(class_names=TINY.class_names[::-1]).to_dict()}}
    with zipfile.ZipFile(path, "w") as file:
        file.writestr("config.json", json.dumps(config))
    with pytest.raises(ValueError, match=r"swapped.keras: its class 1 is 'square', which is class 2"):
        model.load_weights(path)


@pytest.mark.parametrize("name", ["mask_rcnn_coco.h5", "old.hdf5"])
def test_files_of_keras_2_are_not_loaded_by_name_which_would_match_nothing(model, name):
    with pytest.raises(
        ValueError, match=rf'load_pretrained\("matterport_mask_rcnn_coco", weights="{name}"\)'
    ):
        model.load_weights(name, by_name=True)


@pytest.mark.parametrize("optimizer", ["adamw", "sgd", keras.optimizers.Lion(1e-4)])
def test_any_keras_optimizer(optimizer):
    model = MaskRCNN(TINY)
    model.compile(optimizer=optimizer, run_eagerly=True)
    before = model.box_heads[0].fcs[0].kernel.numpy()
    assert np.isfinite(model.fit(dataset(batch()), verbose=0).history["loss"][0])
    assert not np.array_equal(model.box_heads[0].fcs[0].kernel, before)


class TestDetect:
    def test_pictures_of_any_size_together(self, model):
        images = [np.zeros((40, 60, 3), np.uint8), np.zeros((200, 90), np.uint8)]
        found = model.detect(images, batch_size=2, score_threshold=0.0)
        assert [(f.height, f.width) for f in found] == [(40, 60), (200, 90)]
        assert all(f.masks.shape == (len(f), f.height, f.width) for f in found)
        assert all((f.boxes[:, 2] <= f.width).all() and (f.boxes[:, 3] <= f.height).all() for f in found)

    def test_one_picture_need_not_be_a_list(self, model):
        assert len(model.detect(np.zeros((40, 60, 3), np.uint8))) == 1
        assert len(model.detect(tf.zeros((40, 60, 3), tf.uint8))) == 1

    def test_the_same_picture_twice_gives_the_same(self, model):
        image = np.random.default_rng(0).integers(0, 255, (50, 80, 3)).astype(np.uint8)
        first, second = model.detect([image, image], batch_size=2, score_threshold=0.0)
        np.testing.assert_array_equal(first.boxes, second.boxes)
        np.testing.assert_array_equal(first.scores, second.scores)

    def test_other_pictures_in_a_batch_of_one_size_change_nothing(self, model):
        rng = np.random.default_rng(0)
        images = [rng.integers(0, 255, (64, 96, 3)).astype(np.uint8) for _ in range(3)]
        together = model.detect(images, batch_size=3, score_threshold=0.0)
        alone = model.detect(images, batch_size=1, score_threshold=0.0)
        for a, b in zip(together, alone, strict=True):
            np.testing.assert_allclose(a.boxes, b.boxes, atol=1e-3)
            np.testing.assert_allclose(a.scores, b.scores, atol=1e-4)
            np.testing.assert_array_equal(a.class_ids, b.class_ids)
            assert (a.masks != b.masks).mean() < 1e-3
        assert not np.array_equal(together[0].scores, together[1].scores)

    def test_limits_are_arguments(self, model):
        image = np.random.default_rng(0).integers(0, 255, (64, 96, 3)).astype(np.uint8)
        many = model.detect(image, score_threshold=0.0, max_detections=30)[0]
        assert 5 < len(many) <= 30
        np.testing.assert_array_equal(model.detect(image, score_threshold=0.0)[0].scores, many.scores[:5])
        assert len(model.detect(image, score_threshold=1.0)[0]) == 0
        above = model.detect(image, score_threshold=float(many.scores[3]), max_detections=2)[0]
        np.testing.assert_array_equal(above.scores, many.scores[:2])
        with pytest.raises(ValueError, match=r"raise Config\.post_nms_top_k"):
            model.detect(image, max_detections=500)

    def test_masks_as_run_lengths_or_not_at_all(self, model):
        image = np.zeros((40, 60, 3), np.uint8)
        assert model.detect(image, masks=None, score_threshold=0.0)[0].masks is None
        assert model.detect(image, masks="rle", score_threshold=0.0)[0].masks[0]["size"] == [40, 60]

    def test_bad_arguments(self, model):
        with pytest.raises(ValueError, match="masks must be"):
            model.detect([], masks="polygons")
        with pytest.raises(ValueError, match="batch_size"):
            model.detect([], batch_size=0)
        with pytest.raises(ValueError, match="score_threshold"):
            model.detect([np.zeros((9, 9, 3), np.uint8)], score_threshold=7)
        with pytest.raises(FileNotFoundError, match=r"missing\.jpg"):
            model.detect(["missing.jpg"])


def test_config_reaches_the_saved_file(tmp_path):
    config = dataclasses.replace(TINY, class_names=("a", "b", "c"))
    MaskRCNN(config).save(tmp_path / "m.keras")
    assert load_model(str(tmp_path / "m.keras")).config.class_names == ("a", "b", "c")
