"""What artefacts compute within their graphs that the model leaves to numpy: sizes, resizing, pasting."""

import numpy as np
import pytest
import tensorflow as tf
from examples import tiny

from keras_maskrcnn.artefacts.paste_inside import paste_inside
from keras_maskrcnn.artefacts.resize_inside import fit_input, size_inside
from keras_maskrcnn.detections.from_outputs import make_detections
from keras_maskrcnn.images.resize_array import fitted_batch
from keras_maskrcnn.images.sizes import input_size
from keras_maskrcnn.masks.crop_paste import matterport_paste, paste_masks, torchvision_paste_boxes

CONFIGS = [
    tiny(min_size=800, max_size=1333),
    tiny(min_size=800, max_size=1333, size_rounding="round"),
    tiny(min_size=800, max_size=1333, size_rounding="round_once"),
    tiny(min_size=800, max_size=1024, size_rounding="half_even"),
    tiny(image_scale=2.0),
    tiny(image_scale=0.3),
]


@pytest.mark.parametrize("config", CONFIGS)
def test_sizes_are_pythons_own(config):
    sizes = tf.function(lambda height, width: size_inside(height, width, config))
    rng = np.random.default_rng(0)
    some = [
        *rng.integers(1, 4000, (400, 2)).tolist(),
        (1, 1),
        (1, 4000),
        (333, 333),
        (427, 640),
        (1333, 800),
        (3, 62),
    ]
    for height, width in some:
        found = sizes(tf.constant(height), tf.constant(width))
        assert tuple(map(int, found)) == input_size(height, width, config), (height, width)


def test_an_image_is_resized_and_padded_as_before_a_network():
    image = np.random.default_rng(0).integers(0, 256, (45, 71, 3), np.uint8)
    config = tiny()
    fitted = fit_input(tf.constant(image), config)
    batch, sizes = fitted_batch([image], config)
    np.testing.assert_allclose(fitted.images, batch, atol=1e-4)
    np.testing.assert_array_equal(fitted.sizes, sizes)


@pytest.mark.parametrize("square", [False, True])
def test_detections_come_back_to_the_images_own_pixels(square):
    image = tf.zeros((45, 71, 3), tf.uint8)
    fitted = fit_input(image, tiny(square=square, max_size=128) if square else tiny())
    rng = np.random.default_rng(0)
    corners = rng.uniform(0, 60, (6, 2)).astype(np.float32)
    boxes = np.concatenate([corners, corners + rng.uniform(5, 30, (6, 2))], axis=1).astype(np.float32)
    boxes[4, 2] = boxes[4, 0]  # without area
    outputs = {
        "boxes": boxes,
        "scores": np.linspace(0.9, 0.1, 6, dtype=np.float32),
        "classes": np.array([1, 2, 1, 1, 2, 0], np.int32),
        "keypoints": rng.uniform(0, 60, (6, 1, 3)).astype(np.float32),
    }
    found = fitted.in_own_pixels({name: tf.constant(value) for name, value in outputs.items()})
    size = tuple(fitted.sizes[0].numpy().tolist())
    expected = make_detections(outputs, (45, 71), size, ["a", "b"], square=square)
    real = found["classes"].numpy() > 0
    np.testing.assert_allclose(found["boxes"].numpy()[real], expected.boxes, atol=1e-4)
    np.testing.assert_allclose(found["keypoints"].numpy()[real], expected.keypoints, atol=1e-4)
    assert not found["boxes"].numpy()[~real].any() and not found["scores"].numpy()[~real].any()


@pytest.mark.parametrize("rule", ["exact", "torchvision", "matterport"])
def test_masks_are_pasted_as_by_numpy(rule):
    rng = np.random.default_rng(0)
    masks = rng.uniform(0, 1, (30, 7, 7)).astype(np.float32)
    masks[0] = 0.8  # nowhere below a half
    corners = rng.uniform(-5, 60, (30, 2))
    boxes = np.concatenate([corners, corners + rng.uniform(1, 40, (30, 2))], axis=1).astype(np.float32)
    found = paste_inside(
        tf.constant(masks), tf.constant(boxes), tf.constant(50), tf.constant(70), rule
    ).numpy()
    frames, given = boxes, masks
    if rule == "torchvision":
        frames = torchvision_paste_boxes(boxes, 7)
    elif rule == "matterport":
        given, frames = matterport_paste(masks, boxes)
    expected = paste_masks(given, frames, 50, 70)
    assert expected.any(axis=(1, 2)).mean() > 0.6
    assert np.mean(found != expected) < 1e-5


def test_nothing_is_pasted_of_a_box_without_area():
    boxes = tf.constant([[5.0, 5, 5, 20], [0, 0, 0, 0]])
    assert (
        not paste_inside(tf.ones((2, 7, 7)), boxes, tf.constant(30), tf.constant(30), "exact").numpy().any()
    )
