import json
import math
import os
import subprocess
import sys

import numpy as np
import pytest
from command_line import data, error, model
from places import ROOT

from keras_maskrcnn.cli.evaluate import class_table, score_table
from keras_maskrcnn.cli.main import main
from keras_maskrcnn.data.records import make_record


def test_evaluate_prints_a_table_and_writes_results_with_the_files_category_ids(trained, capsys):
    results, metrics = trained / "results.json", trained / "metrics.json"
    written = ["--results", str(results), "--json", str(metrics)]
    assert main(["evaluate", model(trained), *data(trained), "--per-class", *written]) == 0
    classes, table = (text.splitlines() for text in capsys.readouterr().out.split("\n\n"))
    assert table[0].split() == ["box", "mask"]
    metrics_of = {line[:9].strip(): line[9:].split() for line in table[1:]}
    assert metrics_of["AP large"] == ["-", "-"]  # no object is large
    assert 0 <= float(metrics_of["AP50"][1]) <= 1
    assert classes[0].split() == ["class", "mask", "AP", "box", "AP", "objects"]
    assert sorted(line.split()[0] for line in classes[1:]) == ["circle", "square"]
    rows = json.loads(results.read_text())
    assert rows and {row["category_id"] for row in rows} <= {3, 7}
    values = json.loads(metrics.read_text())
    assert values["mask_AP_large"] is None  # JSON knows no nan
    assert 0 <= values["mask_AP"] <= 1


def test_a_report_is_written_and_the_metrics_stay_the_same(trained, tmp_path, capsys):
    assert main(["evaluate", model(trained), *data(trained)]) == 0
    without = capsys.readouterr().out
    folder = tmp_path / "new" / "report"
    assert main(["evaluate", model(trained), *data(trained), "--report", str(folder)]) == 0
    assert capsys.readouterr().out == f"{without}\n{folder / 'report.html'}\n"
    written = {path.name for path in folder.iterdir()}
    assert written == {
        "report.html",
        "precision_recall.png",
        "class_ap.png",
        "confusion.png",
        "confusion.csv",
    }
    assert "4 images, 4 objects." in (folder / "report.html").read_text()


@pytest.mark.parametrize("level", [{}, {"TF_CPP_MIN_LOG_LEVEL": "3"}], ids=["unset", "set"])
def test_nothing_but_the_table_and_what_was_read_is_printed(level, trained):
    command = [
        sys.executable,
        "-m",
        "keras_maskrcnn.cli.main",
        "evaluate",
        str(trained / "run"),
        *data(trained),
    ]
    plain = {name: value for name, value in os.environ.items() if name != "TF_CPP_MIN_LOG_LEVEL"}
    done = subprocess.run(command, cwd=ROOT, env=plain | level, capture_output=True, text=True, check=True)
    assert done.stdout.split()[:2] == ["box", "mask"]
    (read,) = done.stderr.splitlines()
    assert read == f"{trained / 'annotations.json'}: 4 images (0 without objects), 4 objects (0 crowds)"


def coco_folder(trained, folder):
    """The images as COCO's validation images of 2017."""
    (folder / "annotations").mkdir()
    (folder / "annotations" / "instances_val2017.json").symlink_to(trained / "annotations.json")
    (folder / "val2017").symlink_to(trained / "images")
    return str(folder)


def test_a_folder_of_coco_takes_the_place_of_annotations_and_images(trained, tmp_path, capsys):
    metrics = ["--json", str(tmp_path / "metrics.json")]
    assert main(["evaluate", model(trained), "--coco", coco_folder(trained, tmp_path), *metrics]) == 0
    assert main(["evaluate", model(trained), *data(trained), "--json", str(tmp_path / "same.json")]) == 0
    assert (tmp_path / "metrics.json").read_text() == (tmp_path / "same.json").read_text()
    assert "Published" not in capsys.readouterr().out


