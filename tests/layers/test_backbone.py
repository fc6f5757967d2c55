import keras
import numpy as np
import pytest
import tensorflow as tf

from keras_maskrcnn.layers.convolution import ConvNorm, GroupNorm
from keras_maskrcnn.layers.fpn import FPN
from keras_maskrcnn.layers.inputs import Normalize
from keras_maskrcnn.layers.resnet import Res5, ResNet

X = tf.random.stateless_normal((2, 8, 8, 32), (0, 0))


def randomized(layer, x=X):
    layer(x)
    rng = np.random.default_rng(0)
    for variable in layer.variables:
        variable.assign(rng.uniform(0.5, 1.5, variable.shape))
    return layer


@pytest.mark.parametrize("norm", ["frozen_batch_norm", "batch_norm"])
def test_folded_batch_norm_equals_keras(norm):
    layer = randomized(ConvNorm(32, 3, norm=norm, relu=False))
    n = layer.normalization
    plain = (keras.ops.conv(X, layer.kernel, padding="same") - n.moving_mean) * n.gamma
    plain = plain / keras.ops.sqrt(n.moving_variance + 1e-5) + n.beta
    # Winograd's algorithm is exact to 1e-4 of the outputs' spread, which is about 5 here
    np.testing.assert_allclose(layer(X), plain, rtol=1e-4, atol=1e-3)


def test_fold_is_differentiable_to_kernel_gamma_and_beta():
    layer = randomized(ConvNorm(32, 3, norm="batch_norm"))
    with tf.GradientTape() as tape:
        total = tf.reduce_sum(layer(X, training=False))
    assert all(g is not None for g in tape.gradient(total, layer.trainable_variables))
    assert len(layer.trainable_variables) == 3


def test_batch_norm_uses_the_batch_in_training_and_moves_its_statistics():
    layer = randomized(ConvNorm(32, 3, norm="batch_norm", relu=False))
    n = layer.normalization
    before = n.moving_mean.numpy()
    found = layer(X, training=True).numpy()
    np.testing.assert_allclose(found.mean(axis=(0, 1, 2)), n.beta.numpy(), atol=1e-4)
    assert np.abs(n.moving_mean.numpy() - before).max() > 0


@pytest.mark.parametrize("shape", [(2, 6, 5, 64), (3, 64)])
def test_group_norm_equals_keras(shape):
    x = tf.random.stateless_normal(shape, (0, 1))
    layer, plain = (randomized(kind(32), x) for kind in (GroupNorm, keras.layers.GroupNormalization))
    np.testing.assert_allclose(layer(x), plain(x), rtol=1e-5, atol=1e-5)


def test_group_norm_of_one_large_image_is_exact():
    x = np.random.default_rng(0).normal(0.7, 1, (1, 280, 200, 64)).astype(np.float32)
    groups = x.astype(np.float64).reshape(-1, 32, 2)
    exact = (groups - groups.mean(axis=(0, 2), keepdims=True)) / np.sqrt(
        groups.var(axis=(0, 2), keepdims=True) + 1e-5
    )
    found = GroupNorm(32, epsilon=1e-5)(x)
    np.testing.assert_allclose(found, exact.reshape(x.shape), rtol=1e-5, atol=1e-5)


def test_frozen_batch_norm_stays_frozen_when_a_model_is_made_trainable():
    layer = randomized(ConvNorm(32, 3, norm="frozen_batch_norm"))
    layer.trainable = True
    assert [v.name for v in layer.trainable_variables] == ["kernel"]


def test_stride_two_pads_symmetrically():
    layer = ConvNorm(1, 3, strides=2, relu=False)
    layer(tf.zeros((1, 4, 4, 1)))
    layer.kernel.assign(tf.ones((3, 3, 1, 1)))
    # windows centred on pixels 0 and 2, as torch has them; Keras' "same" centres on 1 and 3
    np.testing.assert_array_equal(layer(tf.ones((1, 4, 4, 1)))[0, :, :, 0], [[4, 6], [6, 9]])


