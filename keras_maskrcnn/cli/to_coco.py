"""`maskrcnn to-coco`: annotations of any format as one COCO JSON file."""

import argparse

from keras_maskrcnn.cli.arguments import format_options
from keras_maskrcnn.data.formats.coco_writer import write_coco
from keras_maskrcnn.data.formats.load import load_dataset


def run(args: argparse.Namespace) -> int:
    """Read, check, write, and say what was written; return the exit code."""
    records, names = load_dataset(
        args.annotations,
        args.images,
        score_threshold=args.score_threshold,
        **format_options(vars(args)),
    )
    folder = args.save_images or args.images or args.target.parent
    save_images = args.save_images is not None
    write_coco(args.target, records, names, folder, save_images, polygons=args.polygons)
    classes = ", ".join(names[:10]) + (", ..." if len(names) > 10 else "")
    print(f"Written: {args.target} ({len(names)} classes: {classes})")
    print(f"To use it: --annotations {args.target} --images {folder}")
    return 0
