"""The arguments that say how detections are drawn."""

import argparse
from typing import Any

from keras_maskrcnn.drawing.choices import BOXES, COLOR_BY, LABELS


def add_drawing(command: Any) -> None:
    """Add the arguments that say what is drawn, and how."""
    command.add_argument("--no-drawings", action="store_true", help="draw nothing")
    command.add_argument(
        "--outlines", action="store_true", help="draw the masks' outlines, without a tint inside"
    )
    command.add_argument(
        "--labels",
        choices=LABELS,
        default="auto",
        help="auto: beside their objects where they hide nothing, else a legend with counts and ranges of scores; all, "
        "none; legend: in place of all labels; strip: the same below the image, which becomes higher (default: auto)",
    )
    command.add_argument(
        "--boxes",
        choices=BOXES,
        default="auto",
        help="auto: not where masks show more than 20 objects (default: auto)",
    )
    command.add_argument(
        "--color-by",
        choices=(*COLOR_BY, "track"),
        default="auto",
        help="auto: by track where a video has tracks, else by instance, or by class where a legend is in place of the "
        "labels of several (default: auto)",
    )
    command.add_argument(
        "--no-stretch",
        action="store_true",
        help="leave gray images that are nearly black as dark as they are",
    )


def drawing_options(args: argparse.Namespace) -> dict[str, Any]:
    """Return `Detections.draw`'s arguments.

    Raises:
        ValueError: they are for drawings, and there are none.
    """
    given = [
        name
        for name, value in (
            ("--outlines", args.outlines),
            ("--labels", args.labels != "auto"),
            ("--boxes", args.boxes != "auto"),
            ("--color-by", args.color_by != "auto"),
            ("--no-stretch", args.no_stretch),
        )
        if value
    ]
    if args.no_drawings and given:
        raise ValueError(f"{given[0]} is for drawings, of which --no-drawings makes none")
    return {
        "fill": not args.outlines,
        "labels": LABELS[args.labels],
        "show_boxes": BOXES[args.boxes],
        "color_by": args.color_by,
        "stretch": False if args.no_stretch else "auto",
    }
