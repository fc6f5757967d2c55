"""RoIAlign over a feature pyramid: the compiled op where there is one, its plain twin elsewhere."""

import functools
import logging
import os
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import tensorflow as tf

from keras_maskrcnn import plain_roi_align
from keras_maskrcnn.custom_ops import build

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
    it: "compiled", "plain" (equal to 1e-4), or "auto", the compiled op where it exists or can be built.

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
    settings = {"strides": [float(stride) for stride in strides], "output_size": output_size}
    settings |= {"sampling_ratio": sampling_ratio, "aligned": aligned, "mode": mode}
    return _implementation()(list(features), boxes, image_indices, levels, **settings)


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


def _implementation() -> Callable[..., tf.Tensor]:
    choice = os.environ.get(SWITCH, "auto")
    if choice not in CHOICES:
        raise ValueError(f"{SWITCH} must be one of {', '.join(CHOICES)}, found {choice!r}")
    with _choosing:
        return _chosen(choice)


@functools.cache
def _chosen(choice: str) -> Callable[..., tf.Tensor]:
    if choice == "plain":
        _log.info("RoIAlign: plain TensorFlow operations, as %s says", SWITCH)
        return plain_roi_align.roi_align
    try:
        path, library = _library()
    except (OSError, RuntimeError, ImportError) as error:
        if choice == "compiled":
            raise RuntimeError(
                f"{SWITCH} is compiled, but the RoIAlign op cannot be built: {error}"
            ) from error
        _log.warning(
            "RoIAlign runs in plain TensorFlow operations, which is slower: %s. For the compiled op, install "
            "a C++ compiler (such as g++) and start again; to keep this and lose the warning, set %s=plain.",
            error,
            SWITCH,
        )
        return plain_roi_align.roi_align
    _log.info("RoIAlign: compiled op %s", path)
    return functools.partial(_compiled_roi_align, library)


def _compiled_roi_align(
    library: Any,
    features: list,
    boxes: tf.Tensor,
    image_indices: tf.Tensor,
    levels: tf.Tensor,
    **settings: Any,
) -> tf.Tensor:
    return library.maskrcnn_roi_align(
        features=features, boxes=boxes, image_indices=image_indices, levels=levels, **settings
    )


@functools.cache
def _library() -> tuple[Path, Any]:
    """Find the op's library, or build it, and load it.

    Raises:
        RuntimeError, OSError, ImportError: it could not be built.
    """
    name = build.library_name()
    shipped = Path(build.__file__).with_name(name)
    cached = _cache_folder() / name
    for path in (shipped, cached):
        library = _load(path)
        if library is not None:
            return path, library
    with _only_one_process(cached.with_suffix(".lock")):
        library = _load(cached)  # another process may have built it meanwhile
        if library is None:
            build.compile_library(cached)
            library = _load(cached)
    if library is None:
        raise RuntimeError(f"{cached} was compiled but TensorFlow does not load it")
    return cached, library


def _cache_folder() -> Path:
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base) / "keras_maskrcnn"


@contextmanager
def _only_one_process(path: Path) -> Iterator[None]:
    import fcntl  # not on every platform

    path.parent.mkdir(parents=True, exist_ok=True)
    with open(path, "w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _load(path: Path) -> Any:
    """Load an op library and register its gradient; None if it is absent or TensorFlow cannot load it."""
    if not path.exists():
        return None
    try:
        library = tf.load_op_library(str(path))
    except tf.errors.OpError as error:
        _log.warning("%s does not load and is replaced: %s", path, error.message)
        return None
    if not hasattr(library, "maskrcnn_roi_align"):
        return None
    # A module that is reloaded finds the gradient in TensorFlow's register already.
    with suppress(KeyError):
        tf.RegisterGradient("MaskrcnnRoiAlign")(functools.partial(_gradient, library))
    return library


def _gradient(library: Any, op: tf.Operation, above: tf.Tensor) -> list[tf.Tensor | None]:
    num_levels = op.get_attr("num_levels")
    settings = {key: op.get_attr(key) for key in ("strides", "output_size", "sampling_ratio", "aligned")}
    gradients = library.maskrcnn_roi_align_grad(
        gradient=above,
        features=op.inputs[:num_levels],
        boxes=op.inputs[num_levels],
        image_indices=op.inputs[num_levels + 1],
        levels=op.inputs[num_levels + 2],
        mode=op.get_attr("mode").decode(),
        **settings,
    )
    return [*gradients, None, None, None]
