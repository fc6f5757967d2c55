"""The arguments of `maskrcnn` and its help. Those of `check`, `train` and `evaluate` are in files of their own."""

import argparse
import difflib
import re
import textwrap
from collections.abc import Sequence
from typing import Any, NoReturn

from keras_maskrcnn.cli import (
    arguments,
    check_parser,
    demo_parser,
    evaluate_parser,
    export_parser,
    serve_parser,
    to_labels_parser,
    train_parser,
    video_arguments,
)
from keras_maskrcnn.cli.drawing import add_drawing

DESCRIPTION = (
    "Mask R-CNN for Keras 3 and TensorFlow: detects objects in images, each with class, box and mask."
)


class _Parser(argparse.ArgumentParser):
    def __init__(self, prog: str | None = None, **options: Any):
        super().__init__(prog, allow_abbrev=False, **options)

    def error(self, message: str) -> NoReturn:
        self.exit(2, f"maskrcnn: error: {message}\n")


class _CommandParser(_Parser):
    def parse_known_args(self, args: Any = None, namespace: Any = None) -> Any:
        """Refuse an option that the command lacks before anything else, because its value would be misread."""
        known = ["--help", *re.findall(r"--[\w-]+", self.format_usage())]
        for text in args or ():
            option = text.partition("=")[0]
            if option == "--":
                break
            if option.startswith("--") and option not in known:
                near = _nearest(option, known)
                hint = f"nearest: {', '.join(near)}" if near else f"{self.prog} --help lists all"
                self.error(f"{self.prog} has no option {option}; {hint}")
        return super().parse_known_args(args, namespace)


def _nearest(option: str, known: Sequence[str]) -> list[str]:
    """The options whose initials these are (--lr), which begin so (--epoch), or which are spelled alike."""
    near = [name for name in known if "".join(word[0] for word in name[2:].split("-")) == option[2:]]
    near += [name for name in known if name.startswith(option)]
    return list(dict.fromkeys(near)) or difflib.get_close_matches(option, known, n=2)


def make_parser() -> argparse.ArgumentParser:
    """Return the parser of the command line; `args.command` is the chosen command, None if there is none."""
    parser = _Parser("maskrcnn", description=DESCRIPTION, epilog="Each command has its own --help.")
    parser.add_argument("--version", action="store_true", help="show the version, and exit")
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", parser_class=_CommandParser)
    summary = "check a dataset before training, and report its issues"
    check_parser.add_options(_add_command(commands, "check", summary, check_parser.DESCRIPTION))
    summary = "train a model on annotated images"
    train_parser.add_options(_add_command(commands, "train", summary, train_parser.DESCRIPTION))
    summary = "measure a model's COCO AP on annotated images"
    evaluate_parser.add_options(_add_command(commands, "evaluate", summary, evaluate_parser.DESCRIPTION))
    _add_predict(commands)
    _add_convert(commands)
    summary = "write a model for another runtime, verified equal"
    export_parser.add_options(_add_command(commands, "export", summary, export_parser.DESCRIPTION))
    summary = "answer requests with what export has written"
    serve_parser.add_options(_add_command(commands, "serve", summary, serve_parser.DESCRIPTION))
    summary = "try a model on your own images in a browser"
    demo_parser.add_options(_add_command(commands, "demo", summary, demo_parser.DESCRIPTION))
    _add_to_coco(commands)
    summary = "write annotations of any format for a label tool"
    to_labels_parser.add_options(_add_command(commands, "to-labels", summary, to_labels_parser.DESCRIPTION))
    _add_models(commands)
    return parser


