"""The arguments of `maskrcnn demo`, and its help."""

import argparse
from pathlib import Path
from typing import Any

from keras_maskrcnn.cli import arguments, numbers
from keras_maskrcnn.utils.files import IMAGE_SUFFIXES, image_files

DESCRIPTION = """
Try a model on your own images in a browser: a page where images are chosen, dropped or pasted, with what is found
drawn, listed, and as files to download. Images are read as maskrcnn predict reads them, and go to this process
alone; they are deleted after an hour, and when it ends. Ctrl-C or SIGTERM ends it.
Needs pip install 'keras3-maskrcnn[demo]'.

examples:
  maskrcnn demo run/
  maskrcnn demo nuclei_resnet18_fpn --examples cells/
  maskrcnn demo cells.onnx --port 8080 --score-threshold 0.7
"""


def add_options(command: Any) -> None:
    """Add the arguments to the command's parser."""
    command.add_argument(
        "model",
        type=arguments.model_or_artefact,
        metavar="MODEL",
        help="a .keras file, a run folder (its best.keras), what maskrcnn export has written, or the name of a model "
        "that maskrcnn models lists",
    )
    command.add_argument(
        "--examples",
        type=_examples,
        metavar="DIR",
        help="folder of images to try it on, shown on the page; at most 100",
    )
    command.add_argument(
        "--score-threshold",
        type=numbers.fraction,
        default=0.5,
        metavar="SCORE",
        help="where the slider stands at first (default: 0.5)",
    )
    command.add_argument(
        "--host", default="127.0.0.1", help="address to listen on (default: 127.0.0.1, this machine alone)"
    )
    command.add_argument(
        "--port", type=numbers.count, default=7860, metavar="N", help="port to listen on (default: 7860)"
    )
    command.add_argument(
        "--max-megabytes", type=numbers.positive, default=100, metavar="N", help="of a file (default: 100)"
    )
    command.add_argument(
        "--max-megapixels", type=numbers.positive, default=50, metavar="N", help="of an image (default: 50)"
    )


def _examples(text: str) -> Path:
    """Return the path of a folder that has image files."""
    path = arguments.existing_folder(text)
    if not image_files(path):
        raise argparse.ArgumentTypeError(
            f"{text}: the folder has no image files ({', '.join(IMAGE_SUFFIXES)})"
        )
    return path
