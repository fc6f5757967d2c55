"""RoIAlign and convolutions: compiled operations where there are any, TensorFlow's own elsewhere."""

import functools
import logging
import os
import threading
from collections.abc import Sequence
from typing import Any

import keras
import tensorflow as tf

from keras_maskrcnn import op_library, plain_roi_align, winograd

SWITCH = "KERAS_MASKRCNN_OPS"
CHOICES = ("auto", "compiled", "plain")

_log = logging.getLogger(__name__)
_choosing = threading.Lock()


@tf.autograph.experimental.do_not_convert
def roi_align(
    features: Sequence[tf.Tensor],
    boxes: tf.Tensor,
    image_indices: tf.Tensor,
    levels: tf.Tensor,
    *,
    strides: Sequence[float],
    output_size: int,
    sampling_ratio: int = 0,
    aligned: bool = True,
    mode: str = "average",
) -> tf.Tensor:
    """Pool each box into a square of bins from its own level of a feature pyramid.

    Every bin joins `sampling_ratio` x `sampling_ratio` samples (0: as many as the bin has feature pixels,
    rounded up), each interpolated between four pixels. Up to one pixel outside the map a sample has the
    border's value, further away zero. Boxes are clamped to 2**20 feature pixels; one with a NaN pools zeros.
    The gradient goes to the features only. The environment variable KERAS_MASKRCNN_OPS chooses what computes
    it: "compiled", "plain" (equal to 1e-4), or "auto", the compiled op where it exists or can be built. On a GPU
    boxes with an index out of range pool zeros, since finding them would make the program wait.

    Args:
        features: L tensors [B, H_l, W_l, C], float32, float16, bfloat16 or float64.
        boxes: [N, 4] float32, x1, y1, x2, y2 in pixels of the image.
        image_indices: [N] int32, 0..B-1, the image each box lies on.
        levels: [N] int32, 0..L-1, the level each box is pooled from.
        strides: L values, image pixels per feature pixel.
        output_size: P, bins on a side.
        sampling_ratio: samples per bin and axis; 0 is adaptive.
        aligned: whether pixel centres lie at half coordinates (Detectron2's `ROIAlignV2`); if not, as in the
            first RoIAlign and torchvision's default, boxes are also at least one feature pixel wide and high.
        mode: "average" or "max" of the samples.

    Returns:
        [N, P, P, C] of the features' dtype.

    Raises:
        ValueError: an argument is outside its choices or range, or KERAS_MASKRCNN_OPS is.
        RuntimeError: KERAS_MASKRCNN_OPS is "compiled" and the op cannot be built.
        tf.errors.InvalidArgumentError: an image index or level is out of range.
    """
    _check(features, strides, output_size, sampling_ratio, mode)
    boxes = tf.stop_gradient(tf.cast(boxes, tf.float32))
    image_indices, levels = tf.cast(image_indices, tf.int32), tf.cast(levels, tf.int32)
    settings: dict[str, Any] = {"strides": [float(stride) for stride in strides], "output_size": output_size}
    settings |= {"sampling_ratio": sampling_ratio, "aligned": aligned, "mode": mode}
    library = _library()
    if library is None:
        return plain_roi_align.roi_align(list(features), boxes, image_indices, levels, **settings)
    return library.maskrcnn_roi_align(
        features=list(features), boxes=boxes, image_indices=image_indices, levels=levels, **settings
    )


@tf.autograph.experimental.do_not_convert
def conv3x3(images: tf.Tensor, kernel: tf.Tensor) -> tf.Tensor:
    """Convolve with stride 1 and one pixel of zeros around the images, as `tf.nn.conv2d(..., padding="SAME")` does.

    On a CPU float32 is convolved by Winograd's algorithm where the compiled operations are (see `winograd.py`), which
    takes a third to a half of the time; a GPU's own library chooses for itself. KERAS_MASKRCNN_OPS=plain turns it off.

    Args:
        images: [B, H, W, I].
        kernel: [3, 3, I, O] of the same dtype.

    Returns:
        [B, H, W, O].
    """
    fits = images.dtype == tf.float32 and winograd.fits(*kernel.shape[2:])
    library = None if not fits or tf.config.list_physical_devices("GPU") else _library()
    if library is None:
        return tf.nn.conv2d(images, kernel, 1, "SAME")
    return winograd.conv3x3(library, images, kernel)


