"""A trained model as an artefact: checked, converted, verified, and only then put in its place."""

import dataclasses
import json
import os
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from keras_maskrcnn.artefacts.about import describe
from keras_maskrcnn.artefacts.agreement import SCORE, Agreement, agree
from keras_maskrcnn.artefacts.cases import Case, make_cases
from keras_maskrcnn.artefacts.checks import check_request
from keras_maskrcnn.artefacts.graph import InferenceModule
from keras_maskrcnn.artefacts.litert import write_litert
from keras_maskrcnn.artefacts.onnx import write_onnx
from keras_maskrcnn.artefacts.openvino import write_openvino
from keras_maskrcnn.artefacts.place import check_place, description_path, put
from keras_maskrcnn.artefacts.request import Format, Inputs, Masks
from keras_maskrcnn.artefacts.saved_model import write_saved_model
from keras_maskrcnn.artefacts.verify import Comparison, compare, run_elsewhere, seconds_of
from keras_maskrcnn.runtime.engines import Arrays

WRITERS: dict[str, Callable[[InferenceModule, Path, str], None]] = {
    "saved_model": write_saved_model,
    "onnx": write_onnx,
    "openvino": write_openvino,
    "litert": write_litert,
}


@dataclasses.dataclass(frozen=True)
class ExportReport:
    """An artefact that was written, and how it compares with its model.

    `print(report)` says it in a few lines.
    """

    path: Path
    format: Format
    bytes: int
    """Of the artefact, without its description."""
    weight_bytes: int
    """Of the model's weights, as they are in memory."""
    seconds: float
    """That converting took."""
    comparison: Comparison | Agreement
    """Of an artefact of int8, on which objects there are; of others, of all detections one to one."""
    model_seconds: float
    """That the model itself takes for a call on the image for which the artefact took `comparison.seconds`."""

    def __str__(self) -> str:
        found = self.comparison
        share = self.bytes / self.weight_bytes
        lines = [
            f"{self.path}: {self.format}, {self.bytes / 1e6:.1f} MB ({share:.2f} of the weights), "
            f"converted in {self.seconds:.0f} s",
            str(found),
            f"{found.seconds:.3f} s a call, the model {self.model_seconds:.3f} s",
        ]
        if not found.compared:
            lines.append("Nothing was detected in the images it was verified on: give images of your own")
        return "\n".join(lines)


