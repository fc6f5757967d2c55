"""Finds the compiled operations and their kernels for GPUs, or builds them once, and loads them."""

import functools
import logging
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import tensorflow as tf

from keras_maskrcnn import winograd
from keras_maskrcnn.custom_ops import build, build_cuda
from keras_maskrcnn.custom_ops.cuda_library import Library

_log = logging.getLogger(__name__)


@functools.cache
def op_library() -> tuple[Path, Any]:
    """Return the op's library and the module that TensorFlow makes of it.

    Raises:
        RuntimeError, OSError, ImportError: it could not be built.
    """
    return _find_or_build(build.library_name(), build.compile_library, _load)


@functools.cache
def load_gpu_kernels() -> Path:
    """Let the op run on GPUs, and return the library that does it.

    Raises:
        RuntimeError, OSError, ImportError: it could not be built, or no GPU can be used; the driver may be too old.
    """
    cuda_path, cuda = _find_or_build(
        build_cuda.cuda_library_name(), build_cuda.compile_cuda_library, _load_cuda
    )
    reason = cuda.status()
    if reason is not None:
        raise RuntimeError(f"{cuda_path} cannot use this machine's GPU: {reason}")

    def compile_kernels(path: Path) -> None:
        build_cuda.compile_gpu_kernels(path, cuda_path)

    return _find_or_build(build_cuda.gpu_library_name(cuda_path), compile_kernels, _load_kernels)[0]


def _find_or_build(
    name: str, compile_to: Callable[[Path], None], load: Callable[[Path], Any]
) -> tuple[Path, Any]:
    """Load what was built with the package, or into the cache before, or is built now, by one process at a time."""
    shipped = Path(build.__file__).with_name(name)
    cached = _cache_folder() / name
    for path in (shipped, cached):
        library = load(path)
        if library is not None:
            return path, library
    with _only_one_process(cached.with_suffix(".lock")):
        library = load(cached)  # another process may have built it meanwhile
        if library is None:
            compile_to(cached)
            library = load(cached)
    if library is None:
        raise RuntimeError(f"{cached} was compiled but does not load")
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
    """Load an op library and register its gradients; None if it is absent or TensorFlow cannot load it."""
    if not path.exists():
        return None
    try:
        library = tf.load_op_library(str(path))
    except tf.errors.OpError as error:
        _log.warning("%s does not load and is replaced: %s", path, error.message)
        return None
    if not hasattr(library, "maskrcnn_roi_align"):
        return None
    for name, gradient in (
        ("MaskrcnnRoiAlign", _roi_align_gradient),
        ("MaskrcnnWinogradConvolution", winograd.gradient),
    ):
        with suppress(KeyError):  # a module that is reloaded finds it in TensorFlow's register already
            tf.RegisterGradient(name)(functools.partial(gradient, library))
    return library


def _load_kernels(path: Path) -> Any:
    if not path.exists():
        return None
    try:
        tf.load_library(str(path))
    except (tf.errors.OpError, OSError) as error:
        _log.warning("%s does not load and is replaced: %s", path, error)
        return None
    return path


def _load_cuda(path: Path) -> Library | None:
    if not path.exists():
        return None
    try:
        return Library(path)
    except OSError as error:
        _log.warning("%s does not load and is replaced: %s", path, error)
        return None


def _roi_align_gradient(library: Any, op: tf.Operation, above: tf.Tensor) -> list[tf.Tensor | None]:
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
