"""The samples' programs as modules, each under a name of its own: several are called train.py."""

import importlib.util
from functools import cache

from places import ROOT


@cache
def sample(path):
    """Return the module of a file below samples/, such as "nuclei/train.py", without leaving it where others import."""
    name = f"samples_{path.removesuffix('.py').replace('/', '_')}"
    spec = importlib.util.spec_from_file_location(name, ROOT / "samples" / path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
