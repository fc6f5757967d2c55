"""Types of command line arguments; each refuses a wrong value before TensorFlow is loaded."""

import argparse
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from keras_maskrcnn.config.config import Config
from keras_maskrcnn.config.table import config_help
from keras_maskrcnn.config.values import checked_values
from keras_maskrcnn.data.formats import FORMATS
from keras_maskrcnn.detections.views import make_views
from keras_maskrcnn.presets import PRESETS, find_preset
from keras_maskrcnn.runtime.description import is_artefact
from keras_maskrcnn.utils.files import IMAGE_SUFFIXES, image_files

CHECKPOINTS = (".keras", ".pth", ".pkl", ".safetensors")
"""What `maskrcnn convert` writes: this package's models, and torchvision's and Detectron2's checkpoints."""
WRITABLE = tuple(row.name for row in FORMATS if row.write is not None)
"""Formats of annotations that can be written."""
IMAGES_HELP = (
    f"folder of the images ({', '.join(row.name for row in FORMATS if not row.needs_images)} know theirs, and masks if "
    "they are with them)"
)


def existing_file(text: str) -> Path:
    """Return the path of a file that exists."""
    path = Path(text)
    if not path.exists():
        raise argparse.ArgumentTypeError(f"{text}: there is no such file")
    if path.is_dir():
        raise argparse.ArgumentTypeError(f"{text}: this is a folder, not a file")
    return path


def model_file(text: str) -> Path:
    """Return the path of a `.keras` file that exists; of a run folder it is the best model, or else the last."""
    if Path(text).is_dir():
        found = [path for name in ("best.keras", "model.keras") if (path := Path(text) / name).is_file()]
        if not found:
            raise argparse.ArgumentTypeError(f"{text}: the folder has no best.keras and no model.keras")
        return found[0]
    path = existing_file(text)
    if path.suffix != ".keras":
        raise argparse.ArgumentTypeError(f"{text}: a model file must end in .keras")
    return path


def published_name(text: str) -> str:
    """Return the name of a published model."""
    try:
        return find_preset(text).name
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


def model_or_name(text: str) -> Path | str:
    """Return the path of a `.keras` file that exists, also of a run folder's, or the name of a published model."""
    return model_file(text) if _is_file(text) else published_name(text)


def model_or_artefact(text: str) -> Path | str:
    """Return what `model_or_name` does, or the path of what `maskrcnn export` has written, if it is there."""
    return Path(text) if Path(text).exists() and is_artefact(text) else model_or_name(text)


def source(text: str) -> Path | str:
    """Return the path of a file that exists, also of a run folder's model, or the name of a published model."""
    if Path(text).is_dir():
        return model_or_name(text)
    return existing_file(text) if _is_file(text) else published_name(text)


def _is_file(text: str) -> bool:
    """Whether it is meant as a file or folder, be it there or not; names of published models have no suffix."""
    return text not in PRESETS and (Path(text).suffix != "" or Path(text).exists())


def names(text: str) -> list[str]:
    """Return the names that commas separate."""
    return [name.strip() for name in text.split(",")]


def augmentation(text: str) -> list[str | float]:
    """Return the names and scales that commas separate, as `MaskRCNN.detect` takes them."""
    entries = [_number_or_name(name) for name in names(text)]
    try:
        make_views(entries)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None
    return entries


def _number_or_name(text: str) -> str | float:
    try:
        return float(text)
    except ValueError:
        return text


def checkpoint_to_write(text: str) -> Path:
    """Return the path of a file that can be written, whose suffix says its format."""
    path = new_file(text)
    if path.suffix not in CHECKPOINTS:
        raise argparse.ArgumentTypeError(f"{text}: it must end in {', '.join(CHECKPOINTS)}")
    return path


def existing_folder(text: str) -> Path:
    """Return the path of a folder that exists."""
    path = Path(text)
    if not path.is_dir():
        reason = "this is no folder" if path.exists() else "there is no such folder"
        raise argparse.ArgumentTypeError(f"{text}: {reason}")
    return path


def existing_path(text: str) -> Path:
    """Return the path of a file or folder that exists."""
    path = Path(text)
    if not path.exists():
        raise argparse.ArgumentTypeError(f"{text}: there is no such file or folder")
    return path


def add_dataset_options(group: Any, required: bool = False) -> None:
    """Add what says where the training and the validation images and their annotations are."""
    group.add_argument(
        "--annotations",
        type=existing_path,
        metavar="PATH",
        required=required,
        help=f"annotations of the training images: {', '.join(row.description for row in FORMATS)}",
    )
    group.add_argument(
        "--images",
        type=existing_folder,
        metavar="DIR",
        help=IMAGES_HELP,
    )
    group.add_argument(
        "--val-annotations", type=existing_path, metavar="PATH", help="annotations of images to validate on"
    )
    group.add_argument(
        "--val-images", type=existing_folder, metavar="DIR", help="their folder (default: --images)"
    )
    add_format_options(group)


