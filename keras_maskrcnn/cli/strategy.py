"""The `tf.distribute` strategy that a command line asks for; it is made before anything else of TensorFlow."""

import os

import tensorflow as tf

from keras_maskrcnn.cli.cluster import Cluster
from keras_maskrcnn.utils.counted import counted


def make_strategy(name: str | None, cluster: Cluster | None) -> tf.distribute.Strategy:
    """Return the strategy, in whose scope the model is to be made.

    Args:
        name: "mirrored": all GPUs of this machine, or its one CPU; else by `cluster`.
        cluster: the processes that train together, if there are several.

    Raises:
        ValueError: the machine has fewer GPUs than SLURM has started tasks there.
    """
    if cluster is not None:
        return _of_workers(cluster)
    return tf.distribute.MirroredStrategy() if name == "mirrored" else tf.distribute.get_strategy()


def _of_workers(cluster: Cluster) -> tf.distribute.Strategy:
    gpus = tf.config.list_physical_devices("GPU")
    # With --gpus-per-task SLURM shows each task its own GPUs, else each sees all of its node's.
    shown = {"SLURM_GPUS_PER_TASK", "SLURM_TRES_PER_TASK"} & set(os.environ)
    if gpus and cluster.neighbours > 1 and not shown:
        share = len(gpus) // cluster.neighbours
        if not share:
            raise ValueError(
                f"SLURM has started {cluster.neighbours} tasks on a node with {len(gpus)} GPUs: start no more "
                "(srun --ntasks-per-node), or one that uses all"
            )
        gpus = gpus[cluster.neighbour * share : (cluster.neighbour + 1) * share]
        tf.config.set_visible_devices(gpus, "GPU")
    resolver = tf.distribute.cluster_resolver.SimpleClusterResolver(
        tf.train.ClusterSpec(dict(cluster.jobs)),
        task_type=cluster.job,
        task_id=cluster.index,
        num_accelerators={"GPU": len(gpus)},
        rpc_layer="grpc",
    )
    return tf.distribute.MultiWorkerMirroredStrategy(resolver)


def described(strategy: tf.distribute.Strategy, cluster: Cluster | None) -> str:
    """Return the line that says on what the model is trained."""
    replicas = counted(strategy.num_replicas_in_sync, "replica")
    if cluster is None:
        return f"Trained on {replicas} of this machine"
    hosts = [host for job in cluster.jobs.values() for host in job]
    return f"Trained on {replicas} in {counted(len(hosts), 'process', 'processes')}: {', '.join(hosts)}"
