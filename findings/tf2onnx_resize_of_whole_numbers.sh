#!/usr/bin/env bash
# tf2onnx 1.17.0: tf.image.resize of a uint8 image becomes a Resize of uint8, whose file no runtime loads.
#
# TensorFlow's bilinear resizing takes images of whole numbers and returns float32. The converter writes ONNX's Resize,
# which returns the type that it is given, and goes on as if it were float: the file contradicts itself. Converting says
# nothing. One would expect a Cast before it. Casting the image first, in TensorFlow, is the way round.
# Seen: ONNX Runtime 1.32.0 refuses to load it ("bound to different types (tensor(uint8) and tensor(float)").
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check \
    tf2onnx==1.17.0 tensorflow==2.21.0 onnx==1.23.2 onnxruntime==1.32.0
cat > "$folder/resize.py" <<'PYTHON'
import numpy as np
import onnxruntime
import tensorflow as tf
import tf2onnx

image = np.arange(12, dtype=np.uint8).reshape(1, 2, 2, 3)


def loads(function):
    proto, _ = tf2onnx.convert.from_function(function, function.input_signature, opset=18)
    try:
        session = onnxruntime.InferenceSession(proto.SerializeToString())
    except Exception as error:
        return "bound to different types" in str(error) and "refused"
    np.testing.assert_allclose(session.run(None, {"image": image})[0], function(image), atol=1e-4)
    return "equal"


signature = [tf.TensorSpec([1, None, None, 3], tf.uint8, name="image")]
resized = tf.function(lambda image: tf.image.resize(image, [4, 4]) - 1.0, input_signature=signature)
cast = tf.function(lambda image: tf.image.resize(tf.cast(image, tf.float32), [4, 4]) - 1.0, input_signature=signature)
print(f"of uint8 {loads(resized)}, cast before {loads(cast)}")
PYTHON
seen=$(TF_CPP_MIN_LOG_LEVEL=3 "$folder/venv/bin/python" "$folder/resize.py" 2> "$folder/log" || { cat "$folder/log" >&2; exit 1; })
echo "$seen"
[ "$seen" = "of uint8 refused, cast before equal" ] || { echo "this has changed"; exit 1; }
