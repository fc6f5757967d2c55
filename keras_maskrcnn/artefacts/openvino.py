"""The OpenVINO format, by OpenVINO's own converter of TensorFlow's functions."""

from pathlib import Path

from keras_maskrcnn.artefacts.graph import InferenceModule


def write_openvino(module: InferenceModule, path: Path, description: str) -> None:
    """Write a module's function into a folder, the graph as `model.xml` and the weights as `model.bin`."""
    import openvino

    path.mkdir()
    converted = openvino.convert_model(module.function)
    converted.set_rt_info(description, "keras_maskrcnn")
    openvino.save_model(converted, str(path / "model.xml"), compress_to_fp16=False)