@tf.autograph.experimental.do_not_convert
def grouped_conv(
    images: tf.Tensor, kernel: tf.Tensor, strides: int, padding: str, dilation: int = 1
) -> tf.Tensor:
    """Convolve groups of channels apart from each other, as ResNeXt does (Xie et al. 2017).

    Keras compiles such a convolution with XLA, whose gradient on a CPU takes hundreds of times as long as TensorFlow's
    own. That has one on GPUs, and on CPUs for float32 and bfloat16 where oneDNN is on; elsewhere, and where the taps
    are apart, Keras' serves.

    Args:
        images: [B, H, W, I].
        kernel: [K, K, I / groups, O] of the same dtype.
        strides: step of the convolution.
        padding: "same" or "valid".
        dilation: step between the kernel's taps.

    Returns:
        [B, H', W', O].
    """
    if dilation == 1 and _has_grouped_gradient(images.dtype):
        return tf.nn.conv2d(images, kernel, strides, padding.upper())
    return keras.ops.conv(images, kernel, strides, padding, dilation_rate=dilation)


@functools.cache
def _has_grouped_gradient(dtype: tf.DType) -> bool:
    """Tell by trying whether TensorFlow's convolution of groups has a gradient on this machine."""
    with tf.init_scope():
        images, kernel = tf.ones([1, 2, 2, 4], dtype), tf.ones([1, 1, 2, 4], dtype)
        try:
            tf.raw_ops.Conv2DBackpropInput(
                input_sizes=[1, 2, 2, 4], filter=kernel, out_backprop=images, strides=[1] * 4, padding="SAME"
            )
            tf.raw_ops.Conv2DBackpropFilter(
                input=images, filter_sizes=[1, 1, 2, 4], out_backprop=images, strides=[1] * 4, padding="SAME"
            )
        except tf.errors.OpError:
            return False
    return True


def _check(
    features: Sequence[tf.Tensor], strides: Sequence[float], output_size: int, sampling_ratio: int, mode: str
) -> None:
    if len(features) == 0 or len(strides) != len(features):
        raise ValueError(
            f"strides must have one value per feature level, found {len(strides)} for {len(features)}"
        )
    if not all(0 < stride < float("inf") for stride in strides):
        raise ValueError(f"strides must be positive, found {list(strides)}")
    if output_size < 1:
        raise ValueError(f"output_size must be at least 1, found {output_size}")
    if sampling_ratio < 0:
        raise ValueError(f"sampling_ratio must be 0 (adaptive) or positive, found {sampling_ratio}")
    if mode not in ("average", "max"):
        raise ValueError(f'mode must be "average" or "max", found {mode!r}')


def _library() -> Any:
    """Return TensorFlow's module of the compiled operations, None where plain ones are to run."""
    choice = os.environ.get(SWITCH, "auto")
    if choice not in CHOICES:
        raise ValueError(f"{SWITCH} must be one of {', '.join(CHOICES)}, found {choice!r}")
    with _choosing:
        return _chosen(choice)


@functools.cache
def _chosen(choice: str) -> Any:
    if choice == "plain":
        _log.info("RoIAlign: plain TensorFlow operations, as %s says", SWITCH)
        return None
    try:
        path, library = op_library.op_library()
    except (OSError, RuntimeError, ImportError) as error:
        if choice == "compiled":
            raise RuntimeError(
                f"{SWITCH} is compiled, but the RoIAlign op cannot be built: {error}"
            ) from error
        _log.warning(
            "RoIAlign and convolutions run in plain TensorFlow operations, which is slower: %s. For the compiled "
            "ones, install a C++ compiler (such as g++) and start again; to keep this and lose the warning, set "
            "%s=plain.",
            error,
            SWITCH,
        )
        return None
    missing = _missing_on_gpu()
    if missing is not None and choice == "auto":
        _log.warning(
            "RoIAlign runs on the GPU in plain TensorFlow operations, which is slower: %s. Its own kernels need CUDA's "
            "compiler, nvcc, once; to keep this and lose the warning, set %s=plain.",
            missing,
            SWITCH,
        )
        return None
    if missing is not None:
        _log.warning("RoIAlign runs on the CPU; its kernels for GPUs are missing: %s", missing)
    _log.info("RoIAlign: compiled op %s", path)
    return library


def _missing_on_gpu() -> Exception | None:
    """Load the kernels for GPUs where TensorFlow sees one, and return why that failed."""
    if tf.config.list_physical_devices("GPU"):
        try:
            op_library.load_gpu_kernels()
        except (OSError, RuntimeError, ImportError) as error:
            return error
    return None
