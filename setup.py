import os
import subprocess
import sys
from pathlib import Path

from setuptools import find_packages, setup
from setuptools.command.build_py import build_py


class BuildPy(build_py):
    """Puts the compiled RoIAlign op into the package where TensorFlow and a compiler are at hand."""

    def run(self) -> None:
        super().run()
        if not self.editable_mode:
            compile_op(Path(self.build_lib) / "keras_maskrcnn" / "ops")


def compile_op(folder: Path) -> None:
    # Pip builds in an environment without TensorFlow, which would be 600 MB to fetch. Without that environment's
    # variables the same interpreter sees the packages where this one is going to be installed. Whatever
    # fails here, the op is compiled when it is first used.
    environment = {k: v for k, v in os.environ.items() if k not in ("PYTHONPATH", "PYTHONNOUSERSITE")}
    command = [sys.executable, folder / "build.py", folder]
    try:
        subprocess.run(command, env=environment, capture_output=True, timeout=900)
    except (OSError, subprocess.TimeoutExpired):
        print("The RoIAlign op was not compiled; it will be when it is first used.")


setup(
    name="keras3-maskrcnn",
    version="0.1.0",
    description="Mask R-CNN for Keras 3 and TensorFlow: instance segmentation that trains with model.fit",
    long_description=Path("README.md").read_text(encoding="utf-8"),
    long_description_content_type="text/markdown",
    license="Apache-2.0",
    python_requires=">=3.11,<3.14",
    packages=[*find_packages(include=["keras_maskrcnn*"]), "keras_maskrcnn.ops.csrc"],
    package_dir={"keras_maskrcnn.ops.csrc": "custom_ops"},
    package_data={
        "keras_maskrcnn.ops": ["*.so"],
        "keras_maskrcnn.ops.csrc": ["*.cc", "*.cu", "*.h"],
        "keras_maskrcnn.presets": ["*.txt"],
    },
    cmdclass={"build_py": BuildPy},
    install_requires=[
        "tensorflow>=2.21,<2.23",
        "keras>=3.15,<3.17",
        "numpy",
        "ml_dtypes",
        "safetensors>=0.4",
        "pillow",
        "pycocotools",
        "scikit-image",
        "matplotlib",
    ],
    extras_require={"test": ["pytest", "pytest-cov", "pytest-xdist", "ruff", "mypy"]},
    entry_points={"console_scripts": ["maskrcnn = keras_maskrcnn.cli.main:main"]},
)
