"""What no artefact can be made of, refused before anything is converted."""

import importlib.util
from typing import Any, get_args

from keras_maskrcnn.artefacts.request import Format, Inputs, Masks, Request
from keras_maskrcnn.config.config import Config

PACKAGES = {
    "onnx": ("tf2onnx", "onnx", "onnxruntime"),
    "openvino": ("openvino",),
    "litert": ("ai_edge_litert",),
}
"""What each format needs beside this package's own: to convert, and to run what was converted."""
FIXED_SAMPLES = ("openvino", "litert")
"""Formats that know no RoIAlign with as many samples as a box is large."""
DOUBLE_PRECISION = ("saved_model", "onnx")
"""Formats whose runtimes compute in float64, without which 7 % of sizes come out otherwise."""


def check_request(format: Any, inputs: Any, masks: Any, config: Config) -> Request:
    """Return what is asked for.

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
    request = Request(format, inputs, masks)
    if masks == "pasted" and config.mask_head == "none":
        raise ValueError('masks="pasted": this model has no mask head; leave it out')
    if inputs == "uint8":
        _check_resizing_inside(format, config)
    if format in FIXED_SAMPLES and config.roi_sampling_ratio == 0 and config.roi_mode != "crop_and_resize":
        raise ValueError(
            f"{format} has no RoIAlign whose number of samples follows from the box (roi_sampling_ratio=0): export to "
            '"onnx" or "saved_model", or a model with roi_sampling_ratio=2, whose scores differ slightly: '
            "MaskRCNN(dataclasses.replace(model.config, roi_sampling_ratio=2)) with this one's weights"
        )
    missing = [name for name in PACKAGES.get(format, ()) if importlib.util.find_spec(name) is None]
    if missing:
        raise ImportError(
            f"{format} needs {', '.join(missing)}: pip install 'keras3-maskrcnn[{format}]'", name=missing[0]
        )
    return request


def _check_resizing_inside(format: str, config: Config) -> None:
    instead = 'with inputs="float" the image is resized before, as keras_maskrcnn.runtime does'
    if format not in DOUBLE_PRECISION:
        raise ValueError(
            f'inputs="uint8": {format} computes sizes in single precision, where some images get another size than '
            f"in training; {instead}"
        )
    if config.resize != "bilinear":
        source = {"pillow": "Pillow's antialiased and rounded", "skimage": "scikit-image's"}[config.resize]
        raise ValueError(f'inputs="uint8": {source} resizing has no operation in a graph; {instead}')
    if config.intensity_percentiles:
        raise ValueError(
            f'inputs="uint8": intensity_percentiles are of the image at its full range, which uint8 has lost; {instead}'
        )
