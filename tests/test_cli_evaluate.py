import json
import os
import subprocess
import sys
from pathlib import Path

from command_line import data, model

from keras_maskrcnn.cli import main

ROOT = Path(__file__).resolve().parents[1]


def test_evaluate_prints_a_table_and_writes_results_with_the_files_category_ids(trained, capsys):
    results, figures = trained / "results.json", trained / "figures.json"
    written = ["--results", str(results), "--json", str(figures)]
    assert main(["evaluate", model(trained), *data(trained), "--per-class", *written]) == 0
    table, classes = (text.splitlines() for text in capsys.readouterr().out.split("\n\n"))
    assert table[0].split() == ["box", "mask"]
    figures_of = {line[:9].strip(): line[9:].split() for line in table[1:]}
    assert figures_of["AP large"] == ["-", "-"]  # no object is large
    assert 0 <= float(figures_of["AP50"][1]) <= 1
    assert classes[0].split() == ["class", "mask", "AP", "box", "AP", "objects"]
    assert sorted(line.split()[0] for line in classes[1:]) == ["circle", "square"]
    rows = json.loads(results.read_text())
    assert rows and {row["category_id"] for row in rows} <= {3, 7}
    values = json.loads(figures.read_text())
    assert values["mask_AP_large"] is None  # JSON knows no nan
    assert 0 <= values["mask_AP"] <= 1


def test_nothing_but_the_table_and_what_was_read_is_printed(trained):
    command = [sys.executable, "-m", "keras_maskrcnn.cli", "evaluate", model(trained), *data(trained)]
    plain = {name: value for name, value in os.environ.items() if name != "TF_CPP_MIN_LOG_LEVEL"}
    done = subprocess.run(command, cwd=ROOT, env=plain, capture_output=True, text=True, check=True)
    assert done.stdout.split()[:2] == ["box", "mask"]
    (read,) = done.stderr.splitlines()
    assert read == f"{trained / 'annotations.json'}: 4 images (0 without objects), 4 objects (0 crowds)"
