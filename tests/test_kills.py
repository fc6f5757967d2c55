"""A few of the kills and failing writes that `tests/kills.py` does by the hundred."""

import shutil
import subprocess
import sys

import pytest
from places import ROOT


@pytest.mark.slow
@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="calls are watched on Linux only")
@pytest.mark.skipif(shutil.which("cc") is None and shutil.which("gcc") is None, reason="no C compiler")
def test_files_of_a_run_are_whole_after_kills_and_failing_writes():
    command = [sys.executable, ROOT / "tests" / "kills.py", "--count", "21", "--seed", "1"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=900)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "21 kills, 21 failing writes: 0 wrong" in done.stdout
