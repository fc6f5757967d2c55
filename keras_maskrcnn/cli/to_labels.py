"""`maskrcnn to-labels`: annotations of any format in any that can be written."""

import argparse

from keras_maskrcnn.cli.arguments import format_options, new_file, output_folder
from keras_maskrcnn.cli.labels import named_from
from keras_maskrcnn.data.formats.detect import named_format
from keras_maskrcnn.data.formats.load import load_dataset
from keras_maskrcnn.data.formats.write import write_dataset
from keras_maskrcnn.utils.counted import counted


def run(args: argparse.Namespace) -> int:
    """Read, check, write, and say what was written; return the exit code."""
    target = (
        new_file(str(args.target)) if named_format(args.write).file_name else output_folder(str(args.target))
    )
    options = format_options(vars(args))
    records, names = load_dataset(
        args.annotations, args.images, score_threshold=args.score_threshold, **options
    )
    write_dataset(target, records, names, args.write, named_from(args.write, args.images, records))
    listed = ", ".join(names[:10]) + (", ..." if len(names) > 10 else "")
    print(
        f"Written: {target}, {args.write} ({counted(len(records), 'image')}; {len(names)} classes: {listed})"
    )
    return 0
