import os
import re
import subprocess
import sys
from pathlib import Path

from setuptools import Distribution, find_packages, setup
from setuptools.command.bdist_wheel import bdist_wheel
from setuptools.command.build_py import build_py

ROOT = Path(__file__).parent


class BuildPy(build_py):
    """Puts the compiled operations into the package where TensorFlow and a compiler are at hand."""

    def run(self) -> None:
        super().run()
        if not self.editable_mode:
            compile_op(Path(self.build_lib) / "keras_maskrcnn" / "ops")


def compile_op(folder: Path) -> None:
    # Pip builds in an environment without TensorFlow, which would be 600 MB to fetch. Without that environment's
    # variables the same interpreter sees the packages where this one is going to be installed. Whatever
    # fails here, the operations are compiled when they are first used.
    environment = {k: v for k, v in os.environ.items() if k not in ("PYTHONPATH", "PYTHONNOUSERSITE")}
    command = [sys.executable, "-m", "keras_maskrcnn.ops.build", folder.resolve()]
    try:
        subprocess.run(command, env=environment, cwd=folder.parents[1], capture_output=True, timeout=900)
    except (OSError, subprocess.TimeoutExpired):
        print("The operations were not compiled; they will be when they are first used.")


class MaybeCompiled(Distribution):
    """A distribution of which only the build tells whether it holds machine code."""

    compiled = False

    def has_ext_modules(self) -> bool:
        return self.compiled


class BdistWheel(bdist_wheel):
    """Makes a wheel for this platform if it holds a compiled library, and for any platform if not."""

    def run(self) -> None:
        self.run_command("build")
        folder = Path(self.get_finalized_command("build").build_lib)
        self.distribution.compiled = any(folder.rglob("*.so"))
        self.root_is_pure = not self.distribution.compiled
        super().run()

    def get_tag(self) -> tuple[str, str, str]:
        # The library belongs to a version of TensorFlow, which its name tells, and to no version of Python.
        return "py3", "none", super().get_tag()[2]


def version() -> str:
    text = (ROOT / "keras_maskrcnn" / "__init__.py").read_text(encoding="utf-8")
    return re.findall(r'^__version__ = "(.+)"$', text, re.MULTILINE)[0]


def long_description() -> str:
    """Return the README without its images, and without links to files that lie beside it."""
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    text = re.sub(r"!\[[^\]]*\]\([^)]*\)\n*", "", text)
    return re.sub(r"\[([^\]]+)\]\((?!https?:|#)[^)]*\)", r"\1", text)


EXTRAS = {
    "cuda": ["tensorflow[and-cuda]"],
    "docs": ["mkdocs>=1.6", "mkdocstrings[python]>=1", "pygments", "ruff"],
    "onnx": ["tf2onnx>=1.17", "onnx>=1.17", "onnxruntime>=1.20"],
    "openvino": ["openvino>=2026.0"],
    "int8": ["openvino>=2026.0", "nncf>=3.4"],
    "litert": ["ai-edge-litert>=2.1"],
    "video": ["av>=18"],
    "track": ["av>=18", "supervision>=0.31", "trackers>=2.6"],
    "supervision": ["supervision>=0.25"],
    "hub": ["huggingface_hub>=0.30"],
    "serve": ["starlette>=0.40", "uvicorn>=0.30", "prometheus-client>=0.20"],
    "demo": ["gradio>=6.31"],
}
TESTED = ("onnx", "openvino", "litert", "serve", "demo", "track")
TEST = [
    *("pytest", "pytest-cov", "pytest-xdist", "ruff", "mypy", "types-PyYAML", "setuptools>=77"),
    "httpx",  # of starlette's client
]

setup(
    name="keras3-maskrcnn",
    version=version(),
    description="Mask R-CNN for Keras 3 and TensorFlow: instance segmentation that trains with model.fit",
    long_description=long_description(),
    long_description_content_type="text/markdown",
    license="Apache-2.0",
    keywords=["mask r-cnn", "instance segmentation", "object detection", "keypoints", "keras", "tensorflow"],
    classifiers=[
        "Development Status :: 4 - Beta",
        "Intended Audience :: Developers",
        "Intended Audience :: Science/Research",
        "Operating System :: OS Independent",
        "Programming Language :: C++",
        "Programming Language :: Python :: 3",
        "Programming Language :: Python :: 3.11",
        "Programming Language :: Python :: 3.12",
        "Programming Language :: Python :: 3.13",
        "Topic :: Scientific/Engineering :: Image Recognition",
    ],
    python_requires=">=3.11,<3.14",  # as TensorFlow 2.21
    packages=[*find_packages(include=["keras_maskrcnn*"]), "keras_maskrcnn.ops.csrc"],
    package_dir={"keras_maskrcnn.ops.csrc": "custom_ops"},
    package_data={
        "keras_maskrcnn.ops": ["*.so", "*.so.sha256"],
        "keras_maskrcnn.ops.csrc": ["*.cc", "*.cu", "*.h"],
        "keras_maskrcnn.presets": ["*.csv", "*.txt", "*.safetensors", "*.md"],
    },
    distclass=MaybeCompiled,
    cmdclass={"build_py": BuildPy, "bdist_wheel": BdistWheel},
    install_requires=[
        "tensorflow>=2.21,<2.23",
        "keras>=3.15,<3.17",  # see keras_maskrcnn/utils/keras_internals.py
        "numpy",
        "ml_dtypes",
        "safetensors>=0.4.5",
        "h5py",
        "pillow",
        "pyyaml",
        "pycocotools",
        "scikit-image",
        "scipy",
        "matplotlib",
    ],
    extras_require={**EXTRAS, "test": [*TEST, *(package for extra in TESTED for package in EXTRAS[extra])]},
    entry_points={"console_scripts": ["maskrcnn = keras_maskrcnn.cli.main:main"]},
)
