"""Compiles the operations with the machine's own C++ compiler; `python -m keras_maskrcnn.ops.build FOLDER`."""

import hashlib
import logging
import os
import platform
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from keras_maskrcnn.utils.files import file_hash, write_text, written_whole

_INSTALLED, _CHECKOUT = Path(__file__).with_name("csrc"), Path(__file__).parents[2] / "custom_ops"
FOLDER = _INSTALLED if _INSTALLED.exists() else _CHECKOUT
"""The C++ sources: `custom_ops` of a checkout, which an installation puts beside this file."""

SOURCES = tuple(
    FOLDER / name
    for name in (
        "roi_align.cc",
        "roi_align_grad.cc",
        "winograd.cc",
        "direct.cc",
        "group_norm.cc",
        "product.cc",
    )
)
HEADERS = tuple(
    FOLDER / name
    for name in (
        "channel_loops.h",
        "convolution.h",
        "matrix_product.h",
        "processors.h",
        "roi_align_bins.h",
        "roi_align_inputs.h",
        "roi_geometry.h",
        "spread_maximum.h",
        "winograd_kernels.h",
        "winograd_tiles.h",
        "winograd_transforms.h",
    )
)

_log = logging.getLogger(__name__)


def library_name() -> str:
    """Return the file name of the operations' library for the TensorFlow, the machine and the sources at hand.

    A library is only good for the TensorFlow version and C++ ABI it was compiled for: the name tells them.
    """
    return tensorflow_library_name("maskrcnn_ops", (*SOURCES, *HEADERS))


def tensorflow_library_name(name: str, sources: Sequence[Path], *others: str) -> str:
    """Return the file name of a library of these sources for the TensorFlow at hand."""
    import tensorflow as tf

    flags = [flag for flag in tf.sysconfig.get_compile_flags() if not flag.startswith("-I")]
    key = hashed(*flags, *(path.read_text() for path in sources), *others)
    return f"{name}-tf{tf.__version__}-{sys.platform}-{platform.machine()}-{key}.so"


def hashed(*texts: str) -> str:
    """Return a name for these texts."""
    return hashlib.sha256("\0".join(texts).encode()).hexdigest()[:12]


def find_compiler() -> str | None:
    """Return the path of a C++ compiler, `$CXX` if it is set, else c++, g++ or clang++; None without one."""
    names = [os.environ["CXX"]] if os.environ.get("CXX") else ["c++", "g++", "clang++"]
    return next((path for path in map(shutil.which, names) if path), None)


def compile_library(path: Path) -> None:
    """Compile the operations to `path`, which appears whole or not at all.

    Raises:
        RuntimeError: there is no compiler, or it failed; the message holds its first error.
        OSError: the folder cannot be written.
    """
    compile_for_tensorflow(path, SOURCES)


def compile_for_tensorflow(path: Path, sources: Sequence[Path], *link_first: str) -> None:
    """Compile a library for the TensorFlow at hand, with these arguments before TensorFlow's own for the linker.

    Raises:
        RuntimeError: as `compile_library`, and so OSError.
    """
    import tensorflow as tf

    compiler = find_compiler()
    if compiler is None:
        raise RuntimeError("no C++ compiler was found (install g++ or clang++, or set CXX)")
    _log.warning("Compiling %s, once, to %s: about 30 seconds", " and ".join(s.name for s in sources), path)
    command = [compiler, *tf.sysconfig.get_compile_flags(), "-O3", "-DNDEBUG", "-fPIC", "-shared", "-w"]
    command += [*map(str, sources), *link_first, *tf.sysconfig.get_link_flags()]
    if sys.platform == "darwin":
        command += ["-undefined", "dynamic_lookup"]
    run_compiler(command, path)


def run_compiler(command: Sequence[str], path: Path) -> None:
    """Run a compiler whose output, `path`, appears whole or not at all, with its checksum in a file beside it.

    Raises:
        RuntimeError: it failed; the message holds its first error.
        OSError: the folder cannot be written.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with written_whole(path) as part:
        try:
            result = subprocess.run([*command, "-o", part], capture_output=True, text=True, timeout=600)
        except subprocess.TimeoutExpired as error:
            raise RuntimeError(f"{command[0]} did not finish in 10 minutes") from error
        if result.returncode != 0:
            errors = [line for line in result.stderr.splitlines() if "error" in line]
            raise RuntimeError(f"{command[0]} failed: {errors[0] if errors else result.stderr.strip()[:300]}")
        part.chmod(0o755)
        write_text(checksum_file(path), _checksum(part))


def checksum_file(path: Path) -> Path:
    """Return where the checksum of a library is."""
    return path.with_name(f"{path.name}.sha256")


def is_whole(path: Path) -> bool:
    """Tell whether a library is as it was compiled: loading one that was cut off may end the process."""
    try:
        return checksum_file(path).read_text() == _checksum(path)
    except (OSError, UnicodeDecodeError):
        return False


def _checksum(path: Path) -> str:
    return f"{path.stat().st_size} {file_hash(path, 'sha256')}\n"


if __name__ == "__main__":
    target = Path(sys.argv[1]) / library_name()
    compile_library(target)
    print(target)
