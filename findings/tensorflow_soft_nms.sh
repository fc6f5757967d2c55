#!/usr/bin/env bash
# TensorFlow 2.21.0: the sigma of tf.image.non_max_suppression_with_scores is half of that of the paper which its
# documentation names for soft NMS (Bodla et al. 2017, https://arxiv.org/abs/1704.04503).
#
# Two boxes with an IoU of 0.6 and scores of 0.9 and 0.8, sigma 0.5. The paper's equation 3 lowers the second score by
# exp(-IoU^2 / sigma), to 0.389; one would expect that.
# Seen: 0.558, by exp(-IoU^2 / (2 * sigma)), so that the paper's 0.5 must be given as 0.25.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check tensorflow==2.21.0
CUDA_VISIBLE_DEVICES= TF_CPP_MIN_LOG_LEVEL=3 "$folder/venv/bin/python" - <<'PYTHON'
import math

import tensorflow as tf

IOU, SIGMA = 0.6, 0.5
boxes = tf.constant([[0.0, 0.0, 1.0, 1.0], [0.0, 0.25, 1.0, 1.25]])  # 0.75 / 1.25 = 0.6
scores = tf.constant([0.9, 0.8])


def second_score(sigma):
    _, kept = tf.image.non_max_suppression_with_scores(boxes, scores, 2, iou_threshold=1.0, soft_nms_sigma=sigma)
    return float(kept[1])


paper = 0.8 * math.exp(-(IOU**2) / SIGMA)
found, halved = second_score(SIGMA), second_score(SIGMA / 2)
print(f"second score: {paper:.3f} by the paper, {found:.3f} here, {halved:.3f} with half the sigma")
assert math.isclose(found, 0.8 * math.exp(-(IOU**2) / (2 * SIGMA)), rel_tol=1e-5), "this has changed"
assert math.isclose(halved, paper, rel_tol=1e-5), "this has changed"
PYTHON
