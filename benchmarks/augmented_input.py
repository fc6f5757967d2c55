"""What an image of the input pipeline costs with all that moves and recolours it, at 1024 x 1024, and where it goes.

python benchmarks/augmented_input.py [--images 32] [--rounds 5]

JPEGs of 640 x 480, quality 90, drawn here, with eight polygons each; large-scale jitter of 0.1 to 2, copy-paste,
rotation by 15 degrees, brightness, contrast, saturation, hue and flips. CPU seconds are of all threads of the process:
images per CPU second are what one core delivers. Then the same images one after the other, with a clock around each
stage's own function; and single steps by each of the libraries at hand, which bound what is possible with them.
"""

import argparse
import contextlib
import dataclasses
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from unittest import mock

import keras
import numpy as np
import peers
import skimage.transform
import tensorflow as tf
from PIL import Image

import keras_maskrcnn as km
from keras_maskrcnn.data.augment import compose, random
from keras_maskrcnn.data.augment.recolor import recolored
from keras_maskrcnn.data.fields import fields_of

HEIGHT, WIDTH, SIDE, OBJECTS = 480, 640, 1024, 8
COLOURS = {"brightness": 0.2, "contrast": 0.2, "saturation": 0.2, "hue": 0.05}
JITTER = km.Config(
    class_names=("blob",), min_size=SIDE, max_size=SIDE, crop_size=SIDE, scale_jitter=(0.1, 2.0)
)
ROTATED = dataclasses.replace(JITTER, max_rotation_degrees=15.0)
PASTED = dataclasses.replace(ROTATED, copy_paste_probability=1.0)
ALL = dataclasses.replace(PASTED, **COLOURS)
CONFIGS = {
    "large-scale jitter": JITTER, "and rotation": ROTATED, "and copy-paste": PASTED, "and colours: all": ALL
}  # fmt: skip
FACTORS = {"delta": 20.0, "contrast": 1.1, "saturation": 0.9, "hue": 0.03}
STAGES = {
    "read_pixels": (random,),
    "place_objects": (random, compose),
    "move_image": (random, compose),
    "paste": (random,),
    "composed_example": (random,),
}
"""The functions of an example, and the modules that call them."""
NAMES = {
    "read_pixels 1": "decode the JPEG", "read_pixels 2": "decode the one to paste from",
    "move_image 1": "resample the image", "move_image 2": "resample what is pasted",
    "place_objects 1": "move and draw the masks", "place_objects 2": "move and draw those to paste from",
    "paste 1": "paste: pixels and masks", "composed_example 1": "crop the masks to their boxes, pixels to float32",
    "rest": "random numbers, the rest",
}  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--images", type=int, default=32)
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        records = [drawn_record(Path(folder), number) for number in range(options.images)]
        size = statistics.mean(Path(record.image).stat().st_size for record in records)
        print(f"{peers.machine()}; JPEGs of {size / 1000:.0f} kB\n")
        whole = print_epochs(records, options.rounds)
        print_stages(records, options.rounds, whole)
        print_steps(Path(records[0].image), options.rounds)


def drawn_record(folder: Path, number: int) -> km.Record:
    """Noisy blobs as a JPEG, with polygons of 12 to 150 pixels' radius."""
    generator = np.random.default_rng(number)
    noise = generator.normal(0, 12, (HEIGHT, WIDTH, 3))
    image = np.clip(peers.made_image(HEIGHT, WIDTH, number) + noise, 0, 255).astype(np.uint8)
    path = folder / f"{number}.jpg"
    Image.fromarray(image).save(path, quality=90)
    masks = []
    for radius in np.exp(generator.uniform(np.log(12), np.log(150), OBJECTS)):
        angles = np.sort(generator.uniform(0, 2 * np.pi, 24))
        ray = radius * generator.uniform(0.7, 1, (24, 1)) * np.stack([np.cos(angles), np.sin(angles)], axis=1)
        centre = generator.uniform(0.2, 0.8, 2) * [WIDTH, HEIGHT]
        masks.append([(centre + ray).clip(0, [WIDTH, HEIGHT]).ravel().tolist()])
    return km.make_record(str(path), masks=masks, class_ids=[1] * OBJECTS, image_id=number)


def print_epochs(records: list[km.Record], rounds: int) -> float:
    """Print the cost of epochs, all in turns, and return the CPU milliseconds of an image with everything."""
    datasets = {
        name: km.make_dataset(records, config, batch_size=2, training=True)
        for name, config in CONFIGS.items()
    }
    taken: dict[str, list[tuple[float, float]]] = {name: [] for name in datasets}
    for turn in range(rounds + 1):
        for name, dataset in datasets.items():
            dataset.clock.epoch.assign(1)  # the same choices in each round
            start = time.perf_counter(), time.process_time()
            for _ in dataset:
                pass
            if turn:  # the first makes the graph
                seconds = time.perf_counter() - start[0], time.process_time() - start[1]
                taken[name].append(tuple(value / len(records) for value in seconds))
    print("| | images/s | CPU ms per image | from - to | images per CPU second |\n|---|---|---|---|---|")
    for name, times in taken.items():
        wall, cpu = (statistics.median(column) for column in zip(*times, strict=True))
        least, most = min(one for _, one in times), max(one for _, one in times)
        print(
            f"| {name} | {1 / wall:.1f} | {1000 * cpu:.1f} | {1000 * least:.1f} - {1000 * most:.1f} | {1 / cpu:.1f} |"
        )
    return 1000 * statistics.median(cpu for _, cpu in taken["and colours: all"])


