"""COCO's metrics of boxes and masks: CPU time and peak memory of our scoring, against pycocotools alone.

python benchmarks/scoring.py [--images 5000] [--rounds 1]

Images of 480 x 640 with about 7 objects of 80 classes, some of them crowds, and 100 detections each: the objects'
outlines shaken, a class confused now and then, and false alarms. Both sides get the same objects as polygons (crowds as
RLE) and the same detections with masks as RLE, each as it takes them: we records and `km.Detections`, pycocotools the
dicts of an annotation file and of results. Each run has a process of its own, in turns; memory is what the process's
peak grows by beyond its inputs. The program ends with an error unless all figures of both, precision and recall at each
threshold, class, size and limit, are the same numbers.

`maskrcnn evaluate` and `km.CocoEvaluation` score by the same function as is timed here, `km.analyse`.
"""

import argparse
import contextlib
import ctypes
import gc
import io
import pickle
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import peers
import pycocotools.mask as coco_mask
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

import keras_maskrcnn as km

HEIGHT, WIDTH, CLASSES, DETECTIONS = 480, 640, 80, 100
NAMES = [f"class {number}" for number in range(1, CLASSES + 1)]
KINDS = {"box": "bbox", "mask": "segm"}
SHARES = 1 / np.arange(2, CLASSES + 2)
"""How often each class is seen: few classes often, many seldom."""


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--images", type=int, default=5000)
    parser.add_argument("--rounds", type=int, default=1, help="runs of each side")
    parser.add_argument(
        "--side", choices=SIDES, help="score what --folder holds (used by the program itself)"
    )
    parser.add_argument("--folder", type=Path, help="(used by the program itself)")
    options = parser.parse_args()
    if options.side is not None:
        SIDES[options.side](options.folder)
        return
    with tempfile.TemporaryDirectory() as folder:
        write_scenes(Path(folder), options.images)
        runs: dict[str, list[dict[str, tuple[float, ...]]]] = {side: [] for side in SIDES}
        for _ in range(options.rounds):
            for side in SIDES:
                command = [sys.executable, __file__, "--side", side, "--folder", folder]
                subprocess.run(command, check=True)
                runs[side].append(pickle.loads((Path(folder) / f"{side}.steps").read_bytes()))
        check_equal(Path(folder))
    print(f"{peers.machine()}; {options.images} images\n")
    print_rows(runs)


def print_rows(runs: dict[str, list[dict[str, tuple[float, ...]]]]) -> None:
    """Print the medians of each step, and their ratios to pycocotools' scoring."""
    print("| | CPU seconds | from - to | ratio | seconds | peak memory beyond the inputs, MB | ratio |\n"
          "|---|---|---|---|---|---|---|")  # fmt: skip
    base = [statistics.median(run["scoring"][column] for run in runs["pycocotools"]) for column in range(3)]
    for side, of_side in runs.items():
        for step in of_side[0]:
            taken = [run[step] for run in of_side]
            cpu, seconds, memory = (statistics.median(column) for column in zip(*taken, strict=True))
            span = f"{min(one[0] for one in taken):.1f} - {max(one[0] for one in taken):.1f}"
            print(f"| {side}, {step} | {cpu:.1f} | {span} | {cpu / base[0]:.2f} | {seconds:.1f} | {memory:.0f} |"
                  f" {memory / base[2]:.2f} |")  # fmt: skip


# --- What is scored


def write_scenes(folder: Path, images: int) -> None:
    with (folder / "scenes").open("wb") as file:
        for image in range(images):
            pickle.dump(made_scene(image), file)


def read_scenes(folder: Path) -> Iterator[dict]:
    with (folder / "scenes").open("rb") as file, contextlib.suppress(EOFError):
        while True:
            yield pickle.load(file)


def made_scene(image: int) -> dict:
    """One image's objects and detections, of plain lists and arrays."""
    random = np.random.default_rng(image)
    count = int(random.poisson(7))
    shapes = made_shapes(random, count)
    class_ids = random.choice(CLASSES, count, p=SHARES / SHARES.sum()) + 1
    crowd = random.random(count) < 0.015
    outlines = [outline(shape) for shape in shapes]
    return {
        "boxes": extents(shapes),
        "class_ids": class_ids.astype(np.int32),
        "crowd": crowd,
        "areas": np.array([coco_mask.area(rle(one)) for one in outlines], np.float32),
        "segmentations": [
            rle(one) if is_crowd else [one] for one, is_crowd in zip(outlines, crowd, strict=True)
        ],
        **made_detections(random, shapes[~crowd], class_ids[~crowd]),
    }


