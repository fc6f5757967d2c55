"""Times `km.check_dataset` and `km.anchor_advice` by the number of objects in one image, and how much memory they take.

python benchmarks/dataset_checks.py [--objects 1000 2000 4000 8000] [--rounds 3]

The image has 2048 x 2048 pixels, and its objects are polygons of 24 points that may overlap. Each side of each round
has a process of its own. Linear is what doubles from row to row; memory is by how much the process has grown at its
highest, without the imports and the records.
"""

import argparse
import statistics
import subprocess
import sys
import time

import numpy as np
import peers

import keras_maskrcnn as km

SIZE = 2048
SIDES = ("check_dataset", "anchor_advice")


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--objects", type=int, nargs="+", default=[1000, 2000, 4000, 8000])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--only", choices=SIDES, help="run once (used by the program itself)")
    options = parser.parse_args()
    if options.only is not None:
        print(*answer(options.only, options.objects[0]))
        return
    print(f"{peers.machine()}; one image of {SIZE} x {SIZE}")
    for side in SIDES:
        found = {count: [] for count in options.objects}
        for _ in range(options.rounds):
            for count, runs in found.items():
                runs.append(run(side, count))
        print_table(side, found)


def run(side: str, count: int) -> tuple[float, float]:
    """CPU seconds and GiB of a process of its own."""
    command = [sys.executable, __file__, "--only", side, "--objects", str(count)]
    output = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True).stdout
    seconds, memory = output.splitlines()[-1].split()
    return float(seconds), float(memory)


def print_table(side: str, found: dict[int, list[tuple[float, float]]]) -> None:
    print(f"\n| {side}, objects | CPU seconds (median) | from - to | ms an object | peak memory, GiB |")
    print("|---|---|---|---|---|")
    for count, runs in found.items():
        seconds, memory = zip(*runs, strict=True)
        median = statistics.median(seconds)
        span = f"{min(seconds):.3f} - {max(seconds):.3f}"
        print(
            f"| {count} | {median:.3f} | {span} | {1000 * median / count:.3f} "
            f"| {statistics.median(memory):.2f} |"
        )


def answer(side: str, count: int) -> tuple[float, float]:
    """CPU seconds of one call, and by how many GiB the process grew at its highest."""
    config = km.Config(class_names=("thing",), min_size=SIZE, max_size=SIZE)
    warming, record = drawn_record(8), drawn_record(count)
    call = {
        "check_dataset": lambda one: km.check_dataset([one], config),
        "anchor_advice": lambda one: km.anchor_advice([one], config),
    }[side]
    call(warming)  # what the first call of a process imports and builds
    before, start = peers.memory("VmRSS"), time.process_time()
    call(record)
    return time.process_time() - start, max(peers.memory("VmHWM") - before, 0.0)


def drawn_record(count: int) -> km.Record:
    """An image of noise with so many objects, each a polygon of 10 to 60 pixels."""
    random = np.random.default_rng(count)
    image = random.integers(0, 255, (SIZE, SIZE, 3), np.uint8)
    angles = np.linspace(0, 2 * np.pi, 24, endpoint=False)
    radii = random.uniform(5, 30, (count, 1)) * random.uniform(0.8, 1.0, (count, 24))  # [N, 24]
    centres = random.uniform(32, SIZE - 32, (count, 2))  # [N, 2]
    points = centres[:, None] + radii[..., None] * np.stack([np.cos(angles), np.sin(angles)], 1)  # [N, 24, 2]
    polygons = [[outline.ravel().tolist()] for outline in points]
    return km.make_record(image, class_ids=[1] * count, masks=polygons, image_id="crowd")


if __name__ == "__main__":
    main()
