#!/usr/bin/env bash
# Keras 3.15.1 with TensorFlow 2.21.0: GroupNormalization is wrong in the fourth digit on a CPU.
#
# The variance of a group is taken of all its pixels at once, which TensorFlow adds up in float32 one after the other. On a
# feature map of the size that an image detector has, the normalised values are off by 1e-4 of their spread and more from
# the same sum in float64, where float32 could give 1e-6. One would expect the precision of a sum by parts.
# Seen: largest error 4.9e-04 for one image of 256 x 256 pixels, 8.8e-07 where one axis is summed after the other.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check tensorflow==2.21.0 keras==3.15.1
CUDA_VISIBLE_DEVICES= TF_CPP_MIN_LOG_LEVEL=3 "$folder/venv/bin/python" - <<'PYTHON'
import keras
import numpy as np
import tensorflow as tf

GROUPS, CHANNELS, SIDE = 32, 256, 256
x = np.random.default_rng(0).normal(3, 1, (1, SIDE, SIDE, CHANNELS)).astype(np.float32)
grouped = x.astype(np.float64).reshape(1, SIDE, SIDE, GROUPS, -1)
mean = grouped.mean(axis=(1, 2, 4), keepdims=True)
expected = ((grouped - mean) / np.sqrt(grouped.var(axis=(1, 2, 4), keepdims=True) + 1e-3)).reshape(x.shape)

error = np.abs(keras.layers.GroupNormalization(GROUPS, epsilon=1e-3)(x).numpy() - expected).max()


def mean_by_axes(values):
    for axis in (2, 1, 4):
        values = tf.reduce_mean(values, axis=axis, keepdims=True)
    return values


parts = tf.reshape(x, (1, SIDE, SIDE, GROUPS, -1))
center = mean_by_axes(parts)
careful = (parts - center) * tf.math.rsqrt(mean_by_axes(tf.square(parts - center)) + 1e-3)
careful_error = np.abs(tf.reshape(careful, x.shape).numpy() - expected).max()
print(f"largest error of Keras' layer {error:.1e}, of a sum axis by axis {careful_error:.1e}")
assert error > 30 * careful_error, "this has changed"
PYTHON