def add_config_options(group: Any) -> None:
    """Add --config and --set, which choose the Config."""
    group.add_argument(
        "--config",
        type=config_file,
        default={},
        metavar="FILE",
        help="JSON of a Config, or of some of its fields, such as another run's config.json; without class_names, "
        "the classes are the annotation file's",
    )
    group.add_argument(
        "--set",
        type=setting,
        action="append",
        default=[],
        metavar="FIELD=VALUE",
        help="set a field of the Config, after --config; may be repeated; VALUE is JSON or a string, such "
        "as train_min_sizes=[640,800]",
    )
    group.add_argument(
        "--help-config", action=_HelpConfig, nargs=0, help="show all fields of the Config, and exit"
    )


class _HelpConfig(argparse.Action):
    """Prints the fields and exits, as --help does, whatever else is given or missing."""

    def __call__(self, parser: argparse.ArgumentParser, *_: Any, **__: Any) -> None:
        print(config_help())
        parser.exit()


def add_format_options(command: Any) -> None:
    """Add the arguments that say how annotations are to be read."""
    names = [row.name for row in FORMATS]
    command.add_argument(
        "--format",
        choices=names,
        metavar="NAME",
        help=f"format of the annotations: {', '.join(names)} (default: what they look like)",
    )
    command.add_argument(
        "--class-key", metavar="KEY", help=f"what tells the class: {_option_help('class_key')}"
    )
    command.add_argument("--default-class", metavar="NAME", help=_option_help("default_class"))
    command.add_argument("--mask-suffix", metavar="TEXT", help=_option_help("mask_suffix"))
    command.add_argument("--completed-by", metavar="WHO", help=_option_help("completed_by"))


def _option_help(option: str) -> str:
    """What an option means to each of the formats that take it."""
    return "; ".join(f"of {row.name} {row.options[option]}" for row in FORMATS if option in row.options)


def format_options(given: Mapping[str, Any]) -> dict[str, Any]:
    """Return those of the arguments, by name, that say how annotations are to be read, for `load_dataset`."""
    names = ("format", "class_key", "default_class", "mask_suffix", "completed_by")
    return {name: given[name] for name in names}


def new_file(text: str) -> Path:
    """Return the path of a file that can be written: nothing should fail after hours of work."""
    path = Path(text)
    if path.is_dir() or not path.parent.is_dir():
        reason = "this is a folder" if path.is_dir() else f"there is no folder {path.parent}"
        raise argparse.ArgumentTypeError(f"{text}: {reason}")
    return path


def output_folder(text: str) -> Path:
    """Return the path of a folder that exists or can be made."""
    path = Path(text)
    if path.exists() and not path.is_dir():
        raise argparse.ArgumentTypeError(f"{text}: this is a file, not a folder")
    return path


def model_and_inputs(inputs: list[str], model: Path | str | None) -> tuple[Path | str, list[str]]:
    """Return the model, the first of the inputs unless it was given otherwise, and the others.

    Raises:
        ArgumentTypeError: the model is not there, or there are no others.
    """
    if model is None:
        model, inputs = model_or_artefact(inputs[0]), inputs[1:]
    if not inputs:
        raise argparse.ArgumentTypeError("images must be given: maskrcnn predict MODEL IMAGE ...")
    return model, inputs


def images(text: str) -> list[Path]:
    """Return the image file of this name, or the image files in the folder of this name, sorted."""
    path = Path(text)
    if not path.is_dir():
        return [_image(existing_file(text))]
    found = image_files(path)
    if not found:
        raise argparse.ArgumentTypeError(
            f"{text}: the folder has no image files ({', '.join(IMAGE_SUFFIXES)})"
        )
    return found


def _image(path: Path) -> Path:
    """Return the path unless it is a JSON file that embeds no image, as labelme's may."""
    if path.suffix.lower() == ".json" and '"imageData"' not in path.read_text("utf-8", errors="replace"):
        raise argparse.ArgumentTypeError(f"{path}: this is no image; maskrcnn evaluate takes annotations")
    return path


def setting(text: str) -> tuple[str, Any]:
    """Return the name and the value of FIELD=VALUE; the value is JSON, or else a string."""
    name, equals, value = text.partition("=")
    if not equals:
        raise argparse.ArgumentTypeError(f"it must look like FIELD=VALUE; got {text}")
    try:
        parsed = json.loads(value)
    except ValueError:
        parsed = value
    ((name, parsed),) = _checked({name: parsed}).items()
    return name, parsed


def config_file(text: str) -> dict[str, Any]:
    """Return the fields that a JSON file gives a Config; not every field need be there."""
    path = existing_file(text)
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise argparse.ArgumentTypeError(f"{text}: this is no valid JSON: {error}") from None
    if not isinstance(values, dict):
        raise argparse.ArgumentTypeError(f"{text}: a Config is a JSON object {{field: value}}")
    try:
        return _checked(values)
    except argparse.ArgumentTypeError as error:
        raise argparse.ArgumentTypeError(f"{text}: {error}") from None


def _checked(values: Any) -> dict[str, Any]:
    """Check some of a Config's fields as the Config does."""
    try:
        return checked_values(Config, values)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None
