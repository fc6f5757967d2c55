"""Compiles the RoIAlign op with the machine's own C++ compiler; from a shell, `python build.py FOLDER`."""

import hashlib
import logging
import os
import platform
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

SOURCE = Path(__file__).with_name("roi_align.cc")
HEADERS = tuple(Path(__file__).with_name(name) for name in ("channel_loops.h", "roi_geometry.h"))

_log = logging.getLogger(__name__)


def library_name() -> str:
    """Return the file name of the op's library for the TensorFlow, the machine and the sources at hand.

    A library is only good for the TensorFlow version and C++ ABI it was compiled for: the name tells them.
    """
    import tensorflow as tf

    flags = [flag for flag in tf.sysconfig.get_compile_flags() if not flag.startswith("-I")]
    text = "\0".join([*flags, *(path.read_text() for path in (SOURCE, *HEADERS))])
    key = hashlib.sha256(text.encode()).hexdigest()[:12]
    return f"roi_align-tf{tf.__version__}-{sys.platform}-{platform.machine()}-{key}.so"


def find_compiler() -> str | None:
    """Return the path of a C++ compiler, `$CXX` if it is set, else c++, g++ or clang++; None without one."""
    names = [os.environ["CXX"]] if os.environ.get("CXX") else ["c++", "g++", "clang++"]
    return next((path for path in map(shutil.which, names) if path), None)


def compile_library(path: Path) -> None:
    """Compile the op to `path`, which appears whole or not at all.

    Raises:
        RuntimeError: there is no compiler, or it failed; the message holds its first error.
        OSError: the folder cannot be written.
    """
    import tensorflow as tf

    compiler = find_compiler()
    if compiler is None:
        raise RuntimeError("no C++ compiler was found (install g++ or clang++, or set CXX)")
    _log.warning("Compiling the RoIAlign op, once, to %s: about 15 seconds", path)
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, unfinished = tempfile.mkstemp(suffix=".so", dir=path.parent)
    os.close(handle)
    command = [compiler, *tf.sysconfig.get_compile_flags(), "-O3", "-DNDEBUG", "-fPIC", "-shared", "-w"]
    command += [str(SOURCE), "-o", unfinished, *tf.sysconfig.get_link_flags()]
    if sys.platform == "darwin":
        command += ["-undefined", "dynamic_lookup"]
    try:
        result = subprocess.run(command, capture_output=True, text=True, timeout=600)
        if result.returncode != 0:
            errors = [line for line in result.stderr.splitlines() if "error" in line]
            raise RuntimeError(f"{compiler} failed: {errors[0] if errors else result.stderr.strip()[:300]}")
        os.chmod(unfinished, 0o755)
        os.replace(unfinished, path)
    except subprocess.TimeoutExpired as error:
        raise RuntimeError(f"{compiler} did not finish in 10 minutes") from error
    finally:
        Path(unfinished).unlink(missing_ok=True)


if __name__ == "__main__":
    target = Path(sys.argv[1]) / library_name()
    compile_library(target)
    print(target)