def made_detections(random: np.random.Generator, shapes: np.ndarray, class_ids: np.ndarray) -> dict:
    """Most of the objects shaken, some twice, a few of another class; and false alarms, half of the image's classes."""
    sources = np.repeat(np.arange(len(shapes)), 2)
    sources = sources[random.random(len(sources)) < np.tile([0.85, 0.3], len(shapes))]
    near, far = len(sources), DETECTIONS - len(sources)
    close = shaken(random, shapes[sources], random.choice([0.02, 0.06, 0.15], near))
    found = np.concatenate([close, made_shapes(random, far)])
    of_image = class_ids if len(class_ids) else np.arange(1, CLASSES + 1)
    likely = np.concatenate([class_ids[sources], random.choice(of_image, far)])
    any_class = random.integers(1, CLASSES + 1, DETECTIONS)
    ids = np.where(random.random(DETECTIONS) < np.repeat([0.9, 0.5], [near, far]), likely, any_class)
    scores = np.concatenate([random.beta(4, 2, near), random.beta(1, 6, far)])
    order = np.argsort(-scores, kind="stable")
    return {
        "found_boxes": extents(found)[order],
        "found_scores": scores[order].astype(np.float32).round(3),  # a few are equal
        "found_class_ids": ids[order].astype(np.int32),
        "found_counts": [rle(outline(found[row]))["counts"].decode() for row in order],
    }


def made_shapes(random: np.random.Generator, count: int) -> np.ndarray:
    """[count, 24, 2] float64: outlines x, y of blobs of 8 to 200 pixels' radius."""
    angles = np.linspace(0, 2 * np.pi, 24, endpoint=False)
    radii = 8 * 25 ** random.random((count, 1)) * random.uniform(0.7, 1.3, (count, 24))
    centres = random.uniform([0, 0], [WIDTH, HEIGHT], (count, 2))
    points = centres[:, None] + np.stack([np.cos(angles), np.sin(angles)], axis=-1) * radii[..., None]
    return points.clip(0, [WIDTH, HEIGHT])


def shaken(random: np.random.Generator, shapes: np.ndarray, by: np.ndarray) -> np.ndarray:
    """Outlines moved and bent by a fraction [count] of their size."""
    sizes = np.ptp(shapes, axis=1, keepdims=True) * by[:, None, None]
    moved = shapes + random.normal(0, 0.7, (len(shapes), 1, 2)) * sizes
    return (moved + random.normal(0, 0.3, shapes.shape) * sizes).clip(0, [WIDTH, HEIGHT])


def outline(shape: np.ndarray) -> list[float]:
    return shape.round(2).reshape(-1).tolist()


def rle(polygon: list[float]) -> dict:
    return coco_mask.frPyObjects([polygon], HEIGHT, WIDTH)[0]


def extents(shapes: np.ndarray) -> np.ndarray:
    return np.concatenate([shapes.min(axis=1), shapes.max(axis=1)], axis=1).astype(np.float32)


# --- The two sides


def score_by_pycocotools(folder: Path) -> None:
    images, truth, results = [], [], []
    for image, scene in enumerate(read_scenes(folder)):
        images.append({"id": image, "height": HEIGHT, "width": WIDTH})
        for row, box in enumerate(as_coco(scene["boxes"])):
            truth.append({
                "id": len(truth) + 1, "image_id": image, "category_id": int(scene["class_ids"][row]), "bbox": box,
                "area": float(scene["areas"][row]), "iscrowd": int(scene["crowd"][row]),
                "segmentation": scene["segmentations"][row],
            })  # fmt: skip
        for row, box in enumerate(as_coco(scene["found_boxes"])):
            results.append({
                "image_id": image, "category_id": int(scene["found_class_ids"][row]), "bbox": box,
                "score": float(scene["found_scores"][row]),
                "segmentation": {"size": [HEIGHT, WIDTH], "counts": scene["found_counts"][row]},
            })  # fmt: skip
    categories = [{"id": number} for number in range(1, CLASSES + 1)]
    figures = {}

    def score() -> None:
        coco = COCO()
        coco.dataset = {"images": images, "annotations": truth, "categories": categories}
        coco.createIndex()
        for kind, iou_type in KINDS.items():
            if kind == "mask":
                for row in results:  # without boxes pycocotools measures the areas of masks
                    del row["bbox"]
            evaluation = COCOeval(coco, coco.loadRes(results), iou_type)
            evaluation.evaluate()
            evaluation.accumulate()
            evaluation.summarize()
            figures[kind] = {**evaluation.eval, "summary": evaluation.stats}

    with contextlib.redirect_stdout(io.StringIO()):
        steps = {"scoring": measured(score)}
    finish(folder, "pycocotools", steps, figures)


