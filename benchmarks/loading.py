"""Reads COCO annotations of train2017's size with `km.load_coco` and with pycocotools: CPU seconds and peak memory.

python benchmarks/loading.py [--images 118287] [--rounds 3] [--headers 2000] [--file made.json]

The file is made for it: 7.3 objects to an image, of 80 categories, with polygons of 20 to 60 points, some in two parts,
and crowds in RLE. Each side reads it in processes of its own, in turns. Memory is by how much the process has grown at
its highest; imports do not count. What reading the headers of image files adds is measured with a part of them on disk.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

SIZES = [(640, 480), (480, 640), (640, 427), (500, 375), (640, 640)]
"""Widths and heights in pixels."""
OBJECTS = 7.27
"""To an image, on average."""
TOGETHER = 2000
"""Images that are made at once."""
SIDES = ("pycocotools", "ours", "ours, boxes alone")


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--images", type=int, default=118_287)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--headers", type=int, default=2000, help="image files whose headers are read")
    parser.add_argument("--file", type=Path, help="the annotations; written if there is no such file")
    parser.add_argument("--only", choices=[*SIDES, "headers"], help="read once (used by the program itself)")
    options = parser.parse_args()
    if options.only is not None:
        answer(options.only, options.file)
        return
    with tempfile.TemporaryDirectory() as folder:
        file = options.file or Path(folder) / "instances.json"
        if not file.exists():
            write_annotations(file, options.images)
        print_sides(file, options.rounds)
        if options.headers:
            print_headers(Path(folder), options.headers, options.rounds)


def print_sides(file: Path, rounds: int) -> None:
    import peers

    found: dict[str, list[dict[str, float]]] = {side: [] for side in SIDES}
    for _ in range(rounds):
        for side, runs in found.items():
            runs.append(asked(side, file))
    first = medians(found[SIDES[0]])
    counts = f"{first['images']:.0f} images, {first['objects']:.0f} annotations"
    print(
        f"{peers.machine()}; load {os.getloadavg()[0]:.1f}; {counts}, {file.stat().st_size / 2**20:.0f} MiB\n"
    )
    print("| | CPU seconds | from - to | ratio | seconds | ratio | peak memory, GiB | ratio |")
    print("|---|---|---|---|---|---|---|---|")
    for side, runs in found.items():
        own = medians(runs)
        cpu = [run["cpu"] for run in runs]
        cells = [
            side,
            f"{own['cpu']:.2f}",
            f"{min(cpu):.2f} - {max(cpu):.2f}",
            f"{own['cpu'] / first['cpu']:.2f}",
        ]
        cells += [f"{own['seconds']:.2f}", f"{own['seconds'] / first['seconds']:.2f}"]
        cells += [f"{own['memory']:.2f}", f"{own['memory'] / first['memory']:.2f}"]
        print(f"| {' | '.join(cells)} |")


def print_headers(folder: Path, count: int, rounds: int) -> None:
    """Print what it adds to read the headers of image files, by file."""
    from PIL import Image

    file = folder / "few.json"
    write_annotations(file, count)
    for image in json.loads(file.read_text())["images"]:
        Image.new("RGB", (image["width"], image["height"])).save(folder / image["file_name"])
    runs = [asked("headers", file) for _ in range(rounds)]
    own = medians(runs)
    print(
        f"\nheaders of {count} JPEG files: {own['cpu'] / count * 1e6:.0f} CPU microseconds more for each, ",
        end="",
    )
    print(f"{own['seconds'] / count * 1e6:.0f} microseconds of time")


def medians(runs: list[dict[str, float]]) -> dict[str, float]:
    return {key: statistics.median(run[key] for run in runs) for key in runs[0]}


def asked(side: str, file: Path) -> dict[str, float]:
    """What a process of its own measures."""
    command = [sys.executable, __file__, "--only", side, "--file", str(file)]
    output = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    return json.loads(output.splitlines()[-1])


def answer(side: str, file: Path) -> None:
    """Read the file once, or for the headers without and with them, and print what it took."""
    read = reader(side)
    if side == "headers":
        without, with_headers = measured(lambda: read(file, False)), measured(lambda: read(file, True))
        print(json.dumps({key: with_headers[key] - without[key] for key in ("cpu", "seconds")}))
        return
    print(json.dumps(measured(lambda: read(file))))


def reader(side: str) -> Any:
    if side == "pycocotools":
        from pycocotools.coco import COCO

        def read_theirs(file: Path) -> tuple[int, int]:
            coco = COCO(str(file))
            return len(coco.imgs), len(coco.anns)

        return read_theirs
    from keras_maskrcnn import load_coco

    def read(file: Path, headers: bool = False) -> tuple[int, int]:
        masks = side != "ours, boxes alone"
        records, _ = load_coco(file, file.parent, masks=masks, check_images=headers)
        return len(records), records.report.objects

    return read


def measured(read: Any) -> dict[str, float]:
    memory = kibibytes("VmRSS")
    cpu, start = time.process_time(), time.perf_counter()
    images, objects = read()
    taken = {"cpu": time.process_time() - cpu, "seconds": time.perf_counter() - start}
    return {**taken, "memory": (kibibytes("VmHWM") - memory) / 2**20, "images": images, "objects": objects}


def kibibytes(kind: str) -> int:
    """This process's memory: "VmRSS" now, "VmHWM" at its highest (Linux)."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(kind))


