"""The graphs of inference: few, and always those of the model as it is now."""

import dataclasses
import warnings

import keras
import numpy as np
import pytest
from examples import batch, tiny

import keras_maskrcnn as km
from keras_maskrcnn.models import detector
from keras_maskrcnn.models.detector import image_batch

IMAGE = np.random.default_rng(0).integers(0, 255, (64, 80, 3)).astype(np.uint8)
CONFIG = tiny(mask_head="none", score_threshold=0.0)


@pytest.fixture
def model():
    keras.utils.set_random_seed(1)
    return km.MaskRCNN(CONFIG)


def direct(model):
    """What the layers themselves find, without a trace."""
    return model(image_batch([IMAGE], model.config))["scores"].numpy()[0]


def detected(model):
    return model.detect(IMAGE)[0].scores


def predicted(model):
    inputs = {key: value.numpy() for key, value in image_batch([IMAGE], model.config).items()}
    return model.predict(inputs, verbose=0)["scores"][0]


def test_thresholds_share_one_graph_and_limits_a_few(untraced):
    model = km.MaskRCNN(tiny(mask_head="none", score_threshold=0.3))
    all_scores = model.detect(IMAGE, score_threshold=0.0, max_detections=40)[0].scores
    for threshold in (0.0, 0.1, 0.35, 0.5):
        found = model.detect(IMAGE, score_threshold=threshold, max_detections=40)[0].scores
        np.testing.assert_array_equal(found, all_scores[all_scores > np.float32(threshold)])
    assert set(model._detector._functions) == {40}
    for limit in (1, 5, 6, 9, 21, 39):
        found = model.detect(IMAGE, score_threshold=0.0, max_detections=limit)[0].scores
        np.testing.assert_array_equal(found, all_scores[:limit])
    assert set(model._detector._functions) == {5, 10, 40}


def test_images_of_any_size_share_one_trace(monkeypatch):
    traced = []
    compute = detector.inference_stages
    monkeypatch.setattr(detector, "inference_stages", lambda *args: traced.append(args) or compute(*args))
    model = km.MaskRCNN(CONFIG)
    for size in ((64, 80), (80, 64), (200, 90)):
        model.detect(np.zeros((*size, 3), np.uint8))
    assert len(traced) == 1