def print_stages(records: list[km.Record], rounds: int, whole: float) -> None:
    """Print the CPU milliseconds of an image by stage; what the pipeline takes beyond them is its last row."""
    fields, columns = fields_of(ALL), []
    for turn in range(rounds + 1):
        sums = dict.fromkeys([*NAMES, "colour"], 0.0)
        for index in range(len(records)):
            times: dict[str, float] = {}
            start = time.process_time()
            with timed(times):
                values, *_ = random.augmented_example(
                    records, index, ALL, fields, SIDE, np.array([index, 1], np.int32)
                )
            sums["rest"] += time.process_time() - start - sum(times.values())
            for name, seconds in times.items():
                sums[name] += seconds
            start = time.process_time()
            recolored(values[0], **FACTORS)
            sums["colour"] += time.process_time() - start
        if turn:
            columns.append(sums)
    print("\n| stage | CPU ms per image |\n|---|---|")
    medians = {
        name: 1000 / len(records) * statistics.median(sums[name] for sums in columns) for name in columns[0]
    }
    for name, value in medians.items():
        print(f"| {NAMES.get(name, name)} | {value:.1f} |")
    print(
        f"| tensors, flips, padding, batching: what `make_dataset` takes more | {whole - sum(medians.values()):.1f} |"
    )
    least = medians["read_pixels 1"] + medians["move_image 1"] + medians["colour"]
    print(f"| in all | {whole:.1f} |")
    print(f"| of which one JPEG decoded, resampled once and recoloured | {least:.1f} |")


@contextlib.contextmanager
def timed(times: dict[str, float]) -> Iterator[None]:
    """Measure the stages' functions, each call under its name and how many times it has been called."""

    def clocked(name: str, function: Callable, calls: list[None]) -> Callable:
        def measured(*args: Any, **kwargs: Any) -> Any:
            calls.append(None)
            start = time.process_time()
            try:
                return function(*args, **kwargs)
            finally:
                times[f"{name} {len(calls)}"] = time.process_time() - start

        return measured

    with contextlib.ExitStack() as stack:
        for name, modules in STAGES.items():
            calls: list[None] = []
            for module in modules:
                stack.enter_context(
                    mock.patch.object(module, name, clocked(name, getattr(module, name), calls))
                )
        yield


def print_steps(path: Path, rounds: int) -> None:
    """Print what single steps of one whole image take with each library, in CPU milliseconds."""
    data, pixels = path.read_bytes(), np.asarray(Image.open(path))
    angle, scale = np.deg2rad(7.0), 0.45  # the image covers all of its canvas
    cosine, sine = scale * np.cos(angle), scale * np.sin(angle)
    inverse = [cosine, sine, 20.0, -sine, cosine, 100.0]
    matrix = np.array([*inverse, 0, 0, 1]).reshape(3, 3)
    image, floats = Image.fromarray(pixels), tf.constant(pixels[None], tf.float32)
    bilinear = Image.Resampling.BILINEAR
    by_keras = keras_colours()
    canvas = np.random.default_rng(0).uniform(0, 255, (SIDE, SIDE, 3)).astype(np.float32)
    steps = {
        "decode: Pillow": lambda: np.asarray(Image.open(path)),
        "decode: TensorFlow": lambda: tf.io.decode_jpeg(data, dct_method="INTEGER_ACCURATE"),
        "resample: Pillow": lambda: image.transform(
            (SIDE, SIDE), Image.Transform.AFFINE, inverse, bilinear
        ),
        "resample: TensorFlow": lambda: tf.raw_ops.ImageProjectiveTransformV3(
            images=floats, transforms=[[*inverse, 0.0, 0.0]], output_shape=[SIDE, SIDE], fill_value=0.0,
            interpolation="BILINEAR",
        ),
        "resample: scikit-image": lambda: skimage.transform.warp(
            pixels, matrix, output_shape=(SIDE, SIDE), order=1, preserve_range=True
        ),
        "colour: blocks": lambda: recolored(canvas, **FACTORS),
        "colour: Keras' layers": lambda: by_keras(canvas),
    }  # fmt: skip
    print("\n| step | CPU ms |\n|---|---|")
    for name, step in steps.items():
        taken = []
        for _ in range(rounds + 1):
            start = time.process_time()
            step()
            taken.append(time.process_time() - start)
        print(f"| {name} | {1000 * statistics.median(taken[1:]):.1f} |")


def keras_colours() -> Callable[[np.ndarray], tf.Tensor]:
    """Keras' layers for colours, one after the other."""
    layers = (
        (keras.layers.RandomBrightness(0.0), {"rgb_delta": FACTORS["delta"]}),
        (keras.layers.RandomContrast(0.0), {"contrast_factor": FACTORS["contrast"]}),
        (keras.layers.RandomSaturation(0.0, value_range=(0, 1)), {"factor": [FACTORS["saturation"]]}),
        (keras.layers.RandomHue(0.0), {"factor": [FACTORS["hue"]]}),
    )

    def change(image: tf.Tensor) -> tf.Tensor:
        images = image[None]
        for layer, values in layers:
            values = {name: tf.constant(value, tf.float32) for name, value in values.items()}
            images = layer.transform_images(images, values)
        return images[0]

    return tf.function(change)


if __name__ == "__main__":
    main()
