"""RoIAlign in elementary operations, against the float64 reference and the same shapes as everywhere."""

import numpy as np
import pytest
import tensorflow as tf
from roi_align_reference import BOXES, MAPS, STRIDES, reference

from keras_maskrcnn.ops.dialect import write_in
from keras_maskrcnn.ops.roi_align import roi_align


@pytest.mark.parametrize("dialect", ["elementary", "marked"])
@pytest.mark.parametrize("mode", ["average", "max"])
@pytest.mark.parametrize("aligned", [True, False])
@pytest.mark.parametrize("sampling_ratio", [1, 2, 3])
def test_values_are_the_definitions(sampling_ratio, aligned, mode, dialect):
    if dialect == "marked" and mode == "average":
        pytest.skip("a mark for the converter")
    random = np.random.default_rng(7)
    features = [random.normal(size=(2, *size, 3)).astype(np.float32) for size in MAPS]
    finite = [box for box in BOXES.values() if np.isfinite(box).all()]
    boxes = np.tile(np.array(finite, np.float32), (3, 1))
    levels, images = np.repeat(np.arange(3), len(finite)), np.arange(len(boxes)) % 2
    settings = {"sampling_ratio": sampling_ratio, "aligned": aligned, "mode": mode}
    settings |= {"strides": STRIDES, "output_size": 3}
    with write_in(dialect):
        pooled = roi_align(features, boxes, images, levels, **settings)
    expected, _ = reference(features, boxes, images, levels, np.zeros((len(boxes), 3, 3, 3)), **settings)
    np.testing.assert_allclose(pooled, expected, atol=1e-4)


def test_adaptive_sampling_is_refused():
    with write_in("elementary"), pytest.raises(ValueError, match="needs a fixed sampling_ratio; got 0"):
        roi_align([tf.ones((1, 4, 4, 1))], tf.ones((1, 4)), [0], [0], strides=[4], output_size=2)
