#!/usr/bin/env bash
# OpenVINO 2026.4.1: next to x[:, ::2, ::2] the shape of x is taken for the slice's, where sizes are dynamic and at least 1.
#
# Detectors take every second pixel of a level for the next one, and ask both for their sizes to place anchors. Behind a
# convolution with explicit padding the sizes are intervals, "1..", and the converter takes those of the slice, which
# are such an interval too, for the same sizes: what is computed from the shape of x becomes what is computed from that
# of the slice. Nothing is logged. With max_pool2d(x, 1, 2), which is the same slice, all is well.
# Seen: of an image of 38 x 26 the level of 19 x 13 has 10 rows by its own shape.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check openvino==2026.4.1 tensorflow==2.21.0
cat > "$folder/slices.py" <<'PYTHON'
import numpy as np
import openvino
import tensorflow as tf


def rows(every_second):
    def levels(x):
        padded = tf.pad(x, [[0, 0], [1, 1], [1, 1], [0, 0]])
        level = tf.nn.conv2d(padded, tf.ones([3, 3, 4, 4]), 2, "VALID")
        return {
            "level": tf.range(tf.shape(level)[1], name="level"),
            "next": tf.range(tf.shape(every_second(level))[1], name="next"),
        }

    image = np.zeros((1, 38, 26, 4), np.float32)
    function = tf.function(levels, input_signature=[tf.TensorSpec([None, None, None, 4], name="x")])
    model = openvino.Core().compile_model(openvino.convert_model(function), "CPU")
    outputs = model({"x": image})
    found = {output.get_any_name(): len(outputs[output]) for output in model.outputs}
    expected = {name: len(value) for name, value in function(image).items()}
    return [(expected[name], found[name]) for name in ("level", "next")]


sliced = rows(lambda level: level[:, ::2, ::2])
pooled = rows(lambda level: tf.nn.max_pool2d(level, 1, 2, "VALID"))
print("rows (TensorFlow, OpenVINO) of a level and the next: sliced", sliced, "pooled", pooled)
print("outcome:", sliced, pooled)
PYTHON
seen=$(TF_CPP_MIN_LOG_LEVEL=3 "$folder/venv/bin/python" "$folder/slices.py" 2> "$folder/log" || { cat "$folder/log" >&2; exit 1; })
echo "$seen"
[ "$(echo "$seen" | tail -n 1)" = "outcome: [(19, 10), (10, 10)] [(19, 19), (10, 10)]" ] || { echo "this has changed"; exit 1; }
