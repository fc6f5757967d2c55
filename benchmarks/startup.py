"""From a cold start to the first detection, then ten images of ten sizes, then 200 images watched for memory.

python benchmarks/startup.py [--images 200]

ResNet-50-FPN with randomly generated weights, saved as a .keras file; everything is timed in a new process, as in a
script that loads a model and uses it. The compiled operations' own compilation, once per machine, is timed apart.
"""

import argparse
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

SIZES = [(480, 640), (500, 333), (375, 500), (640, 427), (720, 1280), (1080, 1920), (600, 600), (333, 500)]
SIZES += [(1200, 1600), (256, 1024)]


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--images", type=int, default=200, help="watched for memory")
    parser.add_argument("--model", help="a .keras file, timed in this process (used by the program itself)")
    options = parser.parse_args()
    if options.model is not None:
        run(options.model, options.images)
        return
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.keras"
        save_model(path)
        print_compilation(folder)
        command = [sys.executable, __file__, "--model", str(path), "--images", str(options.images)]
        subprocess.run(command, check=True)


def save_model(path):
    import peers

    peers.our_model()[0].save(path)
    print(peers.machine())


def print_compilation(folder):
    environment = os.environ | {"XDG_CACHE_HOME": folder}
    code = "import time, keras_maskrcnn.ops.library as o; s = time.perf_counter(); o.op_library(); "
    code += "print(time.perf_counter() - s)"
    output = subprocess.run(
        [sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True
    )
    print(f"compiling the operations, once per machine: {float(output.stdout.splitlines()[-1]):.1f} s")


def run(model_path, images):
    start = time.perf_counter()
    import keras_maskrcnn as km

    model = km.load_model(model_path)
    loaded = time.perf_counter()
    import peers

    first = model.detect(peers.made_image(*SIZES[0]))[0]
    print(
        f"import and load_model {loaded - start:.1f} s, first detection after {time.perf_counter() - start:.1f} s"
    )
    assert len(first)
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


def print_memory(model, total):
    import peers

    images = (peers.made_image(*SIZES[i % len(SIZES)], seed=i) for i in range(total))
    print("\n| images | memory now, GiB | highest |\n|---|---|---|")
    for count, _ in enumerate(model.detect_iter(images, masks="rle"), 1):
        if count % max(total // 5, 1) == 0:
            print(f"| {count} | {peers.memory('VmRSS'):.2f} | {peers.memory('VmHWM'):.2f} |")


if __name__ == "__main__":
    main()
