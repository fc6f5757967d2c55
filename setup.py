from setuptools import setup

setup(
    name="keras3-maskrcnn",
    version="0.1.0",
    description="Mask R-CNN for Keras 3 and TensorFlow: instance segmentation that trains with model.fit",
    long_description=open("README.md", encoding="utf-8").read(),
    long_description_content_type="text/markdown",
    license="Apache-2.0",
    python_requires=">=3.11",
    packages=[
        "keras_maskrcnn",
        "keras_maskrcnn.layers",
        "keras_maskrcnn.data",
        "keras_maskrcnn.weights",
        "keras_maskrcnn.custom_ops",
    ],
    package_dir={"keras_maskrcnn.custom_ops": "custom_ops"},
    package_data={"keras_maskrcnn.custom_ops": ["*.cc", "*.h", "*.so"]},
    install_requires=[
        "tensorflow>=2.21",
        "keras>=3.15",
        "numpy",
        "pillow",
        "pycocotools",
        "scikit-image",
        "matplotlib",
    ],
    extras_require={"test": ["pytest", "pytest-cov", "ruff", "mypy"]},
    entry_points={"console_scripts": ["maskrcnn = keras_maskrcnn.cli:main"]},
)
