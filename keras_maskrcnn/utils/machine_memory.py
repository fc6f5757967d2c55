"""How much memory a process may still take: what the machine has free, and what its control groups leave it."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple


class FreeMemory(NamedTuple):
    """Memory that may still be taken, and what bounds it."""

    bytes: int
    where: str


class _Version(NamedTuple):
    """Where a version of control groups keeps what of memory."""

    bases: tuple[str, ...]
    limit: str
    used: str
    droppable: str
    """The row of memory.stat with what the kernel gives up before it runs out: files that were read once."""


_V1 = _Version(
    ("sys/fs/cgroup/memory",), "memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file"
)
_V2 = _Version(("sys/fs/cgroup", "sys/fs/cgroup/unified"), "memory.max", "memory.current", "inactive_file")


def free_memory(root: Path = Path("/")) -> FreeMemory | None:
    """Return the least of what the machine and the control groups of this process (containers, SLURM jobs) leave it.

    Args:
        root: of the file system.

    Returns:
        Bytes and what bounds them; None where the system does not say, which is elsewhere than on Linux.
    """
    try:
        available = re.search(r"^MemAvailable:\s+(\d+) kB", (root / "proc/meminfo").read_text(), re.MULTILINE)
    except OSError:
        return None
    if available is None:
        return None
    machine = FreeMemory(1024 * int(available[1]), "on this machine")
    return min([machine, *_left_by_groups(root)])


def _left_by_groups(root: Path) -> Iterator[FreeMemory]:
    try:
        lines = (root / "proc/self/cgroup").read_text().splitlines()
    except OSError:
        return
    for line in lines:
        _, controllers, path = line.split(":", 2)
        if controllers and "memory" not in controllers.split(","):
            continue
        version = _V1 if controllers else _V2
        for base in version.bases:
            # A group's parents limit it too. In a container paths may be the host's, and its own group is the base.
            own = Path(path.strip("/"))
            for folder in dict.fromkeys([own, *own.parents]):
                left = _left(root / base / folder, version)
                if left is not None:
                    yield FreeMemory(left, f"under the memory limit of its control group ({version.limit})")


def _left(folder: Path, version: _Version) -> int | None:
    """Bytes that a group's limit leaves; None if it has none."""
    try:
        limit = (folder / version.limit).read_text().strip()
        if limit == "max":
            return None
        used = int((folder / version.used).read_text())
        stat = dict(line.split(" ", 1) for line in (folder / "memory.stat").read_text().splitlines())
    except OSError:
        return None
    return max(int(limit) - used + int(stat.get(version.droppable, 0)), 0)
