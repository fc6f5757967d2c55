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
