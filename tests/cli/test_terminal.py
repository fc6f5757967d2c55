"""Whatever stands in data, the command line prints nothing that a terminal obeys."""

import json
import sys

import pytest
from command_line import data, draw_images

from keras_maskrcnn.cli.main import main
from keras_maskrcnn.cli.terminal import harmless_output

NASTY = "\x1b]0;title\x07\x1b[2Jcell"


def test_streams_are_harmless_within_the_block_alone(capsys):
    with harmless_output():
        print(NASTY)
        print(NASTY, file=sys.stderr)
        assert sys.stdout.isatty() is False
    print("\x07")
    captured = capsys.readouterr()
    assert captured.out == r"\x1b]0;title\x07\x1b[2Jcell" + "\n\x07\n" and "\x1b" not in captured.err


@pytest.fixture
def folder(tmp_path):
    draw_images(tmp_path, count=2)
    content = json.loads((tmp_path / "annotations.json").read_text())
    content["categories"][0]["name"] = NASTY
    (tmp_path / "annotations.json").write_text(json.dumps(content))
    return tmp_path


def test_names_of_classes_are_printed_with_escapes(folder, capsys):
    main(["check", *data(folder)])
    main(
        [
            "to-coco",
            str(folder / "annotations.json"),
            str(folder / "b.json"),
            "--images",
            str(folder / "images"),
        ]
    )
    captured = capsys.readouterr()
    assert r"\x1b]0;title\x07\x1b[2Jcell" in captured.out
    assert "\x1b" not in captured.out + captured.err and "\x07" not in captured.out + captured.err
    assert json.loads((folder / "b.json").read_text())["categories"][1]["name"] == NASTY


def test_names_of_files_in_errors_are_too(folder, capsys):
    content = json.loads((folder / "annotations.json").read_text())
    content["images"][0]["file_name"] = f"{NASTY}.png"
    (folder / "annotations.json").write_text(json.dumps(content))
    assert (
        main(["to-coco", *data(folder)[1::2][:1], str(folder / "b.json"), "--images", str(folder / "images")])
        == 2
    )
    err = capsys.readouterr().err
    assert r"\x1b[2Jcell.png" in err and "\x1b" not in err
