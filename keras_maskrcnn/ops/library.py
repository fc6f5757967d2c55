"""The compiled operations and their kernels for GPUs: chosen, found or built once, and loaded."""

import functools
import logging
import os
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import tensorflow as tf

from keras_maskrcnn.ops import build, build_cuda, cpu_convolution
from keras_maskrcnn.ops.cuda_library import Library
from keras_maskrcnn.ops.dialect import dialect
from keras_maskrcnn.utils.onednn import warn_if_off

SWITCH = "KERAS_MASKRCNN_OPS"
CHOICES = ("auto", "compiled", "plain")

_log = logging.getLogger(__name__)
_choosing = threading.Lock()


def library() -> Any:
    """Return TensorFlow's module of the compiled operations, None where plain ones are to run."""
    if dialect() != "native":
        return None
    choice = os.environ.get(SWITCH, "auto")
    if choice not in CHOICES:
        raise ValueError(f"{SWITCH} must be one of {', '.join(CHOICES)}, found {choice!r}")
    with _choosing:
        return _chosen(choice)


@functools.cache
def _chosen(choice: str) -> Any:
    if not tf.config.list_physical_devices("GPU"):
        warn_if_off()
    if choice == "plain":
        _log.info("RoIAlign: plain TensorFlow operations, as %s says", SWITCH)
        return None
    try:
        path, module = op_library()
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
    return module


def _missing_on_gpu() -> Exception | None:
    """Load the kernels for GPUs where TensorFlow sees one, and return why that failed."""
    if tf.config.list_physical_devices("GPU"):
        try:
            load_gpu_kernels()
        except (OSError, RuntimeError, ImportError) as error:
            return error
    return None


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
        library = _loaded(path, load)
        if library is not None:
            return path, library
    with _only_one_process(cached.with_suffix(".lock")):
        library = _loaded(cached, load)  # another process may have built it meanwhile
        if library is None:
            compile_to(cached)
            library = _loaded(cached, load)
    if library is None:
        raise RuntimeError(f"{cached} was compiled but does not load")
    return cached, library


def _loaded(path: Path, load: Callable[[Path], Any]) -> Any:
    """Load a library that is as it was compiled; None if there is none."""
    if not path.exists():
        return None
    if not build.is_whole(path):
        _log.warning("%s is damaged, or lacks its checksum, and is replaced", path)
        return None
    return load(path)


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
    """Load an op library and register its gradients; None if TensorFlow cannot load it."""
    try:
        library = tf.load_op_library(str(path))
    except tf.errors.OpError as error:
        _log.warning("%s does not load and is replaced: %s", path, error.message)
        return None
    if not hasattr(library, "maskrcnn_roi_align"):
        return None
    for name, gradient in (
        ("MaskrcnnRoiAlign", _roi_align_gradient),
        (cpu_convolution.WINOGRAD, cpu_convolution.gradient),
        (cpu_convolution.DIRECT, cpu_convolution.gradient),
        ("MaskrcnnGroupNorm", _group_norm_gradient),
        ("MaskrcnnProduct", _product_gradient),
    ):
        with suppress(KeyError):  # a module that is reloaded finds it in TensorFlow's register already
            tf.RegisterGradient(name)(functools.partial(gradient, library))
    return library


def _group_norm_gradient(
    library: Any, op: tf.Operation, above: tf.Tensor, *_: tf.Tensor
) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
    x, gamma, _ = op.inputs
    _, mean, inverse = op.outputs
    return library.maskrcnn_group_norm_grad(above, x, gamma, mean, inverse, groups=op.get_attr("groups"))


def _product_gradient(_: Any, op: tf.Operation, above: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor, None]:
    inputs, kernel, _ = op.inputs
    of_kernel = tf.matmul(inputs, above, transpose_a=True)
    with tf.control_dependencies([of_kernel]):  # after which the inputs are not needed any more
        above = tf.identity(above)
    return tf.matmul(above, kernel, transpose_b=True), of_kernel, None


def _load_kernels(path: Path) -> Any:
    try:
        tf.load_library(str(path))
    except (tf.errors.OpError, OSError) as error:
        _log.warning("%s does not load and is replaced: %s", path, error)
        return None
    return path


def _load_cuda(path: Path) -> Library | None:
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
