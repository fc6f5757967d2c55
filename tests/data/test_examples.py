"""The examples in the docstrings of the public names run as they stand, in a moment, and print what they say."""

import re
import time

import pytest

import keras_maskrcnn as km

NAMES = (
    *(
        "Record",
        "draw_augmented",
        "draw_comparison",
        "draw_record",
        "load_coco",
        "load_coco_results",
        "load_dataset",
    ),
    *("load_labelme", "load_masks", "load_via", "load_voc", "load_yolo", "make_dataset", "make_record"),
    *("repeat_factor_sampling", "write_coco"),
)
SECONDS = 10
"""A few times what an example takes, for machines that are busy."""


@pytest.mark.parametrize("name", NAMES)
def test_example_runs_and_prints_what_it_says(name, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    ((code,),) = [re.findall(r"```python\n(.*?)```", getattr(km, name).__doc__, re.DOTALL)]
    code = re.sub("^        ", "", code, flags=re.MULTILINE)
    assert code.startswith("import keras_maskrcnn as km\n")
    started = time.monotonic()
    exec(compile(code, f"{name}'s example", "exec"), {})
    assert time.monotonic() - started < SECONDS
    promised = code.rstrip().rpartition("  # ")[2].partition(": ")[0].removesuffix("...")
    assert _squeezed(capsys.readouterr().out).startswith(_squeezed(promised))


def _squeezed(text):
    return re.sub(r"\s+", "", text)
