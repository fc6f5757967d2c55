import numpy as np
import tensorflow as tf

from keras_maskrcnn.layers.heads import BoxHead, KeypointHead, MaskHead

POOLED = tf.random.stateless_normal((3, 4, 4, 32), (0, 0))


def test_box_head_with_convolutions_and_one_layer():
    head = BoxHead(5, False, True, convs=4, conv_channels=32, fcs=1, channels=16, norm="group_norm")
    logits, deltas = head(POOLED)
    assert logits.shape == (3, 6) and deltas.shape == (3, 6, 4)
    assert len(head.convs) == 4 and [fc.name for fc in head.fcs] == ["fc1"]


def test_box_head_of_what_res5_made_averages():
    head = BoxHead(2, True, False, fcs=0)
    logits, deltas = head(POOLED)
    mean = tf.reduce_mean(POOLED, axis=[1, 2])
    np.testing.assert_allclose(logits, mean @ head.logits.kernel + head.logits.bias, atol=1e-6)
    assert deltas.shape == (3, 1, 4)


def test_fully_connected_layers_may_be_normalised():
    head = BoxHead(2, False, True, fcs=2, channels=16, norm="frozen_batch_norm", epsilon=1e-3, fc_norm=True)
    before = head(POOLED)[0].numpy()
    head.fc_norms[1].beta.assign(-1e6 * np.ones(16))  # ReLU then leaves the biases alone
    np.testing.assert_allclose(head(POOLED)[0], np.zeros((3, 3)), atol=1e-6)
    assert np.abs(before).max() > 0


def test_mask_head_doubles_and_keypoint_head_quadruples():
    assert MaskHead(7, 32, convs=0)(POOLED).shape == (3, 8, 8, 7)
    assert KeypointHead(17, 32, convs=2)(POOLED).shape == (3, 16, 16, 17)
