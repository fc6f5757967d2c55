"""The arguments of `maskrcnn to-labels`."""

from pathlib import Path
from typing import Any

from keras_maskrcnn.cli import arguments, numbers

DESCRIPTION = """
Read annotations of any format, check all of them, and write them in the format of a label tool, to be
corrected there. Broken annotations are errors, and nothing is written then; what the format cannot say is
told with counts. Files of the same names are replaced.

labelme is written as a folder of JSON files that name the images where they are; yolo as a folder with
data.yaml, labels/ and a copy of the images in images/ (of those that are not there yet); coco, cvat and
label-studio as a file.

examples:
  maskrcnn to-labels coco.json labelled/ --images photos/ --write labelme
  maskrcnn to-labels labelled/ yolo/ --write yolo
  maskrcnn to-labels detected/detections.json labels/ --images photos/ --score-threshold 0.8 --write labelme
"""


def add_options(command: Any) -> None:
    """Add all arguments of the command."""
    command.add_argument(
        "annotations", type=arguments.existing_path, metavar="ANNOTATIONS", help="as for train"
    )
    command.add_argument("target", type=Path, metavar="TARGET", help="the folder, or the file, to write")
    command.add_argument(
        "--write",
        choices=arguments.WRITABLE,
        required=True,
        metavar="FORMAT",
        help=", ".join(arguments.WRITABLE),
    )
    add_source_options(command)


def add_source_options(command: Any) -> None:
    """Add what to-labels and to-coco say of the annotations that they read."""
    command.add_argument(
        "--images", type=arguments.existing_folder, metavar="DIR", help=arguments.IMAGES_HELP
    )
    arguments.add_format_options(command)
    command.add_argument(
        "--score-threshold",
        type=numbers.fraction,
        metavar="SCORE",
        help="of coco-results: detections that score less are left out (default: 0.5)",
    )
