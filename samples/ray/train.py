"""Train on a Ray cluster: `maskrcnn train` in each worker, whose TF_CONFIG Ray Train sets.

    pip install "ray[train]"
    python samples/ray/train.py --workers 2 --gpu -- --annotations train.json --images train/ \\
        --val-annotations val.json --weights maskrcnn_resnet50_fpn_v2_coco --output /shared/run

What follows `--` are the arguments of `maskrcnn train`, with whole paths, which all nodes must see. A run that is there
already goes on from its last backup: so does one of which Ray has lost a worker, with --failures as often as it says.
"""

import argparse
import csv
import os
from pathlib import Path

import ray
from ray.train import Checkpoint, FailureConfig, RunConfig, ScalingConfig
from ray.train.tensorflow import TensorflowTrainer


def train(settings):
    """Train as one of the workers, and report the last epoch's losses and metrics, and the run's files."""
    # In the worker: TensorFlow must not be loaded before TF_CONFIG is there.
    from keras_maskrcnn.cli.main import main

    arguments = settings["arguments"]
    output = Path(arguments[arguments.index("--output") + 1])
    if (output / "backup.weights.h5").exists():
        arguments = ["--output", str(output), "--resume"]
    if main(["train", *arguments, "--strategy", "workers"]):
        raise RuntimeError("maskrcnn train has failed; its message is above")
    with open(output / "log.csv", newline="") as file:
        *_, last = csv.DictReader(file)
    metrics = {name: float(value) for name, value in last.items() if value}
    # Ray keeps metrics by their checkpoint alone, which is the whole run here, from one worker.
    is_first = ray.train.get_context().get_world_rank() == 0
    ray.train.report(metrics, checkpoint=Checkpoint.from_directory(output) if is_first else None)


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--workers", type=int, default=2, help="processes that train together")
    parser.add_argument("--gpu", action="store_true", help="one GPU for each worker")
    parser.add_argument(
        "--failures", type=int, default=0, help="how often Ray starts a lost worker's run anew"
    )
    parser.add_argument("arguments", nargs="+", help="of maskrcnn train, behind --")
    args = parser.parse_args()
    trainer = TensorflowTrainer(
        train,
        train_loop_config={"arguments": args.arguments},
        scaling_config=ScalingConfig(num_workers=args.workers, use_gpu=args.gpu),
        run_config=RunConfig(failure_config=FailureConfig(max_failures=args.failures)),
    )
    result = trainer.fit()
    for name, value in result.metrics.items():
        print(f"{name}: {value}")
    print(result.checkpoint)


if __name__ == "__main__":
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    main()
