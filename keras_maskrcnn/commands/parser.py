"""The arguments of `maskrcnn` and its help. Those of `train` are in `train_parser`."""

import argparse
import textwrap
from typing import Any, NoReturn

from keras_maskrcnn.commands import arguments, train_parser

DESCRIPTION = (
    "Mask R-CNN for Keras 3 and TensorFlow: finds objects in pictures, with box, class and mask of each."
)


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        self.exit(2, f"maskrcnn: error: {message}\n")


def make_parser() -> argparse.ArgumentParser:
    """Return the parser of the command line; `args.command` is the chosen command, None if there is none."""
    parser = _Parser("maskrcnn", description=DESCRIPTION, epilog="Each command has its own --help.")
    commands = parser.add_subparsers(dest="command", metavar="COMMAND")
    summary = "train a model on images with COCO annotations"
    command = _add_command(commands, "train", summary, train_parser.DESCRIPTION, train_parser.config_fields())
    train_parser.add_options(command)
    _add_evaluate(commands)
    _add_predict(commands)
    return parser


def _add_command(commands: Any, name: str, summary: str, text: str, epilog: str = "") -> Any:
    command = commands.add_parser(
        name,
        help=summary,
        description=textwrap.dedent(text).strip(),
        epilog=epilog or None,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    command.add_argument("--debug", action="store_true", help="show where in the code an error comes from")
    return command


def _add_evaluate(commands: Any) -> None:
    command = _add_command(
        commands,
        "evaluate",
        "measure a model's COCO AP on annotated images",
        """
        Run a model on images with COCO annotations, and print COCO's average precision (AP) and recall (AR)
        of boxes and masks, 0 to 1. AP is the mean over IoU 0.50 to 0.95; small objects have up to 32 x 32
        pixels, large ones over 96 x 96.

        example:
          maskrcnn evaluate run/best.keras --annotations val.json --images val/ --per-class
        """,
    )
    command.add_argument("model", type=arguments.model_file, metavar="MODEL.keras", help="the model")
    command.add_argument(
        "--annotations", type=arguments.existing_file, metavar="FILE", required=True, help="COCO JSON"
    )
    command.add_argument(
        "--images", type=arguments.existing_folder, metavar="DIR", required=True, help="folder of the images"
    )
    command.add_argument("--per-class", action="store_true", help="print each class's AP too, best first")
    _add_limits(command, None, "the model's, usually 0.05")
    command.add_argument(
        "--batch-size", type=arguments.count, default=1, metavar="N", help="images at a time (default: 1)"
    )
    command.add_argument(
        "--results",
        type=arguments.new_file,
        metavar="FILE",
        help="write the detections, as COCO results (JSON)",
    )
    command.add_argument("--json", type=arguments.new_file, metavar="FILE", help="write the figures, as JSON")


def _add_predict(commands: Any) -> None:
    command = _add_command(
        commands,
        "predict",
        "find objects in pictures and draw them",
        """
        Find the objects in pictures. Writes, into the output folder, each picture with its objects drawn as
        NAME.png, and detections.json: COCO results (image_id is the picture's number, from 1; boxes are x, y,
        width, height in pixels) with file_name and category_name. Files of an earlier call are replaced.

        example:
          maskrcnn predict run/best.keras photos/ street.jpg --output found --score-threshold 0.7
        """,
    )
    command.add_argument("model", type=arguments.model_file, metavar="MODEL.keras", help="the model")
    command.add_argument(
        "images",
        type=arguments.images,
        nargs="+",
        metavar="IMAGE",
        help="image files, and folders, whose image files are taken",
    )
    command.add_argument(
        "--output", type=arguments.output_folder, metavar="DIR", required=True, help="folder to write to"
    )
    _add_limits(command, 0.5, "0.5")
    command.add_argument("--no-pictures", action="store_true", help="write detections.json only")


def _add_limits(command: Any, score_threshold: float | None, described: str) -> None:
    command.add_argument(
        "--score-threshold",
        type=arguments.fraction,
        default=score_threshold,
        metavar="SCORE",
        help=f"detections must score more, 0 to 1 (default: {described})",
    )
    command.add_argument(
        "--max-detections",
        type=arguments.count,
        metavar="N",
        help="at most so many per image (default: the model's, usually 100)",
    )