def test_group_norm_needs_whole_groups():
    with pytest.raises(ValueError, match="multiple of 32"):
        ConvNorm(48, norm="group_norm")


@pytest.mark.parametrize(
    ("depth", "stem_channels", "channels"),
    [
        (18, 64, [64, 128, 256, 512]),
        (18, 16, [16, 32, 64, 128]),
        (50, 64, [256, 512, 1024, 2048]),
        (50, 8, [32, 64, 128, 256]),
    ],
)
def test_resnet_levels(depth, stem_channels, channels):
    features = ResNet(depth, stem_channels, norm="none")(tf.zeros((1, 64, 96, 3)))
    assert [f"{k} {v.shape[1:]}" for k, v in features.items()] == [
        f"C{level} {(64 // 2**level, 96 // 2**level, count)}"
        for level, count in zip(range(2, 6), channels, strict=True)
    ]


def test_known_parameter_count():
    # ResNet-50 without its classifier: 23,508,032 parameters, 53,120 of them batch norm's gamma and beta
    network = ResNet(50, norm="batch_norm", frozen_stages=0)
    network(tf.zeros((1, 32, 32, 3)))
    assert sum(int(np.prod(v.shape)) for v in network.trainable_variables) == 23_508_032


def test_frozen_stages_count_from_the_stem():
    network = ResNet(18, norm="none", frozen_stages=2)
    network(tf.zeros((1, 32, 32, 3)))
    frozen = {v.path.split("/")[1] for v in network.non_trainable_variables}
    assert frozen == {"stem", "res2_block1", "res2_block2"}


def test_fpn_adds_the_coarser_level_to_the_finer():
    features = {f"C{i}": tf.zeros((1, 2 ** (6 - i), 2 ** (6 - i), 8)) for i in range(2, 6)}
    pyramid = FPN(16)
    pyramid(features)
    base = {k: v.numpy() for k, v in pyramid(features).items()}
    features["C5"] = tf.ones_like(features["C5"])
    changed = {k: np.abs(v.numpy() - base[k]).max() for k, v in pyramid(features).items()}
    assert list(changed) == ["P2", "P3", "P4", "P5", "P6"] and min(changed.values()) > 0
    features["C2"] = features["C2"] + 1
    again = pyramid(features)
    np.testing.assert_array_equal(again["P6"], again["P5"][:, ::2, ::2])


def test_normalize_leaves_the_padding_zero():
    images = tf.fill((1, 4, 4, 3), 10.0)
    found = Normalize((4, 5, 6), (2, 5, 4))(images, tf.constant([[2, 3]])).numpy()[0]
    np.testing.assert_allclose(found[:2, :3], np.broadcast_to([3, 1, 1], (2, 3, 3)))
    assert not found[2:].any() and not found[:, 3:].any()


def test_bgr_reverses_the_channels_after_normalising():
    found = Normalize((4, 5, 6), (1, 1, 1), bgr=True)(tf.fill((1, 1, 1, 3), 10.0), tf.constant([[1, 1]]))
    np.testing.assert_allclose(found[0, 0, 0], [4, 5, 6])


def test_resnext_has_its_published_parameters():
    # ResNeXt-50-32x4d without its classifier: 22,979,904 parameters (Xie et al. 2017, table 1: 25.0 million with it)
    network = ResNet(50, norm="batch_norm", frozen_stages=0, groups=32, group_width=4)
    network(tf.zeros((1, 32, 32, 3)))
    assert sum(int(np.prod(v.shape)) for v in network.trainable_variables) == 22_979_904


def test_grouped_convolution_keeps_groups_apart():
    layer = ConvNorm(4, 3, groups=2, relu=False)
    layer(tf.zeros((1, 5, 5, 4)))
    x = np.zeros((1, 5, 5, 4), np.float32)
    x[..., :2] = 1
    changed = np.abs(layer(x)).sum(axis=(0, 1, 2)) > 0
    assert changed.tolist() == [True, True, False, False]


