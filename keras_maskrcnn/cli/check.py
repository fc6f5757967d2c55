"""`maskrcnn check`: the issues of a dataset, before hours of training show them."""

import argparse
import sys

from keras_maskrcnn.cli.progress import in_terminal
from keras_maskrcnn.cli.train import FROM_SCRATCH
from keras_maskrcnn.config.config import Config
from keras_maskrcnn.data.formats.load import load_dataset
from keras_maskrcnn.diagnostics.dataset.check import check_dataset


def run(args: argparse.Namespace) -> int:
    """Check the dataset, print and write the report; return 0, or 1 if there are errors."""
    fields = {**args.config, **dict(args.set)}
    masks = fields.get("mask_head") != "none"
    problems: list[str] = []
    options = {"class_key": args.class_key, "masks": masks, "problems": problems}
    named = fields.get("class_names")
    records, names = load_dataset(args.annotations, args.images, args.format, named, **options)
    validation = None
    if args.val_annotations is not None:
        images = args.val_images or args.images
        validation, _ = load_dataset(args.val_annotations, images, args.format, names, **options)
    config = Config(**{**FROM_SCRATCH, **fields, "class_names": names})
    report = check_dataset(
        records, config, None, validation, problems, args.batch_size, progress=in_terminal()
    )
    if args.json is not None:
        args.json.write_text(report.to_json() + "\n")
    if args.html is not None:
        report.write_html(args.html)
    # Names of files and classes may have characters that the terminal's encoding lacks.
    encoding = sys.stdout.encoding or "utf-8"
    print(str(report).encode(encoding, "backslashreplace").decode(encoding))
    return int(not report.ok or (args.strict and report.count("warning") > 0))
