"""The samples' programs as modules, each under a name of its own: several are called train.py."""

import contextlib
import importlib.util
import sys
from functools import cache

from places import ROOT


@cache
def sample(path):
    """Return the module of a file below samples/, such as "nuclei/train.py", without leaving it where others import."""
    name = f"samples_{path.removesuffix('.py').replace('/', '_')}"
    spec = importlib.util.spec_from_file_location(name, ROOT / "samples" / path)
    module = importlib.util.module_from_spec(spec)
    with neighbours(ROOT / "samples" / path):
        spec.loader.exec_module(module)
    return module


@contextlib.contextmanager
def neighbours(path):
    """Let the modules beside a file be imported by their names, as when it is run, and be forgotten afterwards."""
    names = [other.stem for other in path.parent.glob("*.py")]
    before = {name: sys.modules.pop(name) for name in names if name in sys.modules}
    sys.path.insert(0, str(path.parent))
    try:
        yield
    finally:
        sys.path.remove(str(path.parent))
        for name in names:
            sys.modules.pop(name, None)
        sys.modules.update(before)
