"""What `maskrcnn predict` is told about drawings is what `Detections.draw` is asked for."""

import argparse

import numpy as np
import pytest

from keras_maskrcnn.cli.drawing import add_drawing, drawing_options
from keras_maskrcnn.detections.detections import Detections


def options(*arguments):
    parser = argparse.ArgumentParser()
    add_drawing(parser)
    return drawing_options(parser.parse_args(arguments))


def test_the_defaults_are_those_of_draw():
    image = np.linspace(0, 40, 90 * 80).reshape(90, 80).astype(np.uint8)
    found = Detections([[20, 30, 60, 70]], [0.9], [1], ["a"], 90, 80, image=image)
    assert found.draw(**options()).tobytes() == found.draw().tobytes()
    assert found.draw(**options("--no-stretch")).tobytes() != found.draw().tobytes()


def test_each_argument_changes_what_it_is_called():
    usual = options()
    for arguments, change in (
        (["--outlines"], {"fill": False}),
        (["--labels", "all"], {"labels": True}),
        (["--labels", "none"], {"labels": False}),
        (["--labels", "strip"], {"labels": "strip"}),
        (["--boxes", "none"], {"show_boxes": False}),
        (["--boxes", "all"], {"show_boxes": True}),
        (["--color-by", "class"], {"color_by": "class"}),
        (["--no-stretch"], {"stretch": False}),
    ):
        assert options(*arguments) == {**usual, **change}
    assert options("--no-drawings") == usual


@pytest.mark.parametrize(
    "given", [["--outlines"], ["--labels", "none"], ["--boxes", "all"], ["--no-stretch"]]
)
def test_arguments_for_drawings_need_drawings(given):
    with pytest.raises(ValueError, match=f"{given[0]} is for drawings"):
        options("--no-drawings", *given)
