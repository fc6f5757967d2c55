"""The arguments of `maskrcnn evaluate`, and which of them go together."""

import argparse
from pathlib import Path
from typing import Any

from keras_maskrcnn.cli import arguments, numbers
from keras_maskrcnn.detections.views import ALL_ORIENTATIONS, ORIENTATIONS
from keras_maskrcnn.presets import PRESETS

DESCRIPTION = """
Run a model on annotated images, and print COCO's average precision (AP) and recall (AR)
of boxes, masks and keypoints, 0 to 1. AP is the mean over IoU 0.50 to 0.95; small objects have up to
32 x 32 pixels, large ones over 96 x 96.

The images are those of --annotations and --images, or COCO's validation images of 2017: --coco is a
folder with val2017/ and annotations/, in which instances_val2017.json is read, or for models with
keypoints person_keypoints_val2017.json.

With --accuracy-test, Detectron2's accuracy tests are run on their 100 images (the same file names
with _100 before .json): Mask R-CNN with FPN, C4 and DC5, Keypoint R-CNN and Cascade R-CNN must reach
the AP that Detectron2 expects of them, within 0.02 %. The exit code is 0 only if all do.

examples:
  maskrcnn evaluate run/ --annotations val.json --images val/ --per-class
  maskrcnn evaluate run/ --annotations val.json --images val/ --report report/
  maskrcnn evaluate run/ --annotations labels/ --images val/ --matching 0.5
  maskrcnn evaluate --model maskrcnn_resnet50_fpn_coco --coco coco/
  maskrcnn evaluate --accuracy-test --coco coco/
"""


def add_options(command: Any) -> None:
    """Add all arguments of the command."""
    _add_inputs(command)
    command.add_argument(
        "--accuracy-test", action="store_true", help="run Detectron2's accuracy tests, or that of --model"
    )
    command.add_argument(
        "--matching",
        type=numbers.fraction,
        nargs="?",
        const=0.5,
        metavar="SCORE",
        help="also compare detections of at least this score as label images: TP, FP and FN at IoU 0.50 to 0.95, and "
        "the 2018 Data Science Bowl's score (default: 0.5)",
    )
    command.add_argument("--per-class", action="store_true", help="print each class's AP first, best first")
    add_limits(command, None, "the model's, usually 0.05, or that of its published metrics")
    add_tiles(command)
    add_augmentation(command)
    command.add_argument(
        "--batch-size", type=numbers.count, default=1, metavar="N", help="images at a time (default: 1)"
    )
    _add_outputs(command)


def _add_inputs(command: Any) -> None:
    file, folder = arguments.existing_file, arguments.existing_folder
    command.add_argument(
        "file",
        nargs="?",
        type=arguments.model_or_artefact,
        metavar="MODEL",
        help="a .keras file, a run folder (its best.keras), what maskrcnn export has written, or what --model takes",
    )
    command.add_argument(
        "--model",
        type=arguments.published_name,
        metavar="NAME",
        help="a published model, which is downloaded if need be (maskrcnn models lists them)",
    )
    command.add_argument(
        "--weights", type=file, metavar="FILE", help="a checkpoint to use instead of the published one"
    )
    command.add_argument(
        "--annotations",
        type=arguments.existing_path,
        metavar="PATH",
        help="annotations of any format that maskrcnn train takes",
    )
    command.add_argument(
        "--images",
        type=folder,
        metavar="DIR",
        help="folder of the images (labelme, YOLO, VOC and CVAT know theirs)",
    )
    arguments.add_format_options(command)
    command.add_argument("--coco", type=folder, metavar="DIR", help="folder of COCO 2017, instead of these")


def _add_outputs(command: Any) -> None:
    command.add_argument(
        "--results",
        type=arguments.new_file,
        metavar="FILE",
        help="write the detections, as COCO results (JSON), and those of each kind beside it (results.mask.json), for "
        "pycocotools to score as here",
    )
    command.add_argument(
        "--report",
        type=arguments.output_folder,
        metavar="DIR",
        help="write report.html with precision-recall curves, each class's AP, a confusion matrix and the worst "
        "mistakes (IoU and scores from 0.5), and these as PNG and CSV",
    )
    command.add_argument("--json", type=arguments.new_file, metavar="FILE", help="write the metrics, as JSON")