MASK, LVIS = "maskrcnn_resnet50_fpn_coco", "LVISv0.5-InstanceSegmentation/mask_rcnn_R_50_FPN_1x"


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (["--coco", "."], "a model must be given"),
        (["--model", MASK], "--annotations must be given, or --coco"),
        (["--model", MASK, "--images", "."], "--annotations must be given, or --coco"),
        (["--model", MASK, "--coco", ".", "--format", "via"], "or of --annotations and --images, not both"),
        ([MASK, "--model", MASK, "--coco", "."], f"the model is {MASK} or --model {MASK}, not both"),
        (
            ["--model", MASK, "--coco", ".", "--images", "."],
            "those of --coco, or of --annotations and --images",
        ),
        (["--model", MASK, "--coco", "."], "annotations/instances_val2017.json: there is no such file"),
        (
            ["--model", "keypointrcnn_resnet50_fpn_coco", "--coco", "."],
            "person_keypoints_val2017.json: there",
        ),
        (["--model", "resnet50", "--coco", "."], "resnet50 is a backbone, which detects nothing"),
        (["--model", LVIS, "--coco", "."], f"{LVIS} detects the classes of LVIS v0.5, not COCO's"),
        (
            ["--model", "maskrcnn", "--coco", "."],
            "No published model is called 'maskrcnn'; nearest: maskrcnn_res",
        ),
        (["--coco", ".", "--weights", "setup.py"], "--weights needs --model NAME"),
        (["--accuracy-test"], "--accuracy-test needs --coco"),
        (["--accuracy-test", "--coco", ".", "--report", "new"], "--accuracy-test has no use for --report"),
        (["--accuracy-test", "--coco", ".", "--json", "new.json"], "--accuracy-test has no use for --json"),
        (["--accuracy-test", "--coco", ".", "--matching"], "no use for --matching"),
        (["--accuracy-test", "--coco", ".", "--score-threshold", "0.1"], "no use for --score-threshold"),
        (
            [MASK, "--annotations", "setup.py", "--images", ".", "--json", "setup.py"],
            "setup.py: it is among the annotations that are read",
        ),
        (
            [MASK, "--annotations", "setup.py", "--images", ".", "--json", "a.json", "--results", "a.json"],
            "a.json: two outputs would be written there",
        ),
        ([MASK, "--coco", ".", "--report", "setup.py"], "setup.py: this is a file, not a folder"),
    ],
)
def test_arguments_that_do_not_go_together_are_refused(arguments, reason, capsys, monkeypatch):
    monkeypatch.chdir(ROOT)
    assert reason in error(capsys, "evaluate", *arguments)


def test_classes_without_objects_are_counted_and_left_out():
    record = make_record(np.zeros((8, 8, 3), np.uint8), boxes=[[1, 1, 5, 5]], class_ids=[2], image_id="a")
    scores = {"box_AP": 0.5, "box_AP/a": math.nan, "box_AP/b": 0.5, "box_AP/c": math.nan}
    assert class_table(scores, [record], ["a", "b", "c"]).splitlines() == [
        "2 classes without objects left out",
        "class  box AP  objects",
        "b       0.500        1",
    ]


def test_keypoints_have_a_column_with_the_metrics_that_they_have():
    scores = {
        "box_AP": 0.5,
        "box_AP_small": 0.25,
        "box_AR100": 1,
        "keypoint_AP": 0.125,
        "keypoint_AR20": 0.75,
    }
    assert score_table(scores).splitlines() == [
        "            box  keypoint",
        "AP        0.500     0.125",
        "AP small  0.250         -",
        "AR100     1.000         -",
        "AR20          -     0.750",
    ]


def test_matching_has_a_table_and_stands_in_the_json(trained, tmp_path, capsys):
    metrics = ["--json", str(tmp_path / "metrics.json")]
    assert main(["evaluate", model(trained), *data(trained), "--matching", *metrics]) == 0
    coco, matching = (text.splitlines() for text in capsys.readouterr().out.split("\n\n"))
    assert coco[0].split() == ["box", "mask"] and not any("accuracy" in line for line in coco)
    assert matching[:2] == [
        "Matching, scores from 0.5",
        "IoU   TP  FP  FN  precision  recall     F1  TP/(TP+FP+FN)",
    ]
    assert [line[:4] for line in matching[2:-1]] == [f"0.{percent}" for percent in range(50, 100, 5)]
    values = json.loads((tmp_path / "metrics.json").read_text())
    assert matching[-1] == f"2018 Data Science Bowl: {values['matching_dsb2018']:.3f}"
    for line in matching[2:-1]:
        tp, _, fn = (int(count) for count in line.split()[1:4])
        assert tp + fn == 4 and values[f"matching_tp_{line[2:4]}"] == tp


def test_evaluate_searches_in_tiles(trained, capsys):
    assert main(["evaluate", model(trained), *data(trained), "--tile", "40", "--tile-overlap", "30"]) == 0
    assert "AP50" in capsys.readouterr().out