def export(
    model: Any,
    path: str | os.PathLike,
    format: Format = "saved_model",
    inputs: Inputs = "float",
    masks: Masks = "crops",
    images: Sequence[Any] | None = None,
    int8: bool = False,
    calibrate: Sequence[Any] | None = None,
) -> ExportReport:
    """Write a model as an artefact that another runtime runs without this package, and verify that it finds the same.

    "saved_model" is a folder that TensorFlow and TF Serving read; "onnx" a `.onnx` file for ONNX
    Runtime and others; "openvino" a folder with OpenVINO's `model.xml` and `model.bin`; "litert" a `.tflite` file of
    LiteRT's built-in operations. None holds an operation of this package. What inputs and outputs mean stands as JSON
    beside it, and in ONNX's and OpenVINO's metadata. `keras_maskrcnn.runtime` reads artefacts.

    With `inputs="float"` an artefact takes `images [B, H, W, C]` float32, resized, 0..255, padded, and `sizes [B, 2]`
    int32 without the padding; boxes are in pixels of these. With "uint8" it takes one `image [H, W, C]` of any size,
    resized inside, and boxes (and pasted masks) are in its own pixels; a SavedModel then has a signature
    `serving_bytes` too, which takes `image_bytes`, an encoded image. It returns `boxes [B, D, 4]`, `scores [B, D]`,
    `classes [B, D]` int32 with 0 for rows without a detection, and what the model has of `masks [B, D, S, S]`,
    `mask_scores [B, D]` and `keypoints [B, D, J, 3]`; for one image without B.

    With `int8=True` the weights of convolutions and dense layers are whole numbers of 8 bits, and they multiply such
    numbers; all that computes coordinates, normalises and selects stays as it is. OpenVINO's are quantised by NNCF,
    activations by the range that they have in `calibrate`; LiteRT's by TensorFlow's converter, activations as they
    come. Such an artefact cannot find equal numbers: it stays if at least 90 % of the objects are found by both.

    Args:
        model: a `MaskRCNN`.
        path: of the artefact; what is there is replaced if it is one.
        format: "saved_model", "onnx", "openvino" or "litert", which takes one image at a time.
        inputs: "float" or "uint8".
        masks: "crops", in the frame of each box; "pasted", bool `[B, D, H, W]`; None for none.
        images: two images or more to compare on, as `detect` takes them; None for two photographs of scikit-image.
        int8: quantise; "openvino" and "litert".
        calibrate: for OpenVINO's int8, images like those that the artefact will see, about 30.

    Returns:
        What was written, and how it compares.

    Raises:
        ValueError: an argument is none of its choices, the format cannot hold such a model, or what is at `path` is no
            artefact; the conversion fails, or what it makes finds other things than the model.
        ImportError: the format's packages are not installed.

    Example:
        ```python
        import keras_maskrcnn as km

        config = km.Config(class_names=["cell"], depth=18, norm="group_norm", frozen_stages=0, min_size=64, max_size=96)
        report = km.export(km.MaskRCNN(config), "cells", format="saved_model", masks=None)
        print(report)
        ```
    """
    request = check_request(format, inputs, masks, model.config, int8, calibrate)
    path = Path(path)
    check_place(path, request)
    cases = make_cases(model.config, request, images)
    description = json.dumps(describe(model.config, request), indent=1)

    with tempfile.TemporaryDirectory(prefix="keras_maskrcnn_") as folder:
        part = Path(folder) / path.name
        start = time.perf_counter()
        with model.own_precision():
            module = InferenceModule(model.network, request)
        try:
            WRITERS[format](module, part, description)
        except Exception as error:  # of whatever kind a converter raises
            raise ValueError(f"{format} could not be converted: {_first_line(error)}") from error
        seconds = time.perf_counter() - start
        expected = [case.expected(model) for case in cases]
        comparison = _compared(part, cases, expected)
        if not comparison.passes:
            raise ValueError(
                f"the {format} artefact finds other things than its model: {comparison}; nothing was written"
            )
        description_path(part).parent.mkdir(exist_ok=True)
        description_path(part).write_text(description + "\n", encoding="utf-8")
        size = _size(part)
        put(part, path)
    return ExportReport(
        path=path,
        format=format,
        bytes=size,
        weight_bytes=sum(int(np.prod(w.shape)) * w.dtype.size for w in module.weights),
        seconds=seconds,
        comparison=comparison,
        model_seconds=seconds_of(lambda: cases[-1].run(model)),
    )


def _compared(
    artefact: Path, cases: Sequence[Case], expected: Sequence[list[Arrays]]
) -> Comparison | Agreement:
    try:
        found = run_elsewhere(artefact, [case.inputs for case in cases])
    except RuntimeError as error:
        raise ValueError(f"{error}; nothing was written") from error
    int8 = cases[0].request.int8
    least = SCORE if int8 else 0.0
    seen: list[tuple[Arrays, Arrays]] = []
    for case, of_model, outputs in zip(cases, expected, found, strict=True):
        rows = case.rows(outputs)
        if not case.is_blank:
            seen += zip(of_model, rows, strict=True)
            continue
        something = (rows[0]["classes"] > 0) & (rows[0]["scores"] >= least)
        if something.any() and not of_model[0]["classes"].any():
            raise ValueError(
                "the artefact finds something in a blank image, its model nothing; nothing was written"
            )
    found_of_both = zip(*seen, strict=True)
    return agree(*found_of_both) if int8 else compare(*found_of_both)


def _size(artefact: Path) -> int:
    files = artefact.rglob("*") if artefact.is_dir() else [artefact]
    return sum(file.stat().st_size for file in files if file.is_file() and file != description_path(artefact))


def _first_line(error: Exception) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[0] if lines else type(error).__name__
