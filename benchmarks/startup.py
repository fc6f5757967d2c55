"""From a new process to the first detection, against torchvision; to the first training step; sizes and memory.

python benchmarks/startup.py [--rounds 5] [--images 200]

ResNet-50-FPN with the same randomly generated weights in files of each side's own kind, .keras and torch.save, which
lie in the page cache; each run is a new process, and the sides take turns. The total is the time that the starting
process waits until the objects are there; Python's own start is its difference to the parts. The compiled operations'
own compilation, once per machine, is timed apart. Then the first steps of `fit` in a new process, on two images of
512 x 512, ten images of ten sizes, and 200 images watched for memory.
"""

import argparse
import importlib.util
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

SIZES = [(480, 640), (500, 333), (375, 500), (640, 427), (720, 1280), (1080, 1920), (600, 600), (333, 500)]
SIZES += [(1200, 1600), (256, 1024)]
SIZE = 800, 1088
OURS, BARE, THEIRS = "ours", "ours, without scikit-learn", "torchvision"
PARTS = ("imports", "model", "first detection")
STEPS = 4


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--rounds", type=int, default=5, help="processes of each side, after one that warms up"
    )
    parser.add_argument(
        "--images", type=int, default=200, help="watched for memory; 0 leaves sizes and memory out"
    )
    parser.add_argument(
        "--child", choices=CHILDREN, help="what to do in this process (used by the program itself)"
    )
    parser.add_argument("--folder", type=Path, help="where the files are (used by the program itself)")
    options = parser.parse_args()
    if options.child is not None:
        CHILDREN[options.child](options.folder)
        return
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        sides = write_files(folder)
        print_compilation(folder)
        print_detection(folder, sides, options.rounds)
        print_training(folder, options.rounds)
        if options.images:
            print_sizes(folder, options.images)


def write_files(folder: Path) -> list[str]:
    """Write the image and each side's model, and return the sides that there are."""
    import peers

    print(peers.machine())
    model, state = peers.our_model()
    model.save(folder / "model.keras")
    np.save(folder / "image.npy", peers.made_image(*SIZE))
    ours = [OURS] if importlib.util.find_spec("sklearn") is None else [OURS, BARE]
    if importlib.util.find_spec("torchvision") is None:
        print(peers.MISSING)
        return ours
    import torch

    torch.save({name: torch.tensor(value) for name, value in state.items()}, folder / "model.pt")
    return [THEIRS, *ours]


