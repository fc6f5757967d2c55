#!/usr/bin/env bash
# TensorFlow 2.21.0: SlurmClusterResolver gives a task the address of another node, if node numbers have unequal digits.
#
# srun numbers tasks along SLURM_STEP_NODELIST. The resolver sorts the hosts as words, n10 before n9, and then counts
# tasks along its own order: both processes bind an address of the other's machine, and the cluster never forms. One
# would expect task 0 of the nodes n[9-10] on n9. The resolver also asks nvidia-smi, unless the numbers of GPUs are given,
# and ends with "range() arg 3 must not be zero" if they are given as 0, on nodes without any.
# Seen: task 0 at n10:8888.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check tensorflow==2.21.0
cat > "$folder/hosts.py" <<'PYTHON'
import os

import tensorflow as tf

# What srun --nodes 2 sets in its first task, which runs on the first node of the list.
os.environ |= {
    "SLURM_PROCID": "0",
    "SLURM_NODEID": "0",
    "SLURM_STEP_NUM_TASKS": "2",
    "SLURM_STEP_NODELIST": "n[9-10]",
    "SLURM_STEP_TASKS_PER_NODE": "1(x2)",
}
make = tf.distribute.cluster_resolver.SlurmClusterResolver
resolver = make(gpus_per_node=1, gpus_per_task=1, auto_set_gpu=False)
workers = resolver.cluster_spec().as_dict()["worker"]
try:
    make(gpus_per_node=0, gpus_per_task=0, auto_set_gpu=False).cluster_spec()
    without = "no error"
except ValueError as error:
    without = str(error)
print("task 0:", workers[resolver.task_id], "of", workers, "; without GPUs:", without)
print("outcome:", workers[resolver.task_id], without)
PYTHON
seen=$(TF_CPP_MIN_LOG_LEVEL=3 "$folder/venv/bin/python" "$folder/hosts.py" 2> "$folder/log" || { cat "$folder/log" >&2; exit 1; })
echo "$seen"
[ "$(echo "$seen" | tail -n 1)" = "outcome: n10:8888 range() arg 3 must not be zero" ] || { echo "this has changed"; exit 1; }