def test_dilated_res5_keeps_stride_16():
    network = ResNet(50, norm="none", dilated=True)
    shapes = {k: v.shape[1:3] for k, v in network(tf.zeros((1, 64, 96, 3))).items()}
    assert shapes["C5"] == shapes["C4"] == (4, 6)
    assert [block.conv2.dilation for block in network.stages[3]] == [2, 2, 2]


def test_res5_on_rois_is_the_last_stage_of_the_network():
    network = randomized(ResNet(18, norm="batch_norm"), tf.zeros((1, 64, 64, 3)))
    res5 = randomized(Res5(18, False, "batch_norm", 1e-5), tf.zeros((1, 8, 8, 256)))
    for ours, theirs in zip(res5.blocks, network.stages[3], strict=True):
        ours.set_weights(theirs.get_weights())
    x = tf.random.stateless_normal((2, 8, 8, 256), (3, 4))
    expected = x
    for block in network.stages[3]:
        expected = block(expected)
    np.testing.assert_array_equal(res5(x), expected)


def test_bias_before_a_batch_norm_is_folded_too():
    layer = randomized(ConvNorm(32, 3, norm="batch_norm", relu=False, bias=True))
    n = layer.normalization
    plain = n(keras.ops.conv(X, layer.kernel, padding="same") + layer.bias, training=False)
    np.testing.assert_allclose(layer(X), plain, rtol=1e-4, atol=5e-4)


def test_pooling_padded_at_the_end_is_keras_same():
    network = randomized(ResNet(18, norm="none", pool_padding="end"), tf.zeros((1, 64, 64, 3)))
    image = tf.random.stateless_uniform((1, 64, 64, 3), (5, 6))
    expected = keras.ops.max_pool(network.stem(image), 3, 2, padding="same")
    for block in network.stages[0]:
        expected = block(expected)
    np.testing.assert_allclose(network(image)["C2"], expected)


def test_variance_of_zero_with_an_epsilon_of_zero_stays_finite():
    layer = ConvNorm(32, 1, norm="frozen_batch_norm", epsilon=0.0)
    layer(X)
    layer.normalization.moving_variance.assign(np.zeros(32))
    layer.normalization.gamma.assign(np.zeros(32))
    assert np.isfinite(layer(X)).all()


def assert_recomputed_alike(kept, again, inputs):
    """That two layers, given the same weights, have the same maps and gradients, the second by recomputing."""
    kept(inputs), again(inputs)
    again.set_weights(kept.get_weights())

    @tf.function
    def run(layer, inputs):
        maps = layer(inputs, training=True)
        total = tf.add_n([tf.reduce_sum(x**2) for x in maps.values()])
        sources = [v.value for v in layer.trainable_variables] + tf.nest.flatten(inputs)
        return maps, tf.gradients(total, sources)

    (maps, gradients), (same_maps, same_gradients) = run(kept, inputs), run(again, inputs)
    assert list(same_maps) == list(maps)
    for level, value in maps.items():
        np.testing.assert_allclose(same_maps[level], value, rtol=1e-6)
    for ours, theirs in zip(same_gradients, gradients, strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-4, atol=1e-4 * np.abs(theirs).max())


def test_a_recomputed_pyramid_has_the_same_maps_and_gradients():
    features = {
        f"C{level}": tf.random.stateless_normal((1, 128 >> level, 128 >> level, 16), (level, 0))
        for level in range(2, 6)
    }
    pyramid = FPN(16)
    assert_recomputed_alike(pyramid, FPN(16, recomputed=True), features)
    assert list(pyramid(features)) == ["P2", "P3", "P4", "P5", "P6"]


@pytest.mark.parametrize(("frozen_stages", "recomputed_stages"), [(0, 1), (0, 2), (0, 5), (2, 5), (1, 2)])
def test_recomputed_stages_give_the_same_features_and_gradients(frozen_stages, recomputed_stages):
    images = tf.random.stateless_normal((1, 64, 64, 3), (0, 0))
    kept, again = (
        ResNet(18, norm="frozen_batch_norm", frozen_stages=frozen_stages, recomputed_stages=stages)
        for stages in (0, recomputed_stages)
    )
    assert_recomputed_alike(kept, again, images)