def print_compilation(folder: Path) -> None:
    environment = os.environ | {"XDG_CACHE_HOME": str(folder)}
    code = "import time, keras_maskrcnn.ops.library as o; s = time.perf_counter(); o.op_library(); "
    code += "print(time.perf_counter() - s)"
    output = subprocess.run(
        [sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True
    )
    print(f"compiling the operations, once per machine: {float(output.stdout.splitlines()[-1]):.1f} s")


def child(name: str, folder: Path) -> dict[str, Any]:
    """Run a child in a new process: what it has printed, and the seconds until it had."""
    command = [sys.executable, __file__, "--child", name, "--folder", str(folder)]
    start = time.perf_counter()
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as process:
        assert process.stdout is not None
        line = next((line for line in process.stdout if line.startswith("{")), None)
        total = time.perf_counter() - start
    if line is None:
        raise RuntimeError(f"{' '.join(command)} failed")
    return {"total": total, **json.loads(line)}


def print_detection(folder: Path, sides: list[str], rounds: int) -> None:
    runs: dict[str, list[dict[str, Any]]] = {side: [] for side in sides}
    for turn in range(rounds + 1):
        for side, taken in runs.items():
            found = child(side, folder)
            if turn:  # the first reads the files into the page cache
                taken.append(found)
    base = statistics.median(run["total"] for run in runs[sides[0]])
    print(
        f"\n| new process to its first detection | seconds | from - to | ratio | {' | '.join(PARTS)} | objects |"
    )
    print("|---|---|---|---|" + "---|" * (len(PARTS) + 1))
    for side, taken in runs.items():
        totals = [run["total"] for run in taken]
        median = statistics.median(totals)
        parts = " | ".join(f"{statistics.median(run[part] for run in taken):.2f}" for part in PARTS)
        span = f"{min(totals):.2f} - {max(totals):.2f}"
        print(f"| {side} | {median:.2f} | {span} | {median / base:.2f} | {parts} | {taken[0]['objects']} |")


def detect_ours(folder: Path) -> None:
    start = time.perf_counter()
    import keras_maskrcnn as km

    load_model = km.load_model  # the first name that is used loads TensorFlow
    imported = time.perf_counter()
    model = load_model(folder / "model.keras")
    loaded = time.perf_counter()
    objects = model.detect(np.load(folder / "image.npy"))[0]
    print_parts(start, imported, loaded, len(objects))


def detect_bare(folder: Path) -> None:
    """Detect as where scikit-learn is not installed: this package does not need it, and Keras imports it if it can."""
    sys.modules["sklearn"] = None  # type: ignore[assignment]
    detect_ours(folder)


def detect_theirs(folder: Path) -> None:
    start = time.perf_counter()
    import torch
    from torchvision.models.detection import maskrcnn_resnet50_fpn

    imported = time.perf_counter()
    model = maskrcnn_resnet50_fpn(weights=None, weights_backbone=None)
    for module in model.modules():
        if type(module).__name__ == "FrozenBatchNorm2d":
            module.eps = 0.0  # as for the published weights
    model.load_state_dict(torch.load(folder / "model.pt"))
    model.eval()
    loaded = time.perf_counter()
    image = np.load(folder / "image.npy")
    with torch.inference_mode():
        (found,) = model([torch.tensor(image.transpose(2, 0, 1) / np.float32(255))])
        objects = (found["masks"] > 0.5).numpy()
    print_parts(start, imported, loaded, len(objects))


def print_parts(start: float, imported: float, loaded: float, objects: int) -> None:
    seconds = imported - start, loaded - imported, time.perf_counter() - loaded
    print(json.dumps({**dict(zip(PARTS, seconds, strict=True)), "objects": objects}), flush=True)


def print_training(folder: Path, rounds: int) -> None:
    runs = [child("fit", folder) for _ in range(rounds)]
    print("\n| first steps of fit, 2 x 512 x 512 | seconds | from - to |\n|---|---|---|")
    for name in [name for name in runs[0] if name not in ("total", "traces")]:
        taken = [run[name] for run in runs]
        print(f"| {name} | {statistics.median(taken):.2f} | {min(taken):.2f} - {max(taken):.2f} |")
    print(f"\nThe step is traced {runs[0]['traces']} time(s).")


def fit(folder: Path) -> None:
    """Print when the first steps of `fit` have ended, and how long Python was at tracing them."""
    import keras
    import training

    import keras_maskrcnn as km

    model, _ = training.our_model(512)
    records = training.records_of(training.make_examples(2, 512))
    dataset = km.make_dataset(records, model.config, batch_size=2, training=True)
    model.compile(optimizer=km.sgd(1e-4))
    ends, traces, step = [], [], model.train_step

    def train_step(data: Any) -> Any:
        begin = time.perf_counter()
        logs = step(data)
        traces.append(time.perf_counter() - begin)
        return logs

    model.train_step = train_step
    at_end = keras.callbacks.LambdaCallback(
        on_train_batch_end=lambda batch, logs: ends.append(time.perf_counter())
    )
    start = time.perf_counter()
    model.fit(dataset, epochs=STEPS, verbose=0, callbacks=[at_end])
    first, later = ends[0] - start, np.median(np.diff(ends))
    parts = {"fit to the end of the first step": first, "of that tracing": sum(traces), "a later step": later}
    print(json.dumps({**parts, "traces": len(traces)}), flush=True)


def print_sizes(folder: Path, images: int) -> None:
    """Time ten sizes of images, and watch the memory, in this process."""
    import peers

    import keras_maskrcnn as km

    model = km.load_model(folder / "model.keras")
    model.detect(peers.made_image(*SIZES[0]))
    print("\n| image | seconds, first time | second |\n|---|---|---|")
    for height, width in SIZES:
        taken = []
        for seed in range(2):
            image = peers.made_image(height, width, seed)
            begin = time.perf_counter()
            model.detect(image)
            taken.append(time.perf_counter() - begin)
        print(f"| {height} x {width} | {taken[0]:.2f} | {taken[1]:.2f} |")
    print_memory(model, images)


def print_memory(model: Any, total: int) -> None:
    import peers

    images = (peers.made_image(*SIZES[i % len(SIZES)], seed=i) for i in range(total))
    print("\n| images | memory now, GiB | highest |\n|---|---|---|")
    for count, _ in enumerate(model.detect_iter(images, masks="rle"), 1):
        if count % max(total // 5, 1) == 0:
            print(f"| {count} | {peers.memory('VmRSS'):.2f} | {peers.memory('VmHWM'):.2f} |")


CHILDREN = {OURS: detect_ours, BARE: detect_bare, THEIRS: detect_theirs, "fit": fit}

if __name__ == "__main__":
    main()
