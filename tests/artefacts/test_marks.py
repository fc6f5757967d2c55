"""What converters make of the marks in a graph, against the definitions."""

import types

import numpy as np
import pytest
import tensorflow as tf
from exported import need
from roi_align_reference import BOXES, reference

from keras_maskrcnn.artefacts.onnx import convert as to_onnx
from keras_maskrcnn.artefacts.openvino import convert as to_openvino
from keras_maskrcnn.ops.dialect import write_in
from keras_maskrcnn.ops.group_norm import group_norm
from keras_maskrcnn.ops.roi_align import roi_align


def run_onnx(module, inputs):
    import onnxruntime

    session = onnxruntime.InferenceSession(to_onnx(module).SerializeToString())
    return session.run(None, inputs)[0]


def run_openvino(module, inputs):
    import openvino

    settings = {"INFERENCE_PRECISION_HINT": "f32"}
    return openvino.Core().compile_model(to_openvino(module), "CPU", settings)(inputs)[0]


@pytest.fixture(params=["onnx", "openvino"])
def run(request):
    """Run a function of one tensor by name in another runtime."""
    need(request.param)
    runs = {"onnx": run_onnx, "openvino": run_openvino}

    def run_there(function, **inputs):
        signature = [
            tf.TensorSpec(
                [None] * (value.ndim - 1) + [value.shape[-1]] if value.ndim > 1 else [None], value.dtype, name
            )
            for name, value in inputs.items()
        ]
        traced = tf.function(lambda *given: {"found": function(*given)}, input_signature=signature)
        with write_in("marked"):
            traced.get_concrete_function()
            return runs[request.param](types.SimpleNamespace(function=traced, signature=signature), inputs)

    return run_there


@pytest.mark.parametrize("aligned", [True, False])
@pytest.mark.parametrize("sampling_ratio", [0, 2])
def test_roi_align_is_the_definition(run, sampling_ratio, aligned):
    random = np.random.default_rng(3)
    maps = [random.normal(size=(2, *size, 3)).astype(np.float32) for size in ((18, 26), (9, 13))]
    boxes = np.array([box for box in BOXES.values() if np.isfinite(box).all()] * 2, np.float32)
    images = (np.arange(len(boxes)) % 2).astype(np.int32)
    levels = np.repeat([0, 1], len(boxes) // 2).astype(np.int32)
    settings = {"strides": [1.0, 2.0], "output_size": 3, "sampling_ratio": sampling_ratio, "aligned": aligned}

    def pooled(high, low, boxes, images, levels):
        return roi_align([high, low], boxes, images, levels, **settings)

    found = run(pooled, high=maps[0], low=maps[1], boxes=boxes, images=images, levels=levels)
    gradient = np.zeros((len(boxes), 3, 3, 3))
    expected, _ = reference(maps, boxes, images, levels, gradient, mode="average", **settings)
    np.testing.assert_allclose(found, expected, atol=1e-4)


@pytest.mark.parametrize("groups", [1, 3, 6])
def test_group_norm_is_the_formula(run, groups):
    random = np.random.default_rng(4)
    x = random.normal(3, 2, size=(2, 7, 9, 6)).astype(np.float32)
    gamma, beta = random.normal(size=(2, 6)).astype(np.float32)
    found = run(lambda x: group_norm(x, tf.constant(gamma), tf.constant(beta), groups, 1e-3), x=x)
    grouped = x.astype(np.float64).reshape(2, 7, 9, groups, 6 // groups)
    centred = grouped - grouped.mean((1, 2, 4), keepdims=True)
    normal = (centred / np.sqrt((centred**2).mean((1, 2, 4), keepdims=True) + 1e-3)).reshape(x.shape)
    np.testing.assert_allclose(found, normal * gamma + beta, atol=1e-5)
