"""`maskrcnn export`: a model as an artefact for another runtime."""

import argparse
import itertools

from keras_maskrcnn.artefacts.export import export
from keras_maskrcnn.cli.common import interruptible, open_model


def run(args: argparse.Namespace) -> int:
    """Export, and print how the artefact compares; return the exit code."""
    model = open_model(args.model)
    images, calibrate = (
        None if given is None else list(itertools.chain(*given)) for given in (args.images, args.calibrate)
    )
    masks = None if args.masks == "none" else args.masks
    with interruptible():
        print(export(model, args.path, args.format, args.inputs, masks, images, args.int8, calibrate))
    return 0
