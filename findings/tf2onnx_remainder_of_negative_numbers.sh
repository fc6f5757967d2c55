#!/usr/bin/env bash
# tf2onnx 1.17.0: the remainder of a negative integer comes out with C's sign in ONNX, where TensorFlow has Python's.
#
# TensorFlow's FloorMod (x % 32 of an int32 tensor) is written as x - (x / 32) * 32, and ONNX's Div of integers truncates
# towards zero. -size % divisor, the usual way to the padding that fills a multiple, so becomes negative, and a Pad by it
# cuts the image. Nothing is said while converting. One would expect ONNX's Mod, which has Python's sign.
# Seen: for -[26, 32, 40] % 32 TensorFlow has [6, 0, 24], ONNX Runtime 1.32.0 of the converted graph [-26, 0, -8].
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check \
    tf2onnx==1.17.0 tensorflow==2.21.0 onnx==1.23.2 onnxruntime==1.32.0
cat > "$folder/remainder.py" <<'PYTHON'
import numpy as np
import onnxruntime
import tensorflow as tf
import tf2onnx

padding = tf.function(lambda size: -size % 32, input_signature=[tf.TensorSpec([None], tf.int32, name="size")])
sizes = np.array([26, 32, 40], np.int32)
proto, _ = tf2onnx.convert.from_function(padding, padding.input_signature, opset=18)
converted = onnxruntime.InferenceSession(proto.SerializeToString()).run(None, {"size": sizes})[0]
print(f"TensorFlow {padding(sizes).numpy().tolist()}, ONNX {converted.tolist()}")
PYTHON
seen=$(TF_CPP_MIN_LOG_LEVEL=3 "$folder/venv/bin/python" "$folder/remainder.py" 2> "$folder/log" || { cat "$folder/log" >&2; exit 1; })
echo "$seen"
[ "$seen" = "TensorFlow [6, 0, 24], ONNX [-26, 0, -8]" ] || { echo "this has changed"; exit 1; }
