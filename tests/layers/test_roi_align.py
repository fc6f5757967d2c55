import numpy as np
import pytest
import tensorflow as tf

from keras_maskrcnn.layers.roi_align import RoIAlign, assign_levels


def square(side):
    return [0.0, 0.0, side, side]


@pytest.mark.parametrize(
    ("side", "level"),
    [(1, 2), (111, 2), (112, 3), (223.9, 3), (224, 4), (447, 4), (448, 5), (5000, 5), (0, 2)],
)
def test_boxes_of_imagenets_size_are_pooled_from_p4(side, level):
    assert int(assign_levels(tf.constant([square(side)]))[0]) == level - 2


def test_each_box_is_pooled_from_its_level_and_its_image():
    features = {
        f"P{i}": tf.stack(
            [tf.fill((2 ** (9 - i), 2 ** (9 - i), 1), value) for value in (10.0 * i, 10.0 * i + 1)]
        )
        for i in range(2, 6)
    }
    boxes = tf.constant([square(50.0), square(300.0), square(500.0)])
    pooled = RoIAlign(2, 2, True, "average")(features, boxes, tf.constant([1, 0, 1]))
    np.testing.assert_allclose(pooled[:, 0, 0, 0], [21, 40, 51])


def test_level_rules_cut_or_round():
    boxes = tf.constant([square(224 * 2.0**0.5), square(300.0), square(330.0)])  # log2 of 0.5, 0.42 and 0.56
    assert assign_levels(boxes, "torchvision").numpy().tolist() == [2, 2, 2]
    assert assign_levels(boxes, "detectron2").numpy().tolist() == [2, 2, 2]
    assert assign_levels(boxes, "mmdetection").numpy().tolist() == [2, 2, 2]
    assert assign_levels(boxes, "matterport").numpy().tolist()[1:] == [2, 3]


def test_mmdetection_forgives_a_millionth_of_the_finest_levels_size():
    sides = [0.0, 56.0, 111.99, 112 * (1 - 4e-7), 112.0, 224 * (1 - 1e-6), 224.0, 448.0, 5000.0]
    boxes = tf.constant([square(side) for side in sides])
    expected = [0, 0, 0, 1, 1, 1, 2, 3, 3]
    assert assign_levels(boxes, "mmdetection").numpy().tolist() == expected


def test_a_single_level_takes_every_box():
    pooled = RoIAlign(2, 2, True, "average", strides=(16,))(
        {"C4": tf.fill((1, 4, 4, 1), 7.0)}, tf.constant([square(16.0), square(64.0)]), tf.constant([0, 0])
    )
    np.testing.assert_allclose(pooled, tf.fill((2, 2, 2, 1), 7.0))


def test_crop_and_resize_is_tensorflows():
    feature = tf.random.stateless_normal((2, 16, 16, 3), (1, 2))
    boxes = tf.constant(
        [[0.0, 0, 63, 63], [3.0, 8, 40, 21], [10.0, 10, 10, 10]]
    )  # last pixels of a square of 64
    indices = tf.constant([0, 1, 1])
    found = RoIAlign(7, 0, False, "crop_and_resize", strides=(4,))({"P2": feature}, boxes, indices)
    normalized = tf.gather(boxes, [1, 0, 3, 2], axis=1) / 63
    np.testing.assert_allclose(
        found, tf.image.crop_and_resize(feature, normalized, indices, [7, 7]), atol=1e-4
    )
