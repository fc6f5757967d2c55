"""How many images per second the input pipeline delivers, and where the time of one image goes.

python benchmarks/input_pipeline.py annotations.json images/ --min-size 800
python benchmarks/input_pipeline.py annotations.json images/ --augmentations
"""

import argparse
import dataclasses
import os
import time
from collections.abc import Callable

os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "1")  # faster on processors without AVX-512

import tensorflow as tf

from keras_maskrcnn.config.config import Config
from keras_maskrcnn.data.formats.coco import load_coco
from keras_maskrcnn.data.pipeline.dataset import make_dataset
from keras_maskrcnn.data.records import Record
from keras_maskrcnn.images.io import read_image
from keras_maskrcnn.images.resize import pad_to_multiple, resize_image
from keras_maskrcnn.images.sizes import resized_size
from keras_maskrcnn.masks.crop_paste import crop_segmentation

AUGMENTATIONS = {
    "none": {},
    "vertical flip": {"vertical_flip_probability": 0.5},
    "quarter turns": {"rotate90_probability": 0.75},
    "scale jitter 0.8..1.2": {"scale_jitter": (0.8, 1.2)},
    "rotation by 15 degrees": {"max_rotation_degrees": 15.0},
    "large-scale jitter at 1024": {
        "min_size": 1024, "max_size": 1024, "crop_size": 1024, "scale_jitter": (0.1, 2.0)
    },
    "brightness": {"brightness": 0.2},
    "contrast": {"contrast": 0.2},
    "saturation": {"saturation": 0.2},
    "hue": {"hue": 0.05},
    "blur": {"blur_sigma": 1.0},
    "cutout": {"cutout_count": 4},
    "copy-paste": {"copy_paste_probability": 1.0},
}  # fmt: skip
TOGETHER = {name: value for fields in AUGMENTATIONS.values() for name, value in fields.items()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("annotations", help="COCO JSON")
    parser.add_argument("images", help="folder of the images")
    parser.add_argument("--min-size", type=int, default=800, help="short side in pixels (default 800)")
    parser.add_argument("--batch-size", type=int, default=2)
    parser.add_argument("--augmentations", action="store_true", help="time an epoch with each augmentation")
    args = parser.parse_args()
    start = time.perf_counter()
    records, names = load_coco(args.annotations, args.images)
    print(f"load_coco: {time.perf_counter() - start:.2f} s for {records.report}")
    config = Config(tuple(names), min_size=args.min_size)
    if args.augmentations:
        print_augmentations(records, config, args.batch_size)
        return
    print_throughput(records, config, args.batch_size)
    print_parts(records, config)


def print_throughput(records: list[Record], config: Config, batch_size: int) -> None:
    dataset = make_dataset(records, config, batch_size, training=True)
    for name in ("first epoch", "second epoch"):
        start = time.perf_counter()
        for _ in dataset:
            pass
        seconds = time.perf_counter() - start
        print(f"{name}: {len(records) / seconds:.1f} images/s")


def print_augmentations(records: list[Record], config: Config, batch_size: int) -> None:
    for name, fields in {**AUGMENTATIONS, "all of these": TOGETHER}.items():
        dataset = make_dataset(records, dataclasses.replace(config, **fields), batch_size, training=True)
        next(iter(dataset))  # which builds the graph
        start = time.perf_counter()
        for _ in dataset:
            pass
        seconds = time.perf_counter() - start
        share = f"{dataset.dropped.fraction:.1%} of objects dropped"
        print(f"{name:>28}: {len(records) / seconds:5.1f} images/s, {share}", flush=True)


def print_parts(records: list[Record], config: Config) -> None:
    """Time each step alone, one image after the other, TensorFlow's own threads included."""
    totals = {"read": 0.0, "mask crops": 0.0, "resize": 0.0, "flip": 0.0, "pad": 0.0}

    def timed(part: str, step: Callable[[], object]) -> object:
        start = time.perf_counter()
        result = step()
        totals[part] += time.perf_counter() - start
        return result

    for record in records:
        size = resized_size(
            record.height, record.width, config.min_size, config.max_size, config.size_rounding
        )
        image = timed("read", lambda: read_image(record.image).astype("float32"))  # noqa: B023
        timed("mask crops", lambda: crops(record, config.mask_crop_size))  # noqa: B023
        resized = timed("resize", lambda: resize_image(image, size))  # noqa: B023
        timed("flip", lambda: tf.reverse(resized, [1]))  # noqa: B023
        timed("pad", lambda: pad_to_multiple(resized, config.size_divisor))  # noqa: B023
    for part, seconds in totals.items():
        print(f"{part:>10}: {1000 * seconds / len(records):6.2f} ms per image")


def crops(record: Record, size: int) -> None:
    for segmentation, box, crowd in zip(record.masks or (), record.boxes, record.crowd, strict=True):
        if not crowd:
            crop_segmentation(segmentation, box, record.height, record.width, size)


if __name__ == "__main__":
    main()
