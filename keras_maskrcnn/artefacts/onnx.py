"""The ONNX format, by tf2onnx."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from keras_maskrcnn.artefacts.graph import InferenceModule
from keras_maskrcnn.ops.marked_group_norm import marked_groups
from keras_maskrcnn.ops.marked_roi_align import Mark

OPSET = 18
"""The first with reductions as tf2onnx writes them; RoiAlign has its choice of pixel centres since 16."""


def write_onnx(module: InferenceModule, path: Path, description: str) -> None:
    """Write a module's function as an ONNX file, with a description in its metadata.

    Raises:
        ValueError: an operation of the graph has none in ONNX.
    """
    import onnx

    proto = convert(module)
    entry = proto.metadata_props.add()
    entry.key, entry.value = "keras_maskrcnn", description
    onnx.save(proto, str(path))


def convert(module: InferenceModule) -> Any:
    """Return a module's function as an `onnx.ModelProto`.

    Raises:
        ValueError: an operation of the graph has none in ONNX.
    """
    import tf2onnx

    proto, _ = tf2onnx.convert.from_function(
        module.function,
        module.signature,
        opset=OPSET,
        custom_op_handlers={"CropAndResize": (_roi_align, []), "FusedBatchNormV3": (_group_norm, [])},
    )
    _check_operations(proto)
    return proto


def _roi_align(context: Any, node: Any, _: str, __: Any) -> None:
    """Make ONNX's RoiAlign of a marked crop: images come with their channels last, and go with them first."""
    mark = Mark.of(node.get_attr_value("extrapolation_value", 0.0))
    size = int(node.inputs[3].get_tensor_value()[0])
    shape, dtype = context.get_shape(node.output[0]), context.get_dtype(node.output[0])
    image, boxes, indices, _ = node.input
    outputs = list(node.output)
    context.remove_node(node.name)
    first = context.make_node("Transpose", [image], attr={"perm": [0, 3, 1, 2]})
    whole = context.make_node("Cast", [indices], attr={"to": 7})  # int64
    pooled = context.make_node(
        "RoiAlign",
        [first.output[0], boxes, whole.output[0]],
        attr={
            "output_height": size,
            "output_width": size,
            "sampling_ratio": mark.sampling_ratio,
            "coordinate_transformation_mode": "half_pixel" if mark.aligned else "output_half_pixel",
            "mode": "avg",
        },
    )
    context.make_node(
        "Transpose",
        [pooled.output[0]],
        attr={"perm": [0, 2, 3, 1]},
        outputs=outputs,
        shapes=[shape],
        dtypes=[dtype],
    )


def _group_norm(context: Any, node: Any, _: str, __: Any) -> None:
    """Make ONNX's InstanceNormalization of a mark, each group being a channel of it."""
    import numpy as np

    groups = marked_groups(
        bool(node.get_attr_value("is_training")), node.get_attr_value("exponential_avg_factor")
    )
    epsilon = node.get_attr_value("epsilon")
    shape, dtype = context.get_shape(node.output[0]), context.get_dtype(node.output[0])
    x, gamma, beta, *_ = node.input
    output = node.output[0]
    context.remove_node(node.name)

    def make(kind: str, inputs: list[str], **attributes: Any) -> str:
        return context.make_node(kind, inputs, attr=attributes).output[0]

    def constant(values: Any) -> str:
        return context.make_const(f"group_norm_{output}_{len(context.get_nodes())}", np.array(values)).output[
            0
        ]

    first = make("Transpose", [x], perm=[0, 3, 1, 2])
    grouped = make("Reshape", [first, constant([0, groups, -1])])
    ones, zeros = constant(np.ones(groups, np.float32)), constant(np.zeros(groups, np.float32))
    normal = make("InstanceNormalization", [grouped, ones, zeros], epsilon=epsilon)
    normal = make("Reshape", [normal, make("Shape", [first])])
    last = make("Transpose", [normal], perm=[0, 2, 3, 1])
    scaled = make("Mul", [last, gamma])
    context.make_node("Add", [scaled, beta], outputs=[output], shapes=[shape], dtypes=[dtype])


def _check_operations(proto: Any) -> None:
    """Refuse what tf2onnx only logs: operations of TensorFlow that it has left as they were."""
    import onnx

    known = {schema.name for schema in onnx.defs.get_all_schemas()}
    unknown = sorted({node.op_type for node in nodes(proto.graph)} - known)
    if unknown:
        raise ValueError(f"ONNX has no operation for TensorFlow's {', '.join(unknown)}")


def nodes(graph: Any) -> Iterator[Any]:
    """Yield all nodes of a graph, those of its branches and loops among them."""
    for node in graph.node:
        yield node
        for attribute in node.attribute:
            for inner in (*attribute.graphs, *([attribute.g] if attribute.HasField("g") else [])):
                yield from nodes(inner)
