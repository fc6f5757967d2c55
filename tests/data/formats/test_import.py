"""Reading annotations needs no TensorFlow, which takes seconds to load."""

import subprocess
import sys

import pytest
from dataset_files import write_via
from places import ROOT


def loaded_by(program, *arguments):
    """Which of the slow packages a program loads."""
    ends = (
        "\nimport sys; print([name for name in ('tensorflow', 'keras', 'matplotlib') if name in sys.modules])"
    )
    command = [sys.executable, "-c", program + ends, *map(str, arguments)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    return done.stdout.splitlines()[-1]


@pytest.mark.parametrize("module", ["formats", "formats.load", "formats.coco_writer", "records", "sampling"])
def test_readers_do_not_load_tensorflow(module):
    assert loaded_by(f"import keras_maskrcnn.data.{module}") == "[]"


def test_nor_does_the_command_that_writes_coco(tmp_path):
    annotations, images = write_via(tmp_path)
    target = tmp_path / "coco.json"
    program = "import sys; from keras_maskrcnn.cli.main import main; assert main(sys.argv[1:]) == 0"
    assert loaded_by(program, "to-coco", annotations, target, "--images", images) == "[]"
    assert target.is_file()
