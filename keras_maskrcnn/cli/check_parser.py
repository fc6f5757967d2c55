"""The arguments of `maskrcnn check`."""

from typing import Any

from keras_maskrcnn.cli import arguments, numbers
from keras_maskrcnn.cli.run_folder import IMAGES_PER_REPLICA

DESCRIPTION = """
Check every image and object of a dataset before training, and print its issues: what a reader
refuses or leaves out, images that are missing, damaged, of another size or duplicates, boxes and
masks that are broken or disagree, classes with few objects or none, objects that no anchor fits, and
the memory that training takes.

Issues are errors, on which training fails or learns what is wrong, warnings, and notes.
The exit code is 0 without errors, 1 with errors, 2 if the check could not be run.

example:
  maskrcnn check --annotations train.json --images train/ --val-annotations val.json --val-images val/ \\
      --html report.html
"""


def add_options(command: Any) -> None:
    """Add all arguments of the command."""
    arguments.add_dataset_options(command, required=True)
    arguments.add_config_options(command)
    command.add_argument(
        "--batch-size",
        type=numbers.count,
        default=IMAGES_PER_REPLICA,
        metavar="N",
        help=f"images per step, for the memory (default: {IMAGES_PER_REPLICA})",
    )
    command.add_argument("--strict", action="store_true", help="treat warnings as errors")
    command.add_argument("--json", type=arguments.new_file, metavar="FILE", help="write the report, as JSON")
    command.add_argument(
        "--html",
        type=arguments.new_file,
        metavar="FILE",
        help="write the report with images, as one HTML page",
    )
