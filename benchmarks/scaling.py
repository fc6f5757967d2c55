"""Times our model over batch size, image size, number of objects, precision and threads.

python benchmarks/scaling.py [--rounds 3] [--only batch,size,detections,objects,precision,threads]

ResNet-50-FPN with random weights. Each question is a table of its own, whose rows run in turns in one process
and are compared with its first row; numbers of threads need a process each.
"""

import argparse
import functools
import os
import statistics
import subprocess
import sys
from pathlib import Path

os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "1")  # faster on processors without AVX-512

import keras
import numpy as np
import peers
import tensorflow as tf
import training

QUESTIONS = ("batch", "size", "detections", "objects", "precision", "threads")
SIZE = (800, 1088)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument(
        "--only", default=",".join(QUESTIONS), help="which questions, separated by commas (default: all)"
    )
    parser.add_argument("--threads", type=int, help="time one image with so many threads, and nothing else")
    options = parser.parse_args()
    if options.threads is not None:
        print_one(options.threads, options.rounds)
        return
    print(peers.machine())
    asked = {
        "batch": by_batch,
        "size": by_size,
        "detections": by_detections,
        "objects": by_objects,
        "precision": by_precision,
    }
    for question in options.only.split(","):
        if question == "threads":
            by_threads(options.rounds)
            continue
        title, runs, per = asked[question]()
        print(f"\n{title}\n")
        seconds = peers.in_turns(runs, options.rounds)
        seconds = {name: [s / per.get(name, 1) for s in taken] for name, taken in seconds.items()}
        peers.print_table(seconds, next(iter(runs)))


def by_batch():
    model, _ = peers.our_model()
    runs, per = {}, {}
    for count in (1, 2, 4):
        images = [peers.made_image(*SIZE, seed) for seed in range(count)]
        name = f"batch of {count}"
        runs[name] = functools.partial(model.detect, images, batch_size=count)
        per[name] = count
    return "Seconds per image of 800 x 1088, by batch size", runs, per


def by_size():
    runs, per = {}, {}
    for height, width in ((400, 544), SIZE, (1200, 1632)):
        model, _ = peers.our_model(min_size=height, max_size=width)
        name = f"{height} x {width}"
        runs[name] = functools.partial(model.detect, peers.made_image(height, width))
        per[name] = height * width / 1e6
    return "Seconds per megapixel, by size of the image", runs, per


def by_detections():
    model, _ = peers.our_model(max_detections=300, score_threshold=0.0)
    image = peers.made_image(*SIZE)
    runs = {}
    for count in (1, 10, 100, 300):
        limited, _ = peers.our_model(max_detections=count, score_threshold=0.0)
        assert len(limited.detect(image)[0]) == count
        runs[f"{count} detections"] = functools.partial(limited.detect, image)
    runs["300 detections, RLE"] = functools.partial(model.detect, image, masks="rle")
    return "Seconds for an image of 800 x 1088, by number of detections, masks included", runs, {}


def by_objects():
    runs = {}
    for count in (1, 10, 100):
        model, _ = training.our_model(512)
        examples = training.make_examples(2, 512, count)
        runs[f"{count} objects each"] = training.our_step(model, examples)
    return "Seconds for a training step, two images of 512 x 512, by number of objects", runs, {}


def by_precision():
    image = peers.made_image(*SIZE)
    runs = {}
    for policy in ("float32", "mixed_bfloat16", "mixed_float16"):
        keras.mixed_precision.set_global_policy(policy)
        model, _ = peers.our_model()
        runs[policy] = functools.partial(model.detect, image)
    keras.mixed_precision.set_global_policy("float32")
    return "Seconds for an image of 800 x 1088, by precision", runs, {}


def by_threads(rounds):
    print("\nSeconds for an image of 800 x 1088, by threads, a process each\n")
    print("| threads | seconds (median) | |\n|---|---|---|")
    first = None
    for threads in (1, 2):
        command = [sys.executable, Path(__file__), "--threads", str(threads), "--rounds", str(rounds)]
        output = subprocess.run(command, capture_output=True, text=True, check=True).stdout
        seconds = float(output.splitlines()[-1])
        first = first or seconds
        print(f"| {threads} | {seconds:.3f} | {seconds / first:.2f} |")


def print_one(threads, rounds):
    tf.config.threading.set_intra_op_parallelism_threads(threads)
    tf.config.threading.set_inter_op_parallelism_threads(threads)
    model, _ = peers.our_model()
    seconds = peers.in_turns({"": lambda: model.detect(np.array(peers.made_image(*SIZE)))}, rounds)
    print(statistics.median(seconds[""]))


if __name__ == "__main__":
    main()
