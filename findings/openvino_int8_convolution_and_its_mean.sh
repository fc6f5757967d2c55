#!/usr/bin/env bash
# OpenVINO 2026.4.1: behind a quantised convolution, what joins its output with the output's own mean is computed wrong.
#
# y + mean(y), y - mean(y) and y * mean(y), as in group normalisation written out and in squeeze-and-excitation, where y
# is a convolution of 8-bit whole numbers: the mean is scaled twice, or not at all. Nothing is said. The same model with
# its quantisation computed in floats (LP_TRANSFORMS_MODE NO) is right, and so is the operation GroupNormalization. One
# would expect the same numbers but for rounding.
# Seen: differences of up to 49.5 where values are up to 55.5 (y - mean), against 0.18 for y alone; 0.01 for
# GroupNormalization, whose values are up to 3.5.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check openvino==2026.4.1 numpy==2.4.6
cat > "$folder/mean.py" <<'PYTHON'
import numpy as np
import openvino as ov
from openvino import opset13 as op

CHANNELS = 32


def model(kind):
    x = op.parameter([1, 16, -1, -1], np.float32)
    low, high = np.float32(0), np.float32(3)
    quantised = op.fake_quantize(x, low, high, low, high, 256)
    kernel = np.random.default_rng(0).standard_normal((CHANNELS, 16, 3, 3)).astype(np.float32)
    # Twice the range that is needed, so that no processor's sums of products overflow.
    limit = 2 * np.abs(kernel).max((1, 2, 3), keepdims=True)
    weights = op.fake_quantize(kernel, -limit, limit, -limit, limit, 255)
    y = op.convolution(quantised, weights, [1, 1], [1, 1], [1, 1], [1, 1])
    if kind == "alone":
        return ov.Model([y], [x])
    if kind == "GroupNormalization":
        ones, zeros = np.ones(CHANNELS, np.float32), np.zeros(CHANNELS, np.float32)
        return ov.Model([op.group_normalization(y, ones, zeros, 8, 1e-5)], [x])
    mean = op.reduce_mean(y, np.array([2, 3]), True)
    joined = {"minus": op.subtract, "plus": op.add, "times": op.multiply}[kind](y, mean)
    return ov.Model([joined], [x])


image = np.random.default_rng(1).uniform(0, 3, (1, 16, 20, 24)).astype(np.float32)
seen = {}
for kind in ("alone", "minus", "plus", "times", "GroupNormalization"):
    settings = {"INFERENCE_PRECISION_HINT": "f32"}
    whole = ov.Core().compile_model(model(kind), "CPU", settings)(image)[0]
    floats = ov.Core().compile_model(model(kind), "CPU", {**settings, "LP_TRANSFORMS_MODE": "NO"})(image)[0]
    share = np.abs(whole - floats).max() / np.abs(floats).max()
    print(f"{kind}: differs by {np.abs(whole - floats).max():.3g} of {np.abs(floats).max():.3g}")
    seen[kind] = "wrong" if share > 0.2 else "right"
print("outcome:", ", ".join(f"{kind} {word}" for kind, word in seen.items()))
PYTHON
seen=$("$folder/venv/bin/python" "$folder/mean.py")
echo "$seen"
expected="outcome: alone right, minus wrong, plus wrong, times wrong, GroupNormalization right"
[ "$(echo "$seen" | tail -n 1)" = "$expected" ] || { echo "this has changed"; exit 1; }
