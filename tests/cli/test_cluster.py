import json

import pytest
from command_line import error

from keras_maskrcnn.cli.cluster import Cluster, check_strategy, cluster_of_slurm, hosts_of

CLUSTER = {"chief": ["a:1"], "worker": ["b:1", "c:1"]}


def tf_config(job="worker", index=1, cluster=CLUSTER):
    return {"TF_CONFIG": json.dumps({"cluster": cluster, "task": {"type": job, "index": index}})}


def slurm(rank, node, local, nodes="gpu[9-10]", tasks="2(x2)", job=123456):
    values = {
        "PROCID": rank, "NODEID": node, "LOCALID": local, "JOB_ID": job, "STEP_NODELIST": nodes,
        "STEP_TASKS_PER_NODE": tasks, "STEP_NUM_TASKS": 4,
    }  # fmt: skip
    return {f"SLURM_{name}": str(value) for name, value in values.items()}


def test_without_options_a_process_is_alone():
    assert check_strategy(None, None, {}) is None
    assert check_strategy("mirrored", None, {"SLURM_STEP_NUM_TASKS": "1"}) is None
    assert check_strategy(None, None, tf_config("worker", 0, {"worker": ["a:1"]})) is None


def test_tf_config_names_the_processes_as_kubeflow_vertex_and_ray_set_it():
    assert check_strategy("workers", None, tf_config()) == Cluster(CLUSTER, "worker", 1)
    vertex = {"TF_CONFIG": json.dumps({
        "cluster": {**CLUSTER, "evaluator": ["d:1"]}, "environment": "cloud", "job": "{}",
        "task": {"cloud": "x", "index": "0", "trial": "1", "type": "chief"},
    })}  # fmt: skip
    assert check_strategy("workers", "tf_config", vertex) == Cluster(CLUSTER, "chief", 0)


@pytest.mark.parametrize(
    ("environment", "words"),
    [
        ({}, "needs TF_CONFIG"),
        ({"TF_CONFIG": "{"}, "TF_CONFIG is not as it should be"),
        ({"TF_CONFIG": '{"cluster": {"worker": ["a:1"]}}'}, "KeyError('task')"),
        (tf_config("evaluator", 0), "this process is of type 'evaluator'"),
        (tf_config("worker", 2), "there is no worker 2"),
    ],
)
def test_a_wrong_tf_config_is_refused(environment, words):
    with pytest.raises(ValueError) as raised:
        check_strategy("workers", None, environment)
    assert words in str(raised.value)


def test_several_processes_never_train_the_same_run_each_for_itself(tmp_path, capsys, monkeypatch):
    with pytest.raises(ValueError, match=r"TF_CONFIG names 3 processes.*--strategy workers"):
        check_strategy(None, None, tf_config())
    monkeypatch.setenv("SLURM_STEP_NUM_TASKS", "4")
    line = error(capsys, "train", "--annotations", tmp_path, "--output", tmp_path / "run")
    assert "SLURM has started 4 tasks" in line and "--cluster slurm" in line
    with pytest.raises(ValueError, match="--cluster is of --strategy workers"):
        check_strategy("mirrored", "slurm", {})


@pytest.mark.parametrize(
    ("nodelist", "hosts"),
    [
        ("head", ["head"]),
        ("n[9-11]", ["n9", "n10", "n11"]),
        ("n[008-010,3],m5", ["n008", "n009", "n010", "n3", "m5"]),
        ("rack[1-2]n[1,3]-ib", ["rack1n1-ib", "rack1n3-ib", "rack2n1-ib", "rack2n3-ib"]),
    ],
)
def test_slurms_lists_of_nodes_are_expanded_in_their_order(nodelist, hosts):
    assert list(hosts_of(nodelist)) == hosts


def test_slurms_tasks_are_workers_in_the_order_of_their_ranks():
    workers = ["gpu9:23456", "gpu9:23457", "gpu10:23456", "gpu10:23457"]
    assert cluster_of_slurm(slurm(2, 1, 0)) == Cluster({"worker": workers}, "worker", 2, 2, 0)
    found = check_strategy("workers", "slurm", slurm(2, 0, 2, "a,b", "3,1", job=7))
    assert found == Cluster({"worker": ["a:20007", "a:20008", "a:20009", "b:20007"]}, "worker", 2, 3, 2)


def test_what_srun_did_not_start_or_did_not_put_in_blocks_is_refused():
    with pytest.raises(ValueError, match=r"missing: SLURM_PROCID, .*srun maskrcnn train"):
        cluster_of_slurm({})
    with pytest.raises(ValueError, match=r"task 1 is number 0 of node 1.*--distribution"):
        cluster_of_slurm(slurm(1, 1, 0))
    with pytest.raises(ValueError, match="has 2 nodes, SLURM_STEP_TASKS_PER_NODE 3"):
        cluster_of_slurm(slurm(0, 0, 0, tasks="2(x3)"))
