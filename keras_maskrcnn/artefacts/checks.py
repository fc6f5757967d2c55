"""What no artefact can be made of, refused before anything is converted."""

import importlib.util
from collections.abc import Sequence
from typing import Any, get_args

from keras_maskrcnn.artefacts.request import Format, Inputs, Masks, Request
from keras_maskrcnn.config.config import Config

PACKAGES = {
    "onnx": ("tf2onnx", "onnx", "onnxruntime"),
    "openvino": ("openvino",),
    "litert": ("ai_edge_litert",),
}
"""What each format needs beside this package's own: to convert, and to run what was converted."""
INT8 = {"openvino": ("nncf",), "litert": ()}
"""Formats that are quantised here, and what they need for it besides."""
AVERAGED = ("onnx", "openvino")
"""Formats with a RoIAlign of their own, which is by average."""
DOUBLE_PRECISION = ("saved_model", "onnx")
"""Formats whose runtimes compute in float64, without which 7 % of sizes come out otherwise."""


def check_request(
    format: Any,
    inputs: Any,
    masks: Any,
    config: Config,
    int8: Any = False,
    calibrate: Sequence[Any] | None = None,
) -> Request:
    """Return what is asked for; arguments are those of `export`, and the model's config.

    Raises:
        ValueError: an argument is none of its choices, or the format cannot hold such a model; the message says why and
            what can be done instead.
        ImportError: a package is missing that converts to this format or runs it.
    """
    for name, value, choices in (
        ("format", format, get_args(Format)),
        ("inputs", inputs, get_args(Inputs)),
        ("masks", masks, get_args(get_args(Masks)[0]) + (None,)),
    ):
        if value not in choices:
            listed = ", ".join(repr(choice) for choice in choices)
            raise ValueError(f"{name} must be one of {listed}; got {value!r}")
    request = Request(format, inputs, masks, int8, tuple(calibrate or ()))
    if masks == "pasted" and config.mask_head == "none":
        raise ValueError('masks="pasted": this model has no mask head; leave it out')
    if inputs == "uint8":
        _check_resizing_inside(format, config)
    _check_pooling(format, config)
    _check_int8(request)
    _check_packages(format, PACKAGES.get(format, ()), format)
    if int8:
        _check_packages("int8=True", INT8[format], "int8")
    return request


def _check_pooling(format: str, config: Config) -> None:
    """Refuse RoIAlign with as many samples as a box is large, where the format has none."""
    own = format == "saved_model" or (format in AVERAGED and config.roi_mode == "average")
    if config.roi_sampling_ratio == 0 and config.roi_mode != "crop_and_resize" and not own:
        kind = " by maximum" if config.roi_mode == "max" else ""
        others = "saved_model" if config.roi_mode == "max" else "onnx, openvino or saved_model"
        raise ValueError(
            f"{format} has no RoIAlign{kind} whose number of samples follows from the box (roi_sampling_ratio=0): "
            f"export to {others}, or a model with roi_sampling_ratio=2, whose scores differ slightly: "
            "MaskRCNN(dataclasses.replace(model.config, roi_sampling_ratio=2)) with this one's weights"
        )


def _check_int8(request: Request) -> None:
    if request.int8 not in (True, False):
        raise ValueError(f"int8 must be True or False; got {request.int8!r}")
    if request.int8 and request.format not in INT8:
        raise ValueError(
            f'int8=True: {request.format} is written in floats; "openvino" and "litert" can be quantised'
        )
    if request.calibrate and not (request.int8 and request.format == "openvino"):
        raise ValueError(
            "calibrate is for openvino's int8 alone, which needs the range of activations: leave it out"
        )
    if request.int8 and request.format == "openvino" and not request.calibrate:
        raise ValueError(
            "int8=True: openvino's activations are quantised by the range that they have in images: give some as "
            "calibrate, about 30 like those that it will see"
        )


def _check_packages(what: str, names: Sequence[str], extra: str) -> None:
    missing = [name for name in names if importlib.util.find_spec(name) is None]
    if missing:
        raise ImportError(
            f"{what} needs {', '.join(missing)}: pip install 'keras3-maskrcnn[{extra}]'", name=missing[0]
        )


def _check_resizing_inside(format: str, config: Config) -> None:
    instead = 'with inputs="float" the image is resized before, as keras_maskrcnn.runtime does'
    if format not in DOUBLE_PRECISION:
        raise ValueError(
            f'inputs="uint8": {format} computes sizes in single precision, where some images get another size than '
            f"in training; {instead}"
        )
    if config.resize != "bilinear":
        source = {
            "pillow": "Pillow's antialiased and rounded",
            "opencv": "OpenCV's",
            "skimage": "scikit-image's",
        }[config.resize]
        raise ValueError(f'inputs="uint8": {source} resizing has no operation in a graph; {instead}')
    if config.intensity_percentiles:
        raise ValueError(
            f'inputs="uint8": intensity_percentiles are of the image at its full range, which uint8 has lost; {instead}'
        )
