import types

import numpy as np
import pytest
import tensorflow as tf

from keras_maskrcnn.utils import replicas
from keras_maskrcnn.utils.replicas import from_chief, has_replicas, has_workers, is_chief, mean_of_replicas


def of_workers(task, number, jobs=("worker",)):
    """A strategy of several processes, as far as it is asked for its place among them."""
    strategy = tf.distribute.MultiWorkerMirroredStrategy.__new__(tf.distribute.MultiWorkerMirroredStrategy)
    spec = types.SimpleNamespace(jobs=list(jobs))
    resolver = types.SimpleNamespace(task_type=task, task_id=number, cluster_spec=lambda: spec)
    return type(
        "Strategy", (type(strategy),), {"__init__": lambda self: None, "cluster_resolver": resolver}
    )()


@pytest.mark.parametrize(
    ("task", "number", "jobs", "expected"),
    [
        ("worker", 0, ("worker",), True),
        ("worker", 1, ("worker",), False),
        ("chief", 0, ("chief", "worker"), True),
        ("worker", 0, ("chief", "worker"), False),
        ("evaluator", 0, ("chief", "worker", "evaluator"), False),
        (None, None, (), True),
    ],
)
def test_the_chief_writes_or_where_there_is_none_the_first_worker(task, number, jobs, expected):
    assert is_chief(of_workers(task, number, jobs)) is expected


def test_one_process_is_its_own_chief():
    mirrored = tf.distribute.MirroredStrategy(["CPU:0"])
    for strategy in (None, mirrored):
        assert is_chief(strategy) and not has_workers(strategy) and not has_replicas(strategy)
    values = np.array([1.0, np.nan])
    assert from_chief(values, mirrored) is values


def test_the_mean_of_one_device_is_its_value():
    value = tf.constant(3.0)
    assert mean_of_replicas(value) is value
    assert replicas.has_workers(of_workers("worker", 0))
