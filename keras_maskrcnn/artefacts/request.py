"""What is asked of an export: the format, and what goes in and comes out."""

import dataclasses
from typing import Literal

from keras_maskrcnn.ops.dialect import Dialect

Format = Literal["saved_model", "onnx", "openvino", "litert"]
Inputs = Literal["float", "uint8"]
Masks = Literal["crops", "pasted"] | None

DIALECTS: dict[str, Dialect] = {
    "saved_model": "tensorflow",
    "onnx": "onnx",
    "openvino": "elementary",
    "litert": "elementary",
}
"""In what operations each format is written."""


@dataclasses.dataclass(frozen=True)
class Request:
    """What `export` is asked for."""

    format: Format
    inputs: Inputs = "float"
    masks: Masks = "crops"

    @property
    def dialect(self) -> Dialect:
        """The operations that the format has."""
        return DIALECTS[self.format]

    @property
    def one_image(self) -> bool:
        """Whether it takes one image at a time: LiteRT's shapes are planned before it runs."""
        return self.format == "litert" or self.inputs == "uint8"
