"""`maskrcnn check`: the issues of a dataset, before hours of training show them."""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from keras_maskrcnn.cli.arguments import format_options
from keras_maskrcnn.cli.progress import in_terminal
from keras_maskrcnn.cli.train import FROM_SCRATCH
from keras_maskrcnn.config.config import Config
from keras_maskrcnn.data.formats.builder import WHY
from keras_maskrcnn.data.formats.load import load_dataset
from keras_maskrcnn.data.records import Record
from keras_maskrcnn.diagnostics.dataset.check import check_dataset
from keras_maskrcnn.diagnostics.dataset.report import DatasetReport
from keras_maskrcnn.utils.files import write_text


def run(args: argparse.Namespace) -> int:
    """Check the dataset, print and write the report; return 0, or 1 if there are errors."""
    fields = {**args.config, **dict(args.set)}
    masks = fields.get("mask_head") != "none"
    problems: list[str] = []
    options = {**format_options(vars(args)), "masks": masks, "problems": problems}
    report = _checked(args, fields, options)
    if args.json is not None:
        write_text(args.json, report.to_json() + "\n")
    if args.html is not None:
        report.write_html(args.html)
    # Names of files and classes may have characters that the terminal's encoding lacks.
    encoding = sys.stdout.encoding or "utf-8"
    print(str(report).encode(encoding, "backslashreplace").decode(encoding))
    return int(not report.ok or (args.strict and report.count("warning") > 0))


def _checked(args: argparse.Namespace, fields: dict[str, Any], options: dict[str, Any]) -> DatasetReport:
    records, names = _load(args.annotations, args.images, fields.get("class_names"), options)
    validation = None
    if args.val_annotations is not None:
        validation, _ = _load(args.val_annotations, args.val_images or args.images, names, options)
    if names is None:
        return check_dataset(records, None, None, validation, options["problems"])
    config = Config(**{**FROM_SCRATCH, **fields, "class_names": names})
    return check_dataset(
        records, config, None, validation, options["problems"], args.batch_size, progress=in_terminal()
    )


def _load(
    annotations: Path, images: Path | None, class_names: Sequence[str] | None, options: dict[str, Any]
) -> tuple[Sequence[Record], Sequence[str] | None]:
    """Load a split; if so much of it is refused that nothing is left, that is one more problem, and not the end."""
    problems: list[str] = options["problems"]
    known = len(problems)
    try:
        return load_dataset(annotations, images, class_names=class_names, **options)
    except ValueError as error:
        if len(problems) == known:
            raise
        problems.append(str(error).partition(WHY)[0])
        return [], class_names
