"""The examples in the docstrings of the public names run as they stand, and print what they say."""

import re

import pytest
from examples_in_docs import docstring_example

import keras_maskrcnn as km


@pytest.mark.parametrize("name", km.__all__)
def test_example_runs_and_prints_what_it_says(name, tmp_path, monkeypatch, capsys, untraced):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    code = docstring_example(getattr(km, name))
    exec(compile(code, f"{name}'s example", "exec"), {"__name__": "__main__"})
    last = code.rstrip().rpartition("\n")[2]
    if last.lstrip().startswith("print(") and "  # " in last:
        promised = last.rpartition("  # ")[2].partition(": ")[0].removesuffix("...")
        assert squeezed(promised) in squeezed(capsys.readouterr().out)


def squeezed(text):
    return re.sub(r"\s+", "", text)