def test_intensity_percentiles_find_the_same_in_images_of_any_exposure(untraced):
    keras.utils.set_random_seed(1)
    model = km.MaskRCNN(tiny(mask_head="none", score_threshold=0.0, intensity_percentiles=(1, 99)))
    exposures = [IMAGE, IMAGE // 8 * 8 + 7, IMAGE.astype(np.uint16) * 16, IMAGE.astype(np.float32) * 1e-3 - 2]
    bright, coarse, deep, physical = model.detect(exposures)
    for found in (deep, physical):
        np.testing.assert_allclose(found.boxes, bright.boxes, atol=1e-2)
        np.testing.assert_allclose(found.scores, bright.scores, atol=1e-4)
    assert np.abs(coarse.scores - bright.scores).max() > 1e-4  # of other pixels, other scores


def test_a_quantized_model_detects_with_its_integers_and_is_loaded_so(model, tmp_path):
    before = detected(model)
    model.quantize("int8")
    assert model.box_heads[0].fcs[0].kernel.dtype == "int8"
    found = detected(model)
    # Activations are rounded to steps of 1/127: another order of the same sum may round one to the next step.
    np.testing.assert_allclose(found, direct(model)[: len(found)], atol=1e-3)
    assert not np.array_equal(found, before)
    model.save(tmp_path / "int8.keras")
    loaded = km.load_model(tmp_path / "int8.keras")
    assert loaded.box_heads[0].fcs[0].kernel.dtype == "int8"
    np.testing.assert_array_equal(direct(loaded), direct(model))


def test_some_layers_can_be_quantized(model, tmp_path):
    with warnings.catch_warnings():
        warnings.simplefilter("error", UserWarning)  # of each convolution, by Keras
        model.quantize("int8", filters="fc1")
    model.save(tmp_path / "some.keras")
    loaded = km.load_model(tmp_path / "some.keras")
    kinds = [loaded.box_heads[0].fcs[0].kernel.dtype, loaded.box_heads[0].fcs[1].kernel.dtype]
    assert kinds == ["int8", "float32"]
    np.testing.assert_array_equal(direct(loaded), direct(model))


def test_what_could_not_be_loaded_again_is_not_quantized(model):
    for mode in ("int4", "float8"):
        with pytest.raises(ValueError, match=r'quantized by quantize\("int8"\) alone.* got mode'):
            model.quantize(mode)
    for mode in ("gptq", "awq", None):  # for which Keras wants a config
        with pytest.raises(ValueError, match="config"):
            model.quantize(mode)
    with pytest.raises(ValueError, match="without a config; got mode 'int8'"):
        model.quantize(config=keras.quantizers.Int8QuantizationConfig(activation_quantizer=None))


def test_low_rank_adapters_are_detected_with_and_trained(model, tmp_path):
    before = predicted(model)  # which Keras traces
    layer = model.box_heads[0].fcs[0]
    layer.enable_lora(2)
    layer.lora_kernel_b.assign(np.ones(layer.lora_kernel_b.shape))
    np.testing.assert_allclose(predicted(model), direct(model), atol=1e-6)
    assert not np.array_equal(predicted(model), before)
    model.compile(optimizer=keras.optimizers.SGD(0.1), run_eagerly=True)
    old = layer.lora_kernel_b.numpy(), layer._kernel.numpy()
    model.train_on_batch(batch(CONFIG))
    assert not np.array_equal(layer.lora_kernel_b, old[0]) and np.array_equal(layer._kernel, old[1])
    model.save(tmp_path / "merged.keras")
    np.testing.assert_allclose(direct(km.load_model(tmp_path / "merged.keras")), direct(model), atol=1e-5)


def test_a_config_is_not_changed_but_carried_to_another_model(model):
    other = dataclasses.replace(CONFIG, max_detections=3)
    with pytest.raises(AttributeError, match=r"new\.set_weights\(model\.get_weights\(\)\)"):
        model.config = other
    assert model.config == CONFIG
    new = km.MaskRCNN(other)
    new.set_weights(model.get_weights())
    np.testing.assert_array_equal(direct(new), direct(model)[:3])


def spoil(model):
    kernel = model.box_heads[0].fcs[0].kernel
    kernel.assign(np.full(kernel.shape, np.nan))


@pytest.mark.parametrize("detects_before", [False, True])
def test_nothing_is_found_with_weights_that_are_nan(model, detects_before):
    if detects_before:
        detected(model)
    spoil(model)
    with pytest.raises(ValueError, match="the weights box_head/fc1/kernel hold NaN or Inf"):
        model.detect(IMAGE)
    with pytest.raises(ValueError, match="box_head/fc1/kernel"):
        model.predict(image_batch([IMAGE], CONFIG), verbose=0)


def test_files_with_weights_that_are_nan_are_not_loaded(model, tmp_path):
    spoil(model)
    model.save(tmp_path / "nan.keras")
    model.save_weights(tmp_path / "nan.weights.h5")
    with pytest.raises(ValueError, match=r"nan\.keras: the weights box_head/fc1/kernel hold NaN"):
        km.load_model(tmp_path / "nan.keras")
    preset = km.Preset("tiny", CONFIG, source="torchvision", url="https://example.org/tiny.pth")
    with pytest.raises(ValueError, match=r"nan\.keras: the weights box_head/fc1/kernel hold NaN"):
        km.load_pretrained(preset, weights=tmp_path / "nan.keras")
    with pytest.raises(ValueError, match=r"nan\.weights\.h5: the weights box_head/fc1/kernel hold NaN"):
        km.MaskRCNN(CONFIG).load_weights(tmp_path / "nan.weights.h5")
