"""What the three sides of nuclei.py share: their arguments and the form of their results; it needs Python alone."""

import argparse
import json
from pathlib import Path

PATHS = ("labels", "images", "config", "validation-names", "tuning-names", "result")


def arguments(description):
    """Return what nuclei.py tells a side."""
    parser = argparse.ArgumentParser(description=description)
    for name in PATHS:
        parser.add_argument(f"--{name}", type=Path, required=True)
    parser.add_argument("--steps", type=int, required=True, help="training steps, of four crops each")
    parser.add_argument("--seed", type=int, required=True)
    return parser.parse_args()


def row(score, box, rle):
    """One object: its score, box x1, y1, x2, y2 in pixels, and mask as COCO's compressed RLE."""
    counts = rle["counts"].decode() if isinstance(rle["counts"], bytes) else rle["counts"]
    box = [float(side) for side in box]
    return {"score": float(score), "bbox": box, "segmentation": {"size": list(rle["size"]), "counts": counts}}


def write(args, seconds, found, tuning):
    """Write what was found in the images to judge by and in those to tune by, and how long the training took."""
    args.result.write_text(json.dumps({"seconds": seconds, "found": found, "tuning": tuning}))
