"""Which processes train together, as TF_CONFIG or SLURM's variables name them; read before TensorFlow is loaded."""

import dataclasses
import itertools
import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

FIRST_PORT, PORTS = 20000, 10000
"""Ports of SLURM's jobs, below those that systems give to outgoing connections."""
_HOW = (
    "It is as Kubeflow, Vertex AI and Ray set it, or by hand "
    '{"cluster": {"worker": ["HOST:PORT", "HOST:PORT"]}, "task": {"type": "worker", "index": 0}}, '
    "the same in all processes but for the index"
)


class LostWorkerError(ConnectionError):
    """Another process of the training has ended or cannot be reached."""


@dataclasses.dataclass(frozen=True)
class Cluster:
    """All processes of a training, and which of them this one is.

    Args:
        jobs: {"chief": ["host:port"], "worker": ["host:port", ...]}; the chief may be missing.
        job, index: of this process.
        neighbours: how many of them are on this process' machine, if that is known.
        neighbour: which of those this one is.
    """

    jobs: Mapping[str, list[str]]
    job: str
    index: int
    neighbours: int = 1
    neighbour: int = 0


def check_strategy(
    strategy: str | None, cluster: str | None, environment: Mapping[str, str]
) -> Cluster | None:
    """Return the processes that train together, or None if this is the only one.

    Args:
        strategy: --strategy: "mirrored", "workers" or None.
        cluster: --cluster: "tf_config", "slurm" or None.
        environment: of the process.

    Raises:
        ValueError: the options do not go together, the environment does not name the processes, or it names several and
            the options none: each would train the whole run.
    """
    if cluster is not None and strategy == "mirrored":
        raise ValueError("--cluster is of --strategy workers; mirrored is one process")
    if cluster == "slurm":
        return cluster_of_slurm(environment)
    if strategy == "workers" or cluster is not None:
        return cluster_of_tf_config(environment)
    if environment.get("TF_CONFIG"):
        count = sum(map(len, cluster_of_tf_config(environment).jobs.values()))
        if count > 1:
            raise ValueError(
                f"TF_CONFIG names {count} processes, each of which would train the same run: add --strategy workers"
            )
    tasks = environment.get("SLURM_STEP_NUM_TASKS", "1")
    if tasks != "1":
        raise ValueError(
            f"SLURM has started {tasks} tasks, each of which would train the same run: add --cluster slurm"
        )
    return None


def cluster_of_tf_config(environment: Mapping[str, str]) -> Cluster:
    """Read TF_CONFIG.

    Raises:
        ValueError: it is not there, is not such JSON, or this process is neither chief nor worker.
    """
    text = environment.get("TF_CONFIG")
    if not text:
        raise ValueError(f"--strategy workers needs TF_CONFIG in the environment. {_HOW}")
    try:
        content: Any = json.loads(text)
        jobs = {str(job): [str(host) for host in hosts] for job, hosts in content["cluster"].items()}
        job, index = content["task"]["type"], int(content["task"]["index"])
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise ValueError(f"TF_CONFIG is not as it should be ({error!r}): {text}. {_HOW}") from error
    if job not in ("chief", "worker"):
        raise ValueError(
            f"TF_CONFIG: this process is of type {job!r}; chief and workers train and evaluate: start no others"
        )
    if not 0 <= index < len(jobs.get(job, ())):
        raise ValueError(f"TF_CONFIG: there is no {job} {index} in its cluster: {text}")
    return Cluster({name: jobs[name] for name in ("chief", "worker") if name in jobs}, job, index)


def cluster_of_slurm(environment: Mapping[str, str]) -> Cluster:
    """Read what srun tells each of its tasks.

    TensorFlow's SlurmClusterResolver orders hosts as words, n10 before n9, takes no host names that go on behind their
    numbers, and no nodes without GPUs.

    Raises:
        ValueError: srun did not start the process, or its tasks are not in blocks, one node after the other.
    """
    names = ("PROCID", "NODEID", "LOCALID", "JOB_ID", "STEP_NODELIST", "STEP_TASKS_PER_NODE")
    missing = [f"SLURM_{name}" for name in names if f"SLURM_{name}" not in environment]
    if missing:
        raise ValueError(
            f"--cluster slurm needs the variables that srun sets; missing: {', '.join(missing)}. "
            "Start it as `srun maskrcnn train ...`"
        )
    rank, node, local, job = (int(environment[f"SLURM_{name}"]) for name in names[:4])
    hosts = list(hosts_of(environment["SLURM_STEP_NODELIST"]))
    counts = list(_tasks_of(environment["SLURM_STEP_TASKS_PER_NODE"]))
    if len(hosts) != len(counts):
        raise ValueError(
            f"SLURM_STEP_NODELIST has {len(hosts)} nodes, SLURM_STEP_TASKS_PER_NODE {len(counts)}: "
            f"{environment['SLURM_STEP_NODELIST']}, {environment['SLURM_STEP_TASKS_PER_NODE']}"
        )
    port = FIRST_PORT + job % PORTS  # another for each job, since two may share a node
    places = [(node, local) for node, count in enumerate(counts) for local in range(count)]
    if not rank < len(places) or places[rank] != (node, local):
        raise ValueError(
            f"SLURM's task {rank} is number {local} of node {node}, so tasks are not in blocks, one node after the "
            "other: leave out srun's --distribution, or give it block"
        )
    workers = [f"{hosts[node]}:{port + local}" for node, local in places]
    return Cluster({"worker": workers}, "worker", rank, counts[node], local)


def hosts_of(nodelist: str) -> Iterator[str]:
    """Give the names of SLURM's list of nodes: gpu[01-03,7]-ib,head is gpu01-ib, gpu02-ib, gpu03-ib, gpu7-ib, head."""
    for name in re.findall(r"(?:[^,\[]|\[[^\]]*\])+", nodelist):
        pieces = re.split(r"\[([^\]]*)\]", name)  # every other one was in brackets
        choices = [list(_numbers(piece)) if place % 2 else [piece] for place, piece in enumerate(pieces)]
        yield from map("".join, itertools.product(*choices))


def _numbers(ranges: str) -> Iterator[str]:
    for one in ranges.split(","):
        first, _, last = one.partition("-")
        for number in range(int(first), int(last or first) + 1):
            yield str(number).zfill(len(first))


def _tasks_of(counts: str) -> Iterator[int]:
    """Give the tasks of each node: 2(x3),1 is 2, 2, 2, 1."""
    for one in counts.split(","):
        count, _, times = one.rstrip(")").partition("(x")
        yield from [int(count)] * int(times or 1)
