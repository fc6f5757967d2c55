"""A custom backbone: any Keras model or layer that returns feature maps by level."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from examples import batch, drawn_records, tiny

from keras_maskrcnn.data.pipeline.dataset import make_dataset
from keras_maskrcnn.models.load import load_model
from keras_maskrcnn.models.mask_rcnn import MaskRCNN
from keras_maskrcnn.weights.sources import torchvision
from keras_maskrcnn.weights.transfer import start_from


def stages(strides=(4, 2, 2, 2), first=2, channels=8):
    """A functional model of one strided convolution with batch norm for each level."""
    x = images = keras.Input((None, None, 3))
    maps = {}
    for level, stride in enumerate(strides, start=first):
        x = keras.layers.Conv2D(channels * level, 3, stride, padding="same", name=f"stage{level}")(x)
        x = keras.layers.BatchNormalization(name=f"norm{level}")(x)
        x = maps[f"C{level}"] = keras.layers.ReLU()(x)
    return keras.Model(images, maps, name="strided")


@keras.saving.register_keras_serializable("tests")
class Freezable(keras.layers.Layer):
    """A backbone as a layer, which can be frozen stage by stage."""

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.convs = [
            keras.layers.Conv2D(8, 3, stride, padding="same", name=f"c{i}")
            for i, stride in enumerate((4, 2, 2, 2), start=2)
        ]

    def freeze(self, stages):
        for number, conv in enumerate(self.convs, start=2):
            conv.trainable = number > stages

    def build(self, shape):
        for conv in self.convs:
            conv.build(shape)
            shape = conv.compute_output_shape(shape)

    def call(self, images):
        maps, x = {}, images
        for level, conv in enumerate(self.convs, start=2):
            x = maps[f"C{level}"] = conv(x)
        return maps


def images_of(data):
    return {key: data[key] for key in ("images", "sizes")}


@pytest.mark.parametrize("make", [stages, Freezable])
def test_it_trains_and_is_saved_and_loaded_with_the_model(make, tmp_path):
    model = MaskRCNN(tiny(), backbone=make())
    model.compile(optimizer=keras.optimizers.SGD(0.01))
    before = [v.numpy() for v in model.backbone.trainable_variables]
    history = model.fit(tf.data.Dataset.from_tensors(batch()), verbose=0).history
    assert np.isfinite(history["loss"]).all()
    after = [v.numpy() for v in model.backbone.trainable_variables]
    assert before and all(not np.array_equal(a, b) for a, b in zip(before, after, strict=True))
    model.save(tmp_path / "model.keras")
    loaded = load_model(tmp_path / "model.keras")
    assert type(loaded.backbone) is type(model.backbone)
    expected, found = model(images_of(batch())), loaded(images_of(batch()))
    for key, value in expected.items():
        np.testing.assert_array_equal(found[key], value)


def test_its_batch_norm_learns_statistics_unless_it_is_frozen():
    for frozen_stages, moves in ((0, True), (5, False)):
        model = MaskRCNN(tiny(frozen_stages=frozen_stages), backbone=stages())
        model.compile(optimizer=keras.optimizers.SGD(0.01))
        norm = model.backbone.get_layer("norm2")
        before = norm.moving_mean.numpy()
        model.fit(tf.data.Dataset.from_tensors(batch()), verbose=0)
        assert (not np.array_equal(norm.moving_mean.numpy(), before)) is moves
        assert bool(model.backbone.trainable_variables) is moves


def test_pixel_mean_and_std_say_what_it_is_given():
    seen = []

    class Probe(Freezable):
        def call(self, images):
            seen.append(images)
            return super().call(images)

    model = MaskRCNN(tiny(pixel_mean=(0, 0, 0), pixel_std=(1, 1, 1)), backbone=Probe())
    data = images_of(batch())
    model(data)
    np.testing.assert_array_equal(seen[-1], data["images"])


def test_it_is_frozen_in_part_if_it_can_be():
    model = MaskRCNN(tiny(frozen_stages=3), backbone=Freezable())
    assert [conv.trainable for conv in model.backbone.convs] == [False, False, True, True]
    model.freeze(0)
    assert all(conv.trainable for conv in model.backbone.convs)
    with pytest.raises(ValueError, match=r"frozen_stages=2: this backbone has no method freeze\(stages\)"):
        MaskRCNN(tiny(frozen_stages=2), backbone=stages())
    with pytest.raises(ValueError, match=r"frozen_stages=3: this backbone has no method"):
        MaskRCNN(tiny(frozen_stages=0), backbone=stages()).freeze(3)


def test_a_single_level_is_enough_without_a_pyramid():
    fields = {"architecture": "dc5", "anchor_sizes": ((16, 32),)}
    model = MaskRCNN(tiny(**fields), backbone=stages(strides=(16,), first=5, channels=4))
    assert model.rpn_head.convs[0].filters == 20  # as many as the level has
    assert len(model.detect(np.zeros((64, 64, 3), np.uint8))) == 1


@pytest.mark.parametrize(
    "make, reason",
    [
        (lambda: stages(strides=(4, 2, 2)), 'must return a dict with "C5"'),
        (
            lambda: stages(strides=(2, 2, 2, 2)),
            r"C2 must have stride 4: \[B, 32, 32, C\].*got \(1, 64, 64, 16\)",
        ),
        (lambda: keras.layers.Conv2D(8, 3), "it returns no dict"),
        (lambda: "resnet50", "must be a Keras model or layer; got a str"),
        (lambda: keras.layers.Dot(axes=1), r"cannot be called on images of shape \[1, 128, 128, 3\]"),
    ],
)
def test_what_does_not_fit_is_refused_with_the_reason(make, reason):
    with pytest.raises(ValueError, match=reason):
        MaskRCNN(tiny(), backbone=make())


def test_recomputing_is_for_the_resnets():
    with pytest.raises(ValueError, match="recomputed_stages is for the ResNets"):
        MaskRCNN(tiny(recomputed_stages=5), backbone=stages())


def test_no_source_has_names_for_it():
    with pytest.raises(ValueError, match="torchvision has no names for a model with a custom backbone"):
        torchvision.table(MaskRCNN(tiny(), backbone=stages()).network)


def test_weights_move_to_a_model_of_other_classes():
    source = MaskRCNN(tiny(), backbone=stages())
    model = MaskRCNN(tiny(class_names=("star",)), backbone=stages())
    new = start_from(model, source, "mine.keras")
    assert new == ("box_head/logits", "box_head/deltas", "mask_head/logits")
    np.testing.assert_array_equal(
        model.backbone.get_layer("stage2").kernel, source.backbone.get_layer("stage2").kernel
    )


@pytest.mark.slow
def test_convnext_of_keras_applications_trains_from_scratch_and_is_loaded_again(tmp_path):
    base = keras.applications.ConvNeXtTiny(
        include_top=False, include_preprocessing=False, weights=None, input_shape=(None, None, 3)
    )
    ends = {"C2": (0, 2), "C3": (1, 2), "C4": (2, 8), "C5": (3, 2)}
    maps = {
        level: base.get_layer(f"convnext_tiny_stage_{stage}_block_{block}_identity").output
        for level, (stage, block) in ends.items()
    }
    model = MaskRCNN(tiny(norm="none"), backbone=keras.Model(base.input, maps, name="convnext_tiny"))
    model.compile(optimizer=keras.optimizers.AdamW(1e-3))
    dataset = make_dataset(drawn_records(8), model.config, batch_size=4, training=True)
    losses = model.fit(dataset, epochs=10, verbose=0).history["loss"]
    print("ConvNeXtTiny, total loss by epoch:", [round(loss, 2) for loss in losses])
    assert np.mean(losses[-3:]) < 0.7 * losses[0]
    model.save(tmp_path / "convnext.keras")
    loaded = load_model(tmp_path / "convnext.keras")
    image = drawn_records(1)[0].image
    expected, found = model.detect(image, score_threshold=0.0), loaded.detect(image, score_threshold=0.0)
    np.testing.assert_array_equal(found[0].boxes, expected[0].boxes)
    np.testing.assert_array_equal(found[0].masks, expected[0].masks)
