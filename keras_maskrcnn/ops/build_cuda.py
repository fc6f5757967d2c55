"""Compiles RoIAlign for GPUs; from a shell, `python -m keras_maskrcnn.ops.build_cuda FOLDER` (nvcc, but no GPU).

Two libraries: the kernels, compiled by nvcc, know nothing of TensorFlow; what gives them to TensorFlow, compiled by the
C++ compiler, knows nothing of CUDA. nvcc often cannot compile TensorFlow's headers.
"""

import logging
import os
import shutil
import sys
from collections.abc import Sequence
from pathlib import Path

from keras_maskrcnn.ops import build

CUDA_SOURCE = build.FOLDER / "roi_align_cuda.cu"
CUDA_HEADERS = (build.FOLDER / "roi_align_cuda.h", build.FOLDER / "roi_geometry.h")
GPU_SOURCE = build.FOLDER / "roi_align_gpu.cc"
GPU_HEADERS = (*CUDA_HEADERS, build.FOLDER / "roi_align_inputs.h")

ARCHITECTURES = ("75", "80", "86", "89", "90")
"""Generations of GPUs, from Turing to Hopper; later ones translate the last one's portable code when it is loaded."""

_log = logging.getLogger(__name__)


def find_nvcc() -> str | None:
    """Return the path of CUDA's compiler, of `$CUDA_HOME` if it is set; None without one."""
    if os.environ.get("CUDA_HOME"):
        return shutil.which("nvcc", path=str(Path(os.environ["CUDA_HOME"]) / "bin"))
    return shutil.which("nvcc") or shutil.which("nvcc", path="/usr/local/cuda/bin")


def cuda_library_name() -> str:
    """Return the file name of the kernels' library for the sources at hand."""
    key = build.hashed(*(path.read_text() for path in (CUDA_SOURCE, *CUDA_HEADERS)), *ARCHITECTURES)
    return f"roi_align_cuda-{key}.so"


def gpu_library_name(cuda_path: Path) -> str:
    """Return the file name of what gives the kernels in `cuda_path` to the TensorFlow at hand."""
    return build.tensorflow_library_name("roi_align_gpu", (GPU_SOURCE, *GPU_HEADERS), str(cuda_path))


def compile_cuda_library(path: Path, architectures: Sequence[str] = ARCHITECTURES) -> None:
    """Compile the kernels to `path`, which appears whole or not at all.

    CUDA's runtime becomes part of the library, and shows none of its names: TensorFlow's own library has empty
    functions of the same names, which would be taken for it.

    Raises:
        RuntimeError: there is no nvcc, or it failed; the message holds its first error.
        OSError: the folder cannot be written.
    """
    nvcc = find_nvcc()
    if nvcc is None:
        raise RuntimeError("no nvcc was found (install CUDA's compiler, or set CUDA_HOME)")
    _log.warning("Compiling RoIAlign for GPUs, once, to %s: about a minute", path)
    command = [
        nvcc,
        "-std=c++17",
        "-O3",
        "--expt-relaxed-constexpr",
        "-cudart",
        "static",
        "-shared",
        "--threads",
        "0",
    ]
    command += ["-Xcompiler", "-fPIC,-fvisibility=hidden", "-Xlinker", "--exclude-libs,ALL"]
    for architecture in architectures:
        command += ["-gencode", f"arch=compute_{architecture},code=sm_{architecture}"]
    command += ["-gencode", f"arch=compute_{architectures[-1]},code=compute_{architectures[-1]}"]
    build.run_compiler([*command, str(CUDA_SOURCE)], path)


def compile_gpu_kernels(path: Path, cuda_path: Path) -> None:
    """Compile what gives the kernels in `cuda_path` to TensorFlow.

    Raises:
        RuntimeError: there is no C++ compiler, or it failed.
        OSError: the folder cannot be written.
    """
    folder = str(cuda_path.parent)
    own = ["-L", folder, f"-l:{cuda_path.name}", "-Wl,-rpath,$ORIGIN", f"-Wl,-rpath,{folder}"]
    build.compile_for_tensorflow(path, [GPU_SOURCE], *own)


if __name__ == "__main__":
    cuda_target = Path(sys.argv[1]).resolve() / cuda_library_name()
    compile_cuda_library(cuda_target)
    gpu_target = cuda_target.parent / gpu_library_name(cuda_target)
    compile_gpu_kernels(gpu_target, cuda_target)
    print(cuda_target, gpu_target, sep="\n")
