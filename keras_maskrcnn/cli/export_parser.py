"""The arguments of `maskrcnn export`, and its help."""

from pathlib import Path
from typing import Any

from keras_maskrcnn.cli import arguments

DESCRIPTION = """
Write a model as an artefact that another runtime runs without this package, run it there, and compare what both
find; an artefact that differs is not left behind. What its inputs and outputs mean is written beside it as JSON.
MODEL is a .keras file, a run folder (its best.keras), or the name of a model that maskrcnn models lists.

  saved_model   a folder, for TensorFlow and TF Serving
  onnx          a .onnx file, for ONNX Runtime and others: pip install 'keras3-maskrcnn[onnx]'
  openvino      a folder with model.xml and model.bin: pip install 'keras3-maskrcnn[openvino]'
  litert        a .tflite file, for phones and small boards, one image at a time: pip install 'keras3-maskrcnn[litert]'

With --int8 convolutions and dense layers compute with whole numbers of 8 bits; then at least 90 % of the objects must
be found by both. OpenVINO's needs pip install 'keras3-maskrcnn[int8]' and images to calibrate by.

examples:
  maskrcnn export run/ cells.onnx --format onnx
  maskrcnn export run/ serving/1 --format saved_model --inputs uint8 --masks pasted
  maskrcnn export nuclei_resnet18_fpn nuclei.tflite --format litert --images cells/
  maskrcnn export run/ cells_int8 --format openvino --int8 --calibrate training_images/ --images cells/
"""


def add_options(command: Any) -> None:
    """Add the arguments to the command's parser."""
    command.add_argument("model", type=arguments.model_or_name, metavar="MODEL", help="the model")
    command.add_argument(
        "path", type=Path, metavar="PATH", help="what to write; an artefact there is replaced"
    )
    command.add_argument(
        "--format",
        choices=("saved_model", "onnx", "openvino", "litert"),
        required=True,
        metavar="FORMAT",
        help="saved_model, onnx, openvino or litert",
    )
    command.add_argument(
        "--inputs",
        choices=("float", "uint8"),
        default="float",
        metavar="float|uint8",
        help="resized images with their sizes, or one image of any size, resized inside; default float",
    )
    command.add_argument(
        "--masks",
        choices=("crops", "pasted", "none"),
        default="crops",
        metavar="KIND",
        help="crops in the frame of each box, pasted into the image, or none; default crops",
    )
    command.add_argument(
        "--images",
        type=arguments.images,
        nargs="+",
        metavar="IMAGE",
        help="two images or more to compare on, or folders of them; default two photographs of scikit-image",
    )
    command.add_argument("--int8", action="store_true", help="quantise, for openvino and litert")
    command.add_argument(
        "--calibrate",
        type=arguments.images,
        nargs="+",
        metavar="IMAGE",
        help="for openvino's int8: images like those that the artefact will see, about 30, or folders of them",
    )