def check(args: argparse.Namespace) -> None:
    """Raise a ValueError or FileNotFoundError unless the arguments go together; `args.model` is the model then."""
    tiling(args)
    if args.file is not None and args.model is not None:
        raise ValueError(f"the model is {args.file} or --model {args.model}, not both")
    args.model = args.file if args.model is None else args.model
    if args.weights is not None and not isinstance(args.model, str):
        raise ValueError("--weights needs --model NAME, which says the architecture")
    if args.coco is not None and (
        args.annotations or args.images or any(arguments.format_options(vars(args)).values())
    ):
        raise ValueError("the images are those of --coco, or of --annotations and --images, not both")
    if args.accuracy_test:
        if args.coco is None:
            raise ValueError("--accuracy-test needs --coco")
        for name in ("tile", "augment"):
            if getattr(args, name) is not None:
                raise ValueError(f"--accuracy-test measures as Detectron2 does, without --{name}")
        for name in (
            "report",
            "results",
            "json",
            "per_class",
            "score_threshold",
            "max_detections",
            "matching",
        ):
            if getattr(args, name) not in (None, False):
                raise ValueError(
                    f"--accuracy-test has no use for --{name.replace('_', '-')}: it only says pass or fail; evaluate "
                    "one model instead"
                )
        if isinstance(args.model, Path):
            raise ValueError(
                f"--accuracy-test needs the name of a published model, or none; got {args.model}"
            )
        return
    if args.model is None:
        raise ValueError("a model must be given: a .keras file, or --model with a published model's name")
    if args.coco is None and not args.annotations:
        raise ValueError("--annotations must be given, or --coco")
    if isinstance(args.model, str):
        _check_published(args)


def _check_published(args: argparse.Namespace) -> None:
    preset = PRESETS[args.model]
    if preset.is_backbone:
        raise ValueError(f"{preset.name} is a backbone, which detects nothing")
    if args.coco is not None:
        if preset.dataset != "COCO":
            raise ValueError(f"{preset.name} detects the classes of {preset.dataset}, not COCO's")
        coco_files(args.coco, bool(preset.config.keypoint_names))


def coco_files(folder: Path, keypoints: bool, subset: str = "") -> tuple[Path, Path]:
    """Return the annotation file and the image folder of COCO's validation images of 2017.

    Raises:
        FileNotFoundError: one is not in the folder; the message says which.
    """
    kind = "person_keypoints" if keypoints else "instances"
    annotations = folder / "annotations" / f"{kind}_val2017{subset}.json"
    images = folder / "val2017"
    if not annotations.is_file():
        raise FileNotFoundError(f"{annotations}: there is no such file")
    if not images.is_dir():
        raise FileNotFoundError(f"{images}: there is no such folder")
    return annotations, images


def add_limits(command: Any, score_threshold: float | None, described: str) -> None:
    """Add the arguments that say which detections count."""
    command.add_argument(
        "--score-threshold",
        type=numbers.fraction,
        default=score_threshold,
        metavar="SCORE",
        help=f"detections must score more, 0 to 1 (default: {described})",
    )
    command.add_argument(
        "--max-detections",
        type=numbers.count,
        metavar="N",
        help="at most so many per image (default: the model's, usually 100; with --tile so many per tile, and all of "
        "the image)",
    )


def add_tiles(command: Any) -> None:
    """Add the arguments that say how large images are tiled."""
    command.add_argument(
        "--tile",
        type=numbers.count,
        metavar="PIXELS",
        help="detect in overlapping tiles of large images with this side, each resized by itself, and in the whole "
        "image: for small objects (default: in the whole image only)",
    )
    command.add_argument(
        "--tile-overlap",
        type=numbers.count_or_zero,
        metavar="PIXELS",
        help="overlap of neighbouring tiles; objects up to this size are whole in one of them (default: a quarter of "
        "--tile)",
    )
    command.add_argument(
        "--tiles-only",
        action="store_true",
        help="with --tile: not in the whole image, where small objects are hard to detect",
    )


def add_augmentation(command: Any) -> None:
    """Add the argument that says what test-time augmentation there is."""
    command.add_argument(
        "--augment",
        type=arguments.augmentation,
        metavar="A,B",
        help=f"test-time augmentation: detect in the image and in it as {', '.join(ORIENTATIONS)} or "
        f"{ALL_ORIENTATIONS} (all of these) make it, each also scaled by the numbers given, as in "
        "horizontal_flip,0.75,1.5 for six images; each takes the time of two (default: in the image alone)",
    )


def tiling(args: argparse.Namespace) -> dict[str, Any]:
    """Return `MaskRCNN.detect`'s arguments for tiles.

    Raises:
        ValueError: they do not go together.
    """
    if args.tile is None and (args.tile_overlap is not None or args.tiles_only):
        raise ValueError("--tile-overlap and --tiles-only need --tile, the side of the tiles")
    if args.tile_overlap is not None and args.tile_overlap >= args.tile:
        raise ValueError(f"--tile-overlap {args.tile_overlap} must be less than --tile {args.tile}")
    return {"tile": args.tile, "tile_overlap": args.tile_overlap, "tile_whole": not args.tiles_only}
