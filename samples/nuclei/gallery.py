"""Draw what the packaged model of nuclei finds in images that are drawn too, and say how much of it is right.

    python samples/nuclei/gallery.py --output gallery

Cells that touch, blurred ones, dim ones of 16 bits, small and large ones, and 3000 x 3000 pixels in tiles: the model
has seen none of them. Each becomes a picture of the image beside what was found, outlined.
"""

import argparse
import os
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")  # no lines about missing GPUs
os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "1")  # faster on processors without AVX-512

from cells import draw_cells
from PIL import Image

import keras_maskrcnn as km

SCENES = {
    "touching": {"height": 200, "width": 300, "count": 110},
    "blurred": {"height": 200, "width": 300, "count": 60, "blur": 3.0},
    "dim": {"height": 200, "width": 300, "count": 60, "blur": 2.0, "brightest": 4000},
    "small": {"height": 200, "width": 300, "count": 200, "radius": 4},
    "large": {"height": 400, "width": 600, "count": 60, "radius": 20, "blur": 2.0},
    "tiles": {"height": 3000, "width": 3000, "count": 6000},
}
"""What `draw_cells` draws."""

SHOWN = 600
"""Of an image larger than that its upper left part is shown, as wide and high."""


def find(model, image):
    """The detections of an image; a large one is searched in tiles."""
    tile = 512 if max(image.shape) > 1024 else None
    (found,) = model.detect(image, score_threshold=0.5, masks="rle", tile=tile)
    return found


def picture(image, found):
    """The image beside what was found in it."""
    plain = found.draw(image, min_score=2.0, labels=False).convert("RGB")
    drawn = found.draw(image, labels=False, fill=False, show_boxes=False)
    part = (0, 0, min(SHOWN, plain.width), min(SHOWN, plain.height))
    both = Image.new("RGB", (2 * part[2] + 4, part[3]), "white")
    for place, half in ((0, plain), (part[2] + 4, drawn)):
        both.paste(half.crop(part), (place, 0))
    return both


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--output", type=Path, default=Path("gallery"), help="folder to write to")
    parser.add_argument("--scenes", nargs="+", choices=SCENES, default=list(SCENES), help="left out: all")
    args = parser.parse_args()

    args.output.mkdir(parents=True, exist_ok=True)
    model = km.load_pretrained("nuclei_resnet18_fpn")
    for name in args.scenes:
        image, truth = draw_cells(**SCENES[name], seed=1)
        found = find(model, image)
        scores = km.score_label_images(truth, found.to_label_image())
        right = ", ".join(f"{scores.accuracy[i]:.2f} at {scores.iou_thresholds[i]:.1f}" for i in (0, 4, 6))
        print(f"{name}: {len(set(truth.flat)) - 1} drawn, {len(found)} found; TP / (TP + FP + FN) {right}")
        picture(image, found).save(args.output / f"{name}.png")


if __name__ == "__main__":
    main()
