#!/usr/bin/env bash
# Keras 3.15.1 with TensorFlow 2.21.0: behind a synchronized BatchNormalization, add_loss counts all replicas' losses.
#
# Under a MirroredStrategy the replicas of a process run in turns: a synchronized BatchNormalization makes them wait for
# each other. Layers behind it that call add_loss put what they add into one list, of all replicas, and each replica
# takes the sum of what is in it by then for its own. Nothing is said. One would expect the loss of one device, as there
# is without synchronized=True.
# Seen: a loss of 3.0 is logged as 4.5 with two replicas (3.0 of one, 6.0 of the other), and as 3.0 without it.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check keras==3.15.1 tensorflow==2.21.0
cat > "$folder/losses.py" <<'PYTHON'
import keras
import numpy as np
import tensorflow as tf

(cpu,) = tf.config.list_physical_devices("CPU")
tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * 2)


class Three(keras.layers.Layer):
    def call(self, x):
        self.add_loss(3.0 + 0.0 * keras.ops.mean(x))
        return x


def logged(strategy, synchronized):
    with strategy.scope():
        image = keras.Input((4,))
        x = keras.layers.BatchNormalization(synchronized=synchronized)(image)
        model = keras.Model(image, keras.layers.Dense(1)(Three()(x)))
        model.compile(optimizer=keras.optimizers.SGD(0.0))
    data = tf.data.Dataset.from_tensor_slices(np.ones((4, 4), "float32")).batch(4)
    return round(float(model.fit(data, verbose=0).history["loss"][0]), 3)


two = tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"])
one = tf.distribute.get_strategy()
print(f"one device {logged(one, True)}, two replicas {logged(two, False)}, that meet {logged(two, True)}")
PYTHON
seen=$(TF_CPP_MIN_LOG_LEVEL=3 "$folder/venv/bin/python" "$folder/losses.py" 2> "$folder/log" || { cat "$folder/log" >&2; exit 1; })
echo "$seen"
[ "$seen" = "one device 3.0, two replicas 3.0, that meet 4.5" ] || { echo "this has changed"; exit 1; }
