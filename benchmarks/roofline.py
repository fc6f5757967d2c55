"""What bounds each part of an inference: its operations and bytes, its share of the time, and of its own limit.

    python benchmarks/roofline.py [--size 800x1088] [--rounds 5] [--dtype float32] [--detections 100]

ResNet-50-FPN with random weights and one image, each part a function of its own on what the part before it made.
GFLOP are two for each multiplication of the direct sums; "least GFLOP" counts the 3x3 convolutions of stride 1 at a
quarter, as Winograd's F(4x4) needs them where it is used. Bytes are those of inputs, outputs and weights of every
operation that is a convolution, product or pooling, each once. The limit of a part is the longer of least GFLOP at
the machine's own matrix product and bytes at its copying rate; a share of 100% would be a part at its limit.
"""

import argparse
import dataclasses
import functools
import os
import statistics
from typing import Any

os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "1")  # faster on processors without AVX-512

import numpy as np
import peers
import tensorflow as tf

from keras_maskrcnn.detections.from_outputs import make_detections
from keras_maskrcnn.models.detector import dtype_policy, image_batch
from keras_maskrcnn.network.box_branch import box_branch
from keras_maskrcnn.network.dense import anchor_layer, image_inputs, proposal_layer
from keras_maskrcnn.network.inference_graph import postprocess_layer
from keras_maskrcnn.layers.detections import DetectedRoIs
from keras_maskrcnn.layers.inputs import Normalize, Windows
from keras_maskrcnn.network.pooling import pool_rois, roi_align_layer
