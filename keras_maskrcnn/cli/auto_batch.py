"""`--batch-size auto` of `maskrcnn train`: as many images per step as the free memory holds."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import tensorflow as tf
from tensorflow.python.client import device_lib  # TensorFlow says nowhere else what it may take of a GPU

from keras_maskrcnn.cli.cluster import Cluster
from keras_maskrcnn.cli.recipe import RECIPE_BATCH
from keras_maskrcnn.config.config import Config
from keras_maskrcnn.data.records import Record
from keras_maskrcnn.diagnostics.memory import StepMemory
from keras_maskrcnn.utils.counted import counted
from keras_maskrcnn.utils.machine_memory import FreeMemory, free_memory
from keras_maskrcnn.utils.replicas import from_chief

_USED = 0.8
"""Of the free memory, since measured peaks are up to a quarter above the estimate."""


def auto_batch_size(
    config: Config,
    records: Sequence[Record],
    settings: dict[str, Any],
    strategy: tf.distribute.Strategy,
    cluster: Cluster | None,
) -> int:
    """Return the images of a step, on all replicas together, and print why; of several workers the chief chooses.

    They are as many as fit, but no more than the published recipes have, by which the learning rate is made, and no
    more than there are.

    Raises:
        ValueError: not even one fits, or this machine does not say how much memory is free.
    """
    replicas = strategy.num_replicas_in_sync
    free = _free_of_replica(replicas, cluster)
    usable = int(_USED * free.bytes)
    memory = StepMemory(config, records, _more_per_weight(settings))
    fitting = memory.largest_batch(usable)
    most = max(min(RECIPE_BATCH, len(records)) // replicas, 1)
    chosen = int(from_chief(np.array(min(fitting, most)), strategy))
    bounds = (
        f"{_gib(free.bytes)} are free {free.where}, of which 80% are used, since the estimate may be too low"
    )
    if not 0 < chosen <= fitting:  # or less than the chief's
        raise ValueError(
            f"--batch-size auto: a step of {counted(max(chosen, 1), 'image')} takes about "
            f"{_gib(memory.of(max(chosen, 1)))}, and {bounds}; smaller min_size, max_size and box_batch_size, and "
            "recomputed_stages=5 (--set) take less"
        )
    limit = ""
    if chosen < fitting:
        reason = "all that an epoch has" if len(records) < RECIPE_BATCH else "the published recipes' batch"
        limit = f"; {fitting} would fit, but {chosen * replicas} images in all are {reason}"
    per_replica = f" for each of {replicas} replicas" if replicas > 1 else ""
    print(
        f"--batch-size auto: {counted(chosen, 'image')} per step{per_replica}, which take about "
        f"{_gib(memory.of(chosen))} ({chosen + 1} would take {_gib(memory.of(chosen + 1))}); {bounds}{limit}"
    )
    return chosen * replicas


def _more_per_weight(settings: dict[str, Any]) -> int:
    """How many numbers the optimizer keeps of each weight beyond those of SGD with momentum."""
    return (settings["optimizer"] == "adamw") + (settings["ema"] is not None) + (settings["accumulate"] > 1)


def _free_of_replica(replicas: int, cluster: Cluster | None) -> FreeMemory:
    """Return what one replica of this process may take."""
    gpus = _gpus()
    if gpus:
        return min(gpus)
    free = free_memory()
    if free is None:
        raise ValueError(
            "--batch-size auto: this machine does not say how much memory is free; give a number of images"
        )
    here, processes = _neighbours(cluster)
    sharing = here * replicas // processes
    if sharing == 1:
        return free
    return FreeMemory(free.bytes // sharing, f"{free.where} for each of {sharing} replicas")


def _gpus() -> list[FreeMemory]:
    """What TensorFlow may still take of each GPU that it sees."""
    found = []
    for device in device_lib.list_local_devices():
        if device.device_type == "GPU":
            taken = tf.config.experimental.get_memory_info(device.name)["current"]
            found.append(
                FreeMemory(device.memory_limit - taken, f"on {device.name.removeprefix('/device:')}")
            )
    return found


def _neighbours(cluster: Cluster | None) -> tuple[int, int]:
    """How many of the training's processes are on this machine, and how many there are."""
    if cluster is None:
        return 1, 1
    hosts = [place.rpartition(":")[0] for job in cluster.jobs.values() for place in job]
    own = cluster.jobs[cluster.job][cluster.index].rpartition(":")[0]
    return max(hosts.count(own), cluster.neighbours), len(hosts)


def _gib(size: int) -> str:
    return f"{size / 2**30:.2f} GiB"