def score_by_ours(folder: Path) -> None:
    records, arrays, detections, figures = [], [], [], {}
    for image, scene in enumerate(read_scenes(folder)):
        record = km.Record(
            image="", height=HEIGHT, width=WIDTH, boxes=scene["boxes"], class_ids=scene["class_ids"],
            masks=tuple(scene["segmentations"]), crowd=scene["crowd"], areas=scene["areas"], keypoints=None,
            image_id=image,
        )  # fmt: skip
        records.append(record)
        arrays.append({
            "boxes": scene["found_boxes"], "scores": scene["found_scores"], "class_ids": scene["found_class_ids"],
            "masks": [{"size": [HEIGHT, WIDTH], "counts": counts} for counts in scene["found_counts"]],
        })  # fmt: skip

    def make_detections() -> None:
        for one in arrays:
            names = [NAMES[class_id - 1] for class_id in one["class_ids"]]
            detections.append(km.Detections(class_names=names, height=HEIGHT, width=WIDTH, **one))

    def score() -> None:
        analysis = km.analyse(records, detections, NAMES)
        scores = analysis.scores
        names = ["AP", "AP50", "AP75", "AP_small", "AP_medium", "AP_large"]
        names += ["AR1", "AR10", "AR100", "AR_small", "AR_medium", "AR_large"]
        for kind in KINDS:
            summary = np.array([scores[f"{kind}_{name}"] for name in names])
            figures[kind] = {**analysis.evaluations[kind].eval, "summary": summary}

    steps = {"making km.Detections": measured(make_detections), "scoring": measured(score)}
    steps["both"] = (*(sum(column) for column in list(zip(*steps.values(), strict=True))),)
    finish(folder, "ours", steps, figures)


SIDES = {"pycocotools": score_by_pycocotools, "ours": score_by_ours}


def as_coco(boxes: np.ndarray) -> list[list[float]]:
    """x, y, width, height of boxes x1, y1, x2, y2."""
    corners = boxes.astype(np.float64)
    return np.concatenate([corners[:, :2], corners[:, 2:] - corners[:, :2]], axis=1).tolist()


def measured(run) -> tuple[float, float, float]:
    """CPU seconds and seconds of a run, and the MB by which it raises this process's peak (Linux)."""
    gc.collect()
    ctypes.CDLL("libc.so.6").malloc_trim(0)
    Path("/proc/self/clear_refs").write_text("5")  # sets VmHWM to VmRSS
    before = peers.memory("VmRSS")
    start = time.process_time(), time.perf_counter()
    run()
    taken = time.process_time() - start[0], time.perf_counter() - start[1]
    return *taken, (peers.memory("VmHWM") - before) * 1024


def finish(folder: Path, side: str, steps: dict, figures: dict) -> None:
    (folder / f"{side}.steps").write_bytes(pickle.dumps(steps))
    kept = ("precision", "recall", "scores", "summary")
    arrays = {f"{kind} {name}": values[name] for kind, values in figures.items() for name in kept}
    np.savez(folder / f"{side}.npz", **arrays)


def check_equal(folder: Path) -> None:
    """Compare the arrays of both sides: precision (hence AP of each class), recall, scores and the 12 metrics."""
    with np.load(folder / "pycocotools.npz") as theirs, np.load(folder / "ours.npz") as ours:
        for name in theirs.files:
            np.testing.assert_array_equal(ours[name], theirs[name], err_msg=name)
        summary = {kind: ours[f"{kind} summary"].round(4).tolist() for kind in KINDS}
    print(f"All figures are equal; AP of boxes {summary['box'][0]}, of masks {summary['mask'][0]}")


if __name__ == "__main__":
    main()
