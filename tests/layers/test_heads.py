import numpy as np
import pytest
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


@pytest.mark.parametrize("policy, limit", [("float32", 1e-5), ("mixed_bfloat16", 2e-2)])
@pytest.mark.parametrize("alone", [False, True])
def test_a_mask_made_alone_is_the_one_among_all(policy, limit, alone):
    head = MaskHead(7, 16, convs=1, dtype=policy)
    if not alone:  # else it is the first call that makes the weights
        head(POOLED)
    entries = tf.constant([6, 0, 3])
    head(POOLED, entries=entries)
    for layer in (head.deconv, head.logits):
        layer.kernel.assign(tf.random.stateless_normal(layer.kernel.shape, (1, 2)) / 4)
        layer.bias.assign(tf.random.stateless_normal(layer.bias.shape, (3, 4)))
    found, every = head(POOLED, entries=entries), head(POOLED)
    assert found.shape == (3, 8, 8, 1) and found.dtype == tf.float32
    expected = np.stack([every[0, ..., 6], every[1, ..., 0], every[2, ..., 3]])
    np.testing.assert_allclose(found[..., 0], expected, rtol=0, atol=limit * np.abs(expected).max())


def test_a_mask_head_has_the_same_weights_whichever_way_it_is_called_first():
    heads = [MaskHead(7, 16, convs=1, name="mask_head") for _ in range(2)]
    heads[0](POOLED)
    heads[1](POOLED, entries=tf.constant([6, 0, 3]))
    first, second = ([(weight.path, weight.shape) for weight in head.weights] for head in heads)
    assert first == second
