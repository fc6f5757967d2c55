"""Times a training step by the number of objects in its images, and compares the peak memory.

python benchmarks/crowds.py [--objects 1 30 100 300] [--rounds 5]

ResNet-18-FPN of 128 channels with group norm on two images of 384 x 384, drawn discs that touch and overlap; AdamW.
Each number of objects has a process of its own, and all take their steps in turns. Where other programs run beside, CPU
seconds are what counts. An example is what `make_dataset` makes of one image, in one thread.
"""

import argparse
import os
import statistics
import subprocess
import sys
import time

os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "1")  # faster on processors without AVX-512

import keras
import numpy as np
import peers
import tensorflow as tf

import keras_maskrcnn as km

SIZE = 384
CONFIG = km.Config(
    class_names=("disc",), channels=1, pixel_mean=(96.0,), pixel_std=(53.0,), min_size=SIZE, max_size=SIZE,
    depth=18, norm="group_norm", fpn_norm="group_norm", head_norm="group_norm", frozen_stages=0,
    fpn_channels=128, box_head_channels=256, mask_head_channels=128, rpn_batch_size=128, box_batch_size=64,
    post_nms_top_k_train=200, post_nms_top_k=100, roi_aligned=True,
    anchor_sizes=((8,), (16,), (32,), (64,), (128,)),
)  # fmt: skip
EXAMPLES = 8
"""Examples that are made for one time."""


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--objects", type=int, nargs="+", default=[1, 30, 100, 300], help="in each image")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument(
        "--only", type=int, help="take steps with so many objects, one for each line of input"
    )
    options = parser.parse_args()
    if options.only is not None:
        answer(options.only)
        return
    sides = {count: Side(count) for count in options.objects}
    for _ in range(options.rounds):
        for side in sides.values():
            side.take_step()
    print(f"{peers.machine()}; load {os.getloadavg()[0]:.1f}\n")
    print("| objects in each image | seconds per step | from - to | ratio | CPU seconds | ratio | peak memory, GiB |"
          " example, CPU ms |\n|---|---|---|---|---|---|---|---|")  # fmt: skip
    first = next(iter(sides.values()))
    for count, side in sides.items():
        print(f"| {count} | {side.row(first)} |")
        side.process.communicate()


class Side:
    """A process that takes steps with one number of objects."""

    def __init__(self, count: int) -> None:
        command = [sys.executable, __file__, "--only", str(count)]
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.steps: list[tuple[float, float]] = []
        self.example = self.ask()[0]

    def ask(self) -> list[float]:
        line = self.process.stdout.readline()
        if not line:
            raise SystemExit(f"the process ended with {self.process.wait()}")
        return [float(number) for number in line.split()]

    def take_step(self) -> None:
        print("step", file=self.process.stdin, flush=True)
        seconds, cpu, self.peak = self.ask()
        self.steps.append((seconds, cpu))

    def medians(self) -> list[float]:
        return [statistics.median(column) for column in zip(*self.steps, strict=True)]

    def row(self, first: "Side") -> str:
        (seconds, cpu), (first_seconds, first_cpu) = self.medians(), first.medians()
        taken = [step[0] for step in self.steps]
        cells = f"{seconds:.3f}", f"{min(taken):.3f} - {max(taken):.3f}", f"{seconds / first_seconds:.2f}"
        return " | ".join(
            [*cells, f"{cpu:.3f}", f"{cpu / first_cpu:.2f}", f"{self.peak:.2f}", f"{self.example:.0f}"]
        )


def answer(count: int) -> None:
    """Print the time of an example; then, for each line of input, those of a step and the peak memory so far."""
    records = [drawn_record(count, seed) for seed in range(2)]
    print(1000 * example_seconds(records[0]), flush=True)
    tf.zeros(1) + 1
    before = peers.memory("VmRSS")
    keras.utils.set_random_seed(0)
    model = km.MaskRCNN(CONFIG)
    model.compile(optimizer=keras.optimizers.AdamW(1e-5))
    batch = next(iter(km.make_dataset(records, CONFIG, batch_size=2)))
    for _ in range(2):  # which make the graph
        model.train_on_batch(batch)
    for _ in sys.stdin:
        start = time.perf_counter(), time.process_time()
        model.train_on_batch(batch)
        taken = time.perf_counter() - start[0], time.process_time() - start[1]
        print(*taken, peers.memory("VmHWM") - before, flush=True)


def example_seconds(record: km.Record) -> float:
    """CPU seconds that `make_dataset` takes for one example."""
    dataset = km.make_dataset([record] * EXAMPLES, CONFIG, training=True, parallel_calls=1)
    times = []
    for _ in range(3):  # of which the first makes the graph
        start = time.process_time()
        for _ in dataset:
            pass
        times.append((time.process_time() - start) / EXAMPLES)
    return min(times)


def drawn_record(count: int, seed: int) -> km.Record:
    """An image of `count` discs of 4 to 12 pixels' radius, those drawn later above the earlier ones."""
    random = np.random.default_rng(seed)
    y, x = np.mgrid[:SIZE, :SIZE] + 0.5
    image = random.normal(60, 10, (SIZE, SIZE))
    labels = np.zeros((SIZE, SIZE), int)
    for number in range(1, count + 1):
        centre, radius = random.uniform(12, SIZE - 12, 2), random.uniform(4, 12)
        inside = (y - centre[0]) ** 2 + (x - centre[1]) ** 2 < radius**2
        labels[inside], image[inside] = number, random.uniform(120, 220)
    masks = [labels == number for number in np.unique(labels) if number]
    pixels = image.clip(0, 255).astype(np.uint8)
    return km.make_record(pixels, masks=masks, class_ids=[1] * len(masks), image_id=seed)


if __name__ == "__main__":
    main()
