"""What is asked of an export: the format, and what goes in and comes out."""

import dataclasses
from typing import Any, Literal

from keras_maskrcnn.ops.dialect import Dialect

Format = Literal["saved_model", "onnx", "openvino", "litert"]
Inputs = Literal["float", "uint8"]
Masks = Literal["crops", "pasted"] | None

DIALECTS: dict[str, Dialect] = {
    "saved_model": "tensorflow",
    "onnx": "marked",
    "openvino": "marked",
    "litert": "elementary",
}
"""In what operations each format is written."""


@dataclasses.dataclass(frozen=True)
class Request:
    """What `export` is asked for."""

    format: Format
    inputs: Inputs = "float"
    masks: Masks = "crops"
    int8: bool = False
    calibrate: tuple[Any, ...] = dataclasses.field(default=(), compare=False, repr=False)
    """Images that show the range of activations."""

    @property
    def dialect(self) -> Dialect:
        """The operations that the format has."""
        return DIALECTS[self.format]

    @property
    def one_image(self) -> bool:
        """Whether it takes one image at a time: LiteRT's shapes are planned before it runs."""
        return self.format == "litert" or self.inputs == "uint8"
