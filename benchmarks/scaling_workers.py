"""Weak scaling of training in two processes: does a step of twice the images on twice the cores take as long?

python benchmarks/scaling_workers.py [--size 512] [--images 4] [--steps 12] [--rounds 3]

ResNet-50-FPN with random weights, all layers trained; each process bound to a core of its own. Three rows,
in turns, each a run of its own: one process; two that know nothing of each other, which shows what the cores share;
two workers of one training under a MultiWorkerMirroredStrategy, exchange of gradients included. Bytes are those of
the loopback interface. The last table is arithmetic: what the exchange of these gradients adds to a step on GPUs.
"""

import argparse
import json
import os
import socket
import statistics
import subprocess
import sys
import time
from pathlib import Path

os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "1")  # faster on processors without AVX-512

ROWS = ("one process", "two apart", "two workers")
SKIPPED = 3
"""First steps, of which one traces."""
COMPUTE = 8 * 2 / 62
"""Seconds of a step of two images on a V100, with its exchange: Detectron2 trains 62 images/s on eight (its
docs/notes/benchmarks.md)."""
LINKS = {"NVLink, 100 GB/s": 100e9, "100 Gbit/s": 12.5e9, "25 Gbit/s": 3.1e9, "10 Gbit/s": 1.25e9}


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--size", type=int, default=512, help="side of the images")
    parser.add_argument("--images", type=int, default=4, help="per process and step")
    parser.add_argument("--steps", type=int, default=12)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--core", type=int, help="train on this core and print what a step took")
    options = parser.parse_args()
    if options.core is not None:
        train(options)
        return
    cores = sorted(os.sched_getaffinity(0))[:2]
    found = {name: [] for name in ROWS}
    for _ in range(options.rounds):
        for name in ROWS:
            found[name].append(measured(name, cores, options))
            print(name, found[name][-1], flush=True)
    print_table(found)


def measured(name, cores, options):
    """Run the processes of a row; return the slower one's seconds per step, and all bytes that went between them."""
    configs = [None] if name == "one process" else [None, None]
    if name == "two workers":
        configs = tf_configs()
    running = []
    for core, config in zip(cores, configs, strict=False):
        environment = {name: value for name, value in os.environ.items() if name != "TF_CONFIG"}
        environment |= {"TF_CONFIG": config} if config else {}
        command = [sys.executable, __file__, "--core", core, "--size", options.size]
        command += ["--images", options.images, "--steps", options.steps]
        running.append(
            subprocess.Popen([str(part) for part in command], env=environment, stdout=subprocess.PIPE)
        )
    outputs = [process.communicate()[0] for process in running]
    if any(process.returncode for process in running):
        raise SystemExit(f"{name}: a process failed")
    results = [json.loads(output.splitlines()[-1]) for output in outputs]
    slower = max(results, key=lambda result: result["seconds"])
    return {**slower, "bytes": max(result["bytes"] for result in results)}


def tf_configs():
    """TF_CONFIG of two workers on free ports."""
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(2)]
    workers = [f"127.0.0.1:{one.getsockname()[1]}" for one in sockets]
    for one in sockets:
        one.close()
    tasks = ({"type": "worker", "index": number} for number in range(2))
    return [json.dumps({"cluster": {"worker": workers}, "task": task}) for task in tasks]


def train(options):
    """Train on one core, alone or as a worker, and print the median step and the bytes of the loopback interface."""
    os.sched_setaffinity(0, {options.core})
    import tensorflow as tf

    workers = "TF_CONFIG" in os.environ
    strategy = tf.distribute.MultiWorkerMirroredStrategy() if workers else tf.distribute.get_strategy()

    import keras
    import numpy as np
    import peers
    import training

    import keras_maskrcnn as km

    class Steps(keras.callbacks.Callback):
        """The time and the bytes at the end of each step."""

        def __init__(self):
            super().__init__()
            self.ends = []

        def on_train_batch_end(self, batch, logs=None):
            float(logs["loss"])  # the step has ended when its loss is known
            self.ends.append((time.perf_counter(), loopback_bytes()))

    with strategy.scope():
        model = training.our_model(options.size)[0]
        model.compile(km.sgd(1e-4))
    image, boxes, masks, classes = training.make_examples(1, options.size)[0]
    record = km.make_record(image, boxes=boxes, masks=masks, class_ids=classes, image_id=1)
    count = options.images * strategy.num_replicas_in_sync
    dataset = km.make_dataset(
        [record] * count * (SKIPPED + options.steps), model.config, count, training=True
    )
    steps = Steps()
    model.fit(dataset, verbose=0, callbacks=[steps])
    times, sizes = zip(*steps.ends[SKIPPED - 1 :], strict=True)
    print(
        json.dumps(
            {
                "seconds": statistics.median(np.diff(times)),
                "bytes": (sizes[-1] - sizes[0]) // options.steps,
                "gradients": 4 * sum(int(np.prod(weight.shape)) for weight in model.trainable_weights),
                "machine": peers.machine(),
            }
        )
    )


def loopback_bytes():
    """Bytes that the loopback interface has received so far."""
    for line in Path("/proc/net/dev").read_text().splitlines():
        name, _, counts = line.partition(":")
        if name.strip() == "lo":
            return int(counts.split()[0])
    return 0


def print_table(found):
    seconds = {name: statistics.median(one["seconds"] for one in runs) for name, runs in found.items()}
    print(f"\n{found[ROWS[0]][0]['machine']}\n")
    print("| | s per step | of one process' speed | MB exchanged per step |\n|---|---|---|---|")
    for name in ROWS:
        sent = statistics.median(one["bytes"] for one in found[name]) / 1e6
        print(f"| {name} | {seconds[name]:.2f} | {seconds[ROWS[0]] / seconds[name]:.2f} | {sent:.0f} |")
    gradients = found[ROWS[2]][0]["gradients"]
    print(f"\nGradients: {gradients / 1e6:.0f} MB. Sent by each of n in a ring: 2 (n - 1) / n of that.\n")
    print("| eight, linked by | s of exchange | of eight times the speed of one |\n|---|---|---|")
    for link, bandwidth in LINKS.items():
        exchange = 2 * 7 / 8 * gradients / bandwidth
        print(f"| {link} | {exchange:.3f} | {COMPUTE / (COMPUTE + exchange):.2f} |")


if __name__ == "__main__":
    main()
