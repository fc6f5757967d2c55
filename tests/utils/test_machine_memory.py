"""The memory that is free is what the machine has and what every control group above this process leaves."""

import sys

import pytest

from keras_maskrcnn.utils.machine_memory import FreeMemory, free_memory

MIB = 2**20
MACHINE = {"proc/meminfo": "MemTotal: 16777216 kB\nMemFree: 1024 kB\nMemAvailable:    8388608 kB\n"}


def v2(folder, limit, used, inactive=0):
    return {
        f"sys/fs/cgroup{folder}/memory.max": f"{limit}\n",
        f"sys/fs/cgroup{folder}/memory.current": f"{used}\n",
        f"sys/fs/cgroup{folder}/memory.stat": f"anon 5\ninactive_file {inactive}\nactive_file 9\n",
    }


def v1(folder, limit, used, inactive=0):
    return {
        f"sys/fs/cgroup/memory{folder}/memory.limit_in_bytes": f"{limit}\n",
        f"sys/fs/cgroup/memory{folder}/memory.usage_in_bytes": f"{used}\n",
        f"sys/fs/cgroup/memory{folder}/memory.stat": f"inactive_file 7\ntotal_inactive_file {inactive}\n",
    }


@pytest.mark.parametrize(
    ("files", "free", "where"),
    [
        ({}, 8 * 2**30, "this machine"),
        ({"proc/self/cgroup": "0::/\n"}, 8 * 2**30, "this machine"),
        ({"proc/self/cgroup": "0::/job\n", **v2("/job", "max", 5)}, 8 * 2**30, "this machine"),
        ({"proc/self/cgroup": "0::/job\n", **v2("/job", 900 * MIB, 500 * MIB)}, 400 * MIB, "memory.max"),
        # what files have left in memory is given up first
        ({"proc/self/cgroup": "0::/job\n", **v2("/job", 900 * MIB, 500 * MIB, 200 * MIB)}, 600 * MIB, "memory.max"),
        # a parent's limit counts, too
        (
            {
                "proc/self/cgroup": "0::/slurm/job/step\n",
                **v2("/slurm/job/step", "max", 5),
                **v2("/slurm", 700 * MIB, 300 * MIB),
            },
            400 * MIB,
            "memory.max",
        ),
        # in a container the path is the host's, or /
        ({"proc/self/cgroup": "0::/docker/0af\n", **v2("", 700 * MIB, 100 * MIB)}, 600 * MIB, "memory.max"),
        ({"proc/self/cgroup": "0::/\n", **v2("", 700 * MIB, 100 * MIB)}, 600 * MIB, "memory.max"),
        (
            {"proc/self/cgroup": "5:cpu,cpuacct:/a\n4:memory:/a\n0::/\n", **v1("/a", 900 * MIB, 500 * MIB, 100 * MIB)},
            500 * MIB,
            "memory.limit_in_bytes",
        ),
        ({"proc/self/cgroup": "4:memory:/a\n", **v1("/a", 2**63 - 4096, 500 * MIB)}, 8 * 2**30, "this machine"),
        ({"proc/self/cgroup": "4:memory:/a\n", **v1("/a", 100 * MIB, 500 * MIB)}, 0, "memory.limit_in_bytes"),
    ],
)  # fmt: skip
def test_the_tightest_bound_counts(tmp_path, files, free, where):
    for name, text in {**MACHINE, **files}.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    found = free_memory(tmp_path)
    assert found is not None and found.bytes == free and where in found.where


def test_what_the_system_does_not_say_is_not_known(tmp_path):
    assert free_memory(tmp_path) is None


@pytest.mark.skipif(sys.platform != "linux", reason="other systems do not say")
def test_this_machine_has_some():
    found = free_memory()
    assert isinstance(found, FreeMemory) and found.bytes > 0
