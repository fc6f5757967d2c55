"""The OpenVINO format, by OpenVINO's own converter of TensorFlow's functions."""

from pathlib import Path
from typing import Any

import numpy as np

from keras_maskrcnn.artefacts.graph import InferenceModule
from keras_maskrcnn.artefacts.quantise import quantise
from keras_maskrcnn.ops.marked_group_norm import marked_groups
from keras_maskrcnn.ops.marked_roi_align import Mark


def write_openvino(module: InferenceModule, path: Path, description: str) -> None:
    """Write a module's function into a folder, the graph as `model.xml` and the weights as `model.bin`."""
    import openvino

    path.mkdir()
    converted = convert(module)
    if module.request.int8:
        converted = quantise(converted, module)
    converted.set_rt_info(description, "keras_maskrcnn")
    openvino.save_model(converted, str(path / "model.xml"), compress_to_fp16=False)


def convert(module: InferenceModule) -> Any:
    """Return a module's function as an `openvino.Model`."""
    import openvino
    from openvino.frontend.tensorflow import ConversionExtension

    marks = {"CropAndResize": _roi_align, "FusedBatchNormV3": _group_norm}
    extensions = [ConversionExtension(name, made) for name, made in marks.items()]
    converted = openvino.convert_model(module.function, extension=extensions)
    _sort_fast(converted)
    return converted


def _roi_align(node: Any) -> list[Any]:
    """Make OpenVINO's ROIAlign of a marked crop: images come with their channels last, and go with them first."""
    from openvino import opset15 as ov

    mark = Mark.of(node.get_attribute("extrapolation_value"))
    size = int(node.get_input(3).get_node().get_vector()[0])
    image, boxes, indices = (node.get_input(number) for number in range(3))
    mode = "half_pixel_for_nn" if mark.aligned else "asymmetric"
    first = ov.transpose(image, np.array([0, 3, 1, 2]))
    pooled = ov.roi_align(first, boxes, indices, size, size, mark.sampling_ratio, 1.0, "avg", mode)
    if mark.aligned and mark.sampling_ratio == 0:
        # A box without area has no samples, of which OpenVINO's average is NaN.
        sides = ov.subtract(_columns(boxes, 2, 4), _columns(boxes, 0, 2))
        least = ov.reshape(ov.reduce_min(sides, np.array([1]), True), np.array([-1, 1, 1, 1]), False)
        pooled = ov.select(ov.greater(least, np.float32(0)), pooled, np.float32(0))
    return [ov.transpose(pooled, np.array([0, 2, 3, 1])).output(0)]


def _group_norm(node: Any) -> list[Any]:
    """Make OpenVINO's GroupNormalization of a mark.

    It is faster than its formula, of which OpenVINO computes wrong numbers behind a convolution of whole numbers.
    """
    from openvino import opset15 as ov

    groups = marked_groups(node.get_attribute("is_training"), node.get_attribute("exponential_avg_factor"))
    x, gamma, beta = (node.get_input(number) for number in range(3))
    first = ov.transpose(x, np.array([0, 3, 1, 2]))
    normal = ov.group_normalization(first, gamma, beta, groups, node.get_attribute("epsilon"))
    return [ov.transpose(normal, np.array([0, 2, 3, 1])).output(0)]


def _columns(boxes: Any, start: int, stop: int) -> Any:
    from openvino import opset15 as ov

    return ov.slice(boxes, np.array([start]), np.array([stop]), np.array([1]), np.array([1]))


def _sort_fast(model: Any) -> None:
    """Let ties come in any order: with a stable order, as TensorFlow's is, TopK takes some hundred times as long."""
    from openvino import opset15 as ov

    for node in model.get_ops():
        if node.get_type_name() == "TopK" and node.get_attributes().get("stable"):
            options = node.get_attributes()
            other = ov.topk(
                node.input_value(0),
                node.input_value(1),
                options["axis"],
                options["mode"],
                options["sort"],
                options["index_element_type"],
            )
            for old, new in zip(node.outputs(), other.outputs(), strict=True):
                for target in old.get_target_inputs():
                    target.replace_source_output(new)
