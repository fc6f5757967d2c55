"""`maskrcnn serve` under load: are all answers right, how long do they take, and does memory stay.

    python benchmarks/serving.py cells.onnx

Sixteen clients send three hundred requests: photographs of scikit-image in several sizes and kinds of files, and broken
files among them. Each answer is compared with what `ExportedModel` finds directly, in this process.
"""

import argparse
import io
import json
import random
import statistics
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from pathlib import Path

import skimage.data
from PIL import Image

from keras_maskrcnn.runtime import ExportedModel
from keras_maskrcnn.serving.app import answer


def files():
    """Return the files that are sent, by name: images, and what is none."""
    found = {}
    for name, scale in (
        ("astronaut", 1.0),
        ("coffee", 0.7),
        ("chelsea", 1.0),
        ("rocket", 0.4),
        ("camera", 0.5),
    ):
        image = Image.fromarray(getattr(skimage.data, name)())
        image = image.resize([round(side * scale) for side in image.size])
        for kind in ("jpeg", "png"):
            file = io.BytesIO()
            image.save(file, kind)
            found[f"{name}.{kind}"] = file.getvalue()
    found["cut off"] = found["astronaut.png"][:2000]
    found["text"] = b"this is no image"
    found["too large"] = b"\0" * 21_000_000
    return found


def resident(process):
    """Return the memory of a process in MB."""
    for line in Path(f"/proc/{process.pid}/status").read_text().splitlines():
        if line.startswith("VmRSS"):
            return int(line.split()[1]) / 1000
    return float("nan")


def ask(address, body):
    """Return the status, the answer and the seconds of a request."""
    start = time.perf_counter()
    try:
        with urllib.request.urlopen(
            urllib.request.Request(f"{address}/detect", body), timeout=600
        ) as response:
            status, content = response.status, json.load(response)
    except urllib.error.HTTPError as error:
        status, content = error.code, json.load(error)
    except urllib.error.URLError:  # the server closes what is too large while it is still being sent
        status, content = 413, {"error": "closed"}
    return status, content, time.perf_counter() - start


def is_right(status, content, expected):
    """Whether an answer is the one that there should be; images in a batch are padded, which moves scores a little."""
    if expected is None:
        return status in (400, 413) and "error" in content
    if status != 200 or len(content["detections"]) != len(expected["detections"]):
        return False
    scores = [[one["score"] for one in found["detections"]] for found in (content, expected)]
    return all(abs(one - other) < 0.02 for one, other in zip(*scores, strict=True))


def wait_for(address):
    while True:
        try:
            return urllib.request.urlopen(f"{address}/health").status
        except urllib.error.URLError:
            time.sleep(0.2)


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("artefact", type=Path)
    parser.add_argument("--clients", type=int, default=16)
    parser.add_argument("--requests", type=int, default=300)
    parser.add_argument("--batch-size", type=int, default=4)
    parser.add_argument("--port", type=int, default=8765)
    args = parser.parse_args()

    bodies, model = files(), ExportedModel(args.artefact)
    expected, direct = {}, []
    for name, body in bodies.items():
        start = time.perf_counter()
        try:
            expected[name] = answer(model.detect(body, masks="rle")[0], with_masks=True)
            direct.append(time.perf_counter() - start)
        except ValueError:
            expected[name] = None
    print(f"directly: {statistics.median(direct):.3f} s an image (median of {len(direct)})")

    command = [
        sys.executable,
        "-m",
        "keras_maskrcnn.cli.main",
        "serve",
        str(args.artefact),
        "--port",
        str(args.port),
    ]
    server = subprocess.Popen([*command, "--batch-size", str(args.batch_size)])
    address = f"http://127.0.0.1:{args.port}"
    try:
        wait_for(address)
        order = random.Random(0).choices(sorted(bodies), k=args.requests)
        times, wrong, memory, lock = [], [], [], threading.Lock()

        def client():
            while True:
                with lock:
                    if not order:
                        return
                    name = order.pop()
                    memory.append(resident(server))
                status, content, seconds = ask(address, bodies[name])
                with lock:
                    if expected[name] is not None:
                        times.append(seconds)
                    if not is_right(status, content, expected[name]):
                        wrong.append((name, status))

        start = time.perf_counter()
        threads = [threading.Thread(target=client) for _ in range(args.clients)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        whole = time.perf_counter() - start
        quantiles = statistics.quantiles(times, n=20)
        rate = len(times) / whole
        print(
            f"{args.requests} requests of {args.clients} clients: {whole:.1f} s, {rate:.2f} images a second"
        )
        print(f"p50 {quantiles[9]:.3f} s, p95 {quantiles[18]:.3f} s; {len(wrong)} wrong answers {wrong[:5]}")
        part = max(len(memory) // 6, 1)
        print(
            "memory of the server, MB, over time:",
            *(f"{statistics.median(memory[i : i + part]):.0f}" for i in range(0, len(memory), part)),
        )
        print("still healthy:", wait_for(address) == 200)
    finally:
        server.terminate()
        print("ended with code", server.wait(timeout=90))


if __name__ == "__main__":
    main()