def write_annotations(file: Path, images: int) -> None:
    """Write a file of so many images, part by part."""
    random = np.random.default_rng(0)
    sizes = random.integers(len(SIZES), size=images)
    rows = [image_row(number, *SIZES[size]) for number, size in enumerate(sizes.tolist(), start=1)]
    categories = [
        {"id": number, "name": f"thing {number}", "supercategory": "thing"} for number in range(1, 81)
    ]
    with file.open("w") as stream:
        stream.write(json.dumps({"images": rows, "categories": categories})[:-1] + ', "annotations": [')
        number = 0
        for start in range(0, images, TOGETHER):
            for annotation in made_annotations(random, rows[start : start + TOGETHER]):
                number += 1
                stream.write(", " * (number > 1) + json.dumps({**annotation, "id": number}))
        stream.write("]}")


def image_row(number: int, width: int, height: int) -> dict[str, Any]:
    return {"id": number, "file_name": f"{number:012d}.jpg", "width": width, "height": height}


def made_annotations(random: np.random.Generator, images: list[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    owners = np.repeat(np.arange(len(images)), random.poisson(OBJECTS, len(images)))
    sizes = np.array([(image["width"], image["height"]) for image in images])[owners]
    # Widths and heights as in COCO: many are small, and few nearly fill the image.
    sides = np.clip(np.exp(random.normal(-2.0, 0.9, (len(owners), 2))), 0.012, 0.95) * sizes
    corners = random.random(sides.shape) * (sizes - sides)
    categories = random.integers(1, 81, len(owners))
    kinds = random.random(len(owners))
    for owner, side, corner, category, kind in zip(owners, sides, corners, categories, kinds, strict=True):
        image, common = images[owner], {"image_id": images[owner]["id"], "category_id": int(category)}
        if kind < 0.01:
            yield {**common, **crowd(image, corner, side)}
            continue
        halves = [[0.0, 0.0, 0.47, 1.0], [0.53, 0.1, 0.47, 0.9]] if kind > 0.9 else [[0.0, 0.0, 1.0, 1.0]]
        parts = [outline(random, corner + side * half[:2], side * half[2:]) for half in halves]
        yield {**common, **described(parts)}


def outline(random: np.random.Generator, corner: np.ndarray, side: np.ndarray) -> np.ndarray:
    """Corners [N, 2] of a bulged and bent outline that fills a box, in hundredths of pixels as in COCO."""
    angles = np.linspace(0, 2 * np.pi, random.integers(20, 61), endpoint=False)[:, None]
    waves = np.arange(2, 7)
    radius = 1 + (np.cos(waves * angles + random.uniform(0, 6, 5)) * random.normal(0, 0.5 / waves)).sum(1)
    x, y = np.cos(angles[:, 0]) * radius.clip(0.25), np.sin(angles[:, 0]) * radius.clip(0.25)
    points = np.stack([x + 0.5 * np.sin(1.5 * y), y + 0.4 * np.sin(2 * x)], axis=1)
    points += random.normal(0, 0.02, points.shape)
    low, high = points.min(axis=0), points.max(axis=0)
    return np.round(corner + (points - low) / (high - low) * side, 2)


def described(parts: list[np.ndarray]) -> dict[str, Any]:
    points = np.concatenate(parts)
    low, high = points.min(axis=0), points.max(axis=0)
    turned = [np.roll(part, -1, axis=0) for part in parts]
    areas = [
        abs((a[:, 0] * b[:, 1] - a[:, 1] * b[:, 0]).sum()) / 2 for a, b in zip(parts, turned, strict=True)
    ]
    return {
        "segmentation": [part.ravel().tolist() for part in parts],
        "bbox": np.round([*low, *(high - low)], 2).tolist(),
        "area": round(float(sum(areas)), 4),
        "iscrowd": 0,
    }


def crowd(image: dict[str, Any], corner: np.ndarray, side: np.ndarray) -> dict[str, Any]:
    (x, y), (width, height) = corner.astype(int).tolist(), np.maximum(side, 2).astype(int).tolist()
    rows = image["height"]
    counts = [x * rows + y, *([height, rows - height] * (width - 1)), height]
    counts.append(rows * image["width"] - sum(counts))
    return {
        "segmentation": {"size": [rows, image["width"]], "counts": counts},
        "bbox": [x, y, width, height],
        "area": width * height,
        "iscrowd": 1,
    }


if __name__ == "__main__":
    main()
