from command_line import error

from keras_maskrcnn.cli.main import main
from keras_maskrcnn.presets import PRESETS


def test_models_lists_every_published_model_with_its_metrics(capsys):
    assert main(["models"]) == 0
    table, legend = capsys.readouterr().out.split("\n\n")
    lines = table.splitlines()
    assert lines[0].split("  ")[0] == "trained on"
    assert len(lines) == 1 + len(PRESETS) and all(name in table for name in PRESETS)
    (line,) = (line for line in lines if " maskrcnn_resnet50_fpn_coco " in line)
    assert line.split() == [
        "COCO",
        "maskrcnn_resnet50_fpn_coco",
        *["37.9", "34.6", "-", "169.8", "unknown", "kit"],
    ]
    assert "Parity: how the model was compared" in legend


def test_all_that_is_known_of_one_model_is_shown(capsys):
    assert main(["models", "matterport_mask_rcnn_coco"]) == 0
    shown = dict(line.split(None, 1) for line in capsys.readouterr().out.splitlines())
    assert shown["file"].endswith("/v2.0/mask_rcnn_coco.h5")
    assert (shown["hash"], shown["licence"]) == ("not published", "MIT")
    assert shown["measured"] == "with scores above 0"
    assert "releases/tag/v2.0" in shown["published"]


def test_an_unknown_name_lists_the_nearest(capsys):
    assert "nearest: matterport_mask_rcnn_coco" in error(capsys, "models", "matterport")
