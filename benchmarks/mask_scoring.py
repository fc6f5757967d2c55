"""What ranking masks by their predicted IoU gives (Mask Scoring R-CNN): mask AP on drawn shapes, same steps, same seed.

python benchmarks/mask_scoring.py [--steps 600] [--images 300]

Two small models are trained from scratch alike, one with the MaskIoU head. Of that one the same detections are scored
twice: ranked by their class scores, and by class score times predicted IoU.
"""

import argparse
import dataclasses
import importlib.util
import os
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "1")  # faster on processors without AVX-512

import keras

import keras_maskrcnn as km

CLASSES = ("circle", "square", "triangle")
SAMPLE = Path(__file__).resolve().parents[1] / "samples" / "shapes" / "train.py"


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--steps", type=int, default=600, help="training steps of four images each")
    parser.add_argument("--images", type=int, default=300, help="images to evaluate on")
    options = parser.parse_args()
    spec = importlib.util.spec_from_file_location("shapes", SAMPLE)
    shapes = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(shapes)
    validation = shapes.Shapes(options.images, seed=1)
    print("| model | masks ranked by | mask AP | AP50 | AP75 | box AP |\n|---|---|---|---|---|---|")
    for mask_iou_head in (False, True):
        config = dataclasses.replace(shapes.small_config(), mask_iou_head=mask_iou_head)
        model = trained(config, shapes.Shapes(4 * options.steps, seed=0), options.steps)
        detections = km.detect_records(model, validation, progress=False)
        name = "with the MaskIoU head" if mask_iou_head else "without"
        without = [dataclasses.replace(one, mask_scores=None) for one in detections]
        print_row(name, "class score", without, validation)
        if mask_iou_head:
            print_row(name, "class score x predicted IoU", detections, validation)


def trained(config, records, steps):
    """A model after so many steps of the sample's recipe."""
    keras.utils.set_random_seed(0)
    model = km.MaskRCNN(config)
    rate = keras.optimizers.schedules.CosineDecay(1e-5, steps, warmup_target=5e-4, warmup_steps=steps // 10)
    model.compile(optimizer=keras.optimizers.AdamW(rate, weight_decay=1e-3, clipnorm=5.0))
    model.fit(km.make_dataset(records, config, batch_size=4, training=True), verbose=0)
    return model


def print_row(name, ranking, detections, records):
    """One row of the table."""
    scores = km.analyse(records, detections, CLASSES).scores
    values = (scores[key] for key in ("mask_AP", "mask_AP50", "mask_AP75", "box_AP"))
    print(f"| {name} | {ranking} | " + " | ".join(f"{value:.4f}" for value in values) + " |", flush=True)


if __name__ == "__main__":
    main()