def _add_command(commands: Any, name: str, summary: str, text: str) -> Any:
    command = commands.add_parser(
        name,
        help=summary,
        description=textwrap.dedent(text).strip(),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    command.add_argument("--debug", action="store_true", help="show where in the code an error comes from")
    return command


def _add_predict(commands: Any) -> None:
    command = _add_command(
        commands,
        "predict",
        "detect objects in images or a video and draw them",
        """
        Detect objects in images. Writes, into the output folder, each image with its detections drawn as
        NAME.png, and detections.json: COCO results (image_id is the image's number, from 1; boxes are x, y,
        width, height in pixels) with file_name and category_name. Files of an earlier call are replaced.
        With --label-images also label_images/NAME.tif: 0 is background, and each object has a number, in reading
        order; where objects overlap, the better score has the pixel. detections.json says which is which ("label").
        Of a video (or a camera's number, or an address): NAME.mp4 with the detections drawn, and beside it NAME.jsonl
        (a line for each frame), NAME.counts.csv, and with --track NAME.tracks.csv. An interrupted call goes on with
        --resume. Needs pip install 'keras3-maskrcnn[video]'.
        With --write also labels-FORMAT, the detections as labels to be corrected in the tools of these formats.

        examples:
          maskrcnn predict run/ photos/ street.jpg --output detected --score-threshold 0.7
          maskrcnn predict maskrcnn_resnet50_fpn_v2_coco photos/ --output detected
          maskrcnn predict --model nuclei_resnet18_fpn cells.png --output detected
          maskrcnn predict run/model.keras aerial.tif --output detected --tile 1024
          maskrcnn predict run/ cells/ --output detected --label-images tif
          maskrcnn predict run/ cells/ --output detected --outlines --labels strip
          maskrcnn predict run/ film.mp4 --output drawn.mp4 --track
          maskrcnn predict run/ photos/ --output detected --score-threshold 0.7 --write labelme coco
        """,
    )
    command.add_argument(
        "first",
        metavar="MODEL",
        help="a .keras file, a run folder (its best.keras), what maskrcnn export has written, or the name of a model "
        "that maskrcnn models lists",
    )
    command.add_argument(
        "images",
        nargs="*",
        metavar="IMAGE",
        help="image files, and folders, whose image files are taken; or a video",
    )
    command.add_argument(
        "--model",
        type=arguments.model_or_artefact,
        metavar="MODEL",
        help="the model, if it is not the first argument",
    )
    command.add_argument(
        "--output",
        type=video_arguments.output,
        metavar="DIR",
        required=True,
        help="folder to write to; or of a video, the drawn one (.mp4, .mov, .mkv)",
    )
    evaluate_parser.add_limits(command, 0.5, "0.5")
    evaluate_parser.add_tiles(command)
    evaluate_parser.add_augmentation(command)
    add_drawing(command)
    command.add_argument(
        "--label-images",
        choices=("tif", "png"),
        metavar="tif|png",
        help="write label_images/NAME.tif or NAME.png, gray with 16 bits; TIFFs of more than 65535 objects have 32",
    )
    video_arguments.add_video(command)
    command.add_argument(
        "--write",
        nargs="+",
        choices=arguments.WRITABLE,
        default=[],
        metavar="FORMAT",
        help=f"write labels to be corrected into labels-FORMAT: {', '.join(arguments.WRITABLE)}; images are named "
        "where they are, yolo has copies",
    )


def _add_convert(commands: Any) -> None:
    command = _add_command(
        commands,
        "convert",
        "convert weights between formats",
        """
        Convert weights to a .keras file, to half its size (.safetensors, in half precision), or back to what
        torchvision (.pth) or Detectron2 (.pkl) reads.
        SOURCE is the name of a published model, which is downloaded (maskrcnn models lists them), a .keras
        file, a run folder (its best.keras), or a checkpoint (.pth, .pkl, .h5, .safetensors), whose architecture
        --model or --config says. What is printed with a .pth or .pkl file builds the model that it is for.

        examples:
          maskrcnn convert maskrcnn_resnet50_fpn_coco mask.keras
          maskrcnn convert mine.h5 mine.keras --model matterport_mask_rcnn_coco --classes cat,dog
          maskrcnn convert run/best.keras best.pth
          maskrcnn convert best.pth back.keras --config run/config.json
        """,
    )
    command.add_argument(
        "source", type=arguments.source, metavar="SOURCE", help="a published model's name, or a file"
    )
    command.add_argument(
        "target",
        type=arguments.checkpoint_to_write,
        metavar="TARGET",
        help="file to write, with the suffix .keras, .safetensors, .pth or .pkl; an existing one is replaced",
    )
    command.add_argument(
        "--model",
        type=arguments.published_name,
        metavar="NAME",
        help="the published model whose architecture a checkpoint has",
    )
    command.add_argument(
        "--config",
        type=arguments.config_file,
        default={},
        metavar="FILE",
        help="or JSON of the Config of the model that a checkpoint is of, such as a run's config.json",
    )
    command.add_argument(
        "--classes",
        type=arguments.names,
        metavar="A,B",
        help="names of the checkpoint's classes, in its order, if they are not the published model's (default: the "
        "published ones)",
    )


def _add_to_coco(commands: Any) -> None:
    command = _add_command(
        commands,
        "to-coco",
        "write annotations of any format as COCO JSON",
        """
        Read annotations of any format (COCO, VIA, labelme, masks, VOC, YOLO, CVAT, or detections as COCO results),
        check all of them, and write them as one COCO JSON file. Broken annotations are errors, and nothing is written
        then. File names in it are relative to --images, or else to the folder of TARGET.

        examples:
          maskrcnn to-coco via.json coco.json --images photos/ --class-key species
          maskrcnn to-coco labelled/ coco.json
          maskrcnn to-coco detected/detections.json pseudo.json --images photos/ --score-threshold 0.8
        """,
    )
    command.add_argument(
        "annotations", type=arguments.existing_path, metavar="ANNOTATIONS", help="as for train"
    )
    command.add_argument("target", type=arguments.new_file, metavar="TARGET", help="the JSON file to write")
    to_labels_parser.add_source_options(command)
    command.add_argument(
        "--save-images",
        type=arguments.output_folder,
        metavar="DIR",
        help="folder to write the images to that labelme embedded in its files; file names are relative to it then",
    )
    command.add_argument(
        "--polygons",
        action="store_true",
        help="write masks as polygons along the edges of their pixels; masks with holes stay RLE",
    )


def _add_models(commands: Any) -> None:
    command = _add_command(
        commands,
        "models",
        "list the published models that can be used by name",
        """
        List the published models that can be used by name, with their average precision (AP) in % as published,
        or all that is known of one.

        example:
          maskrcnn models matterport_mask_rcnn_coco
        """,
    )
    command.add_argument(
        "name",
        nargs="?",
        type=arguments.published_name,
        metavar="NAME",
        help="show all that is known of this one (default: list all)",
    )
