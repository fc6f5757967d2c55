"""What is written loads, every tensor of it, in the model that the printed code builds with the original packages.

By hand: `TORCH_PYTHON=/path/to/python pytest -m slow tests/weights/builders`, with an interpreter that has torchvision
and Detectron2.
"""

import os
import subprocess

import pytest
from examples import tiny

from keras_maskrcnn.cli.convert import write_model
from keras_maskrcnn.models.mask_rcnn import MaskRCNN
from keras_maskrcnn.presets import PRESETS
from keras_maskrcnn.weights.builders import detectron2, torchvision

PYTHON = os.environ.get("TORCH_PYTHON")
pytestmark = [pytest.mark.slow, pytest.mark.skipif(PYTHON is None, reason="TORCH_PYTHON is not set")]

NORMS = {"fpn_norm": "group_norm", "head_norm": "group_norm"}
BATCH_NORM = {"norm": "batch_norm", "fpn_norm": "batch_norm", "head_norm": "batch_norm"}
DEEP = {"rpn_convs": 2, "box_convs": 2, "box_fcs": 1, "mask_convs": 2}
POINTS = {"keypoint_names": ("nose", "tail"), "keypoint_head_channels": 32}
SHARED = [
    {},
    {"norm": "frozen_batch_norm", "background_outputs": False},
    {**NORMS, **DEEP},
    {**BATCH_NORM, **DEEP},
    {"norm": "frozen_batch_norm", "fpn_channels": 256, "box_head_channels": 1024, "mask_head_channels": 256},
    {"mask_head": "none"},
    {**POINTS, "mask_head": "none"},
    {**POINTS, "keypoint_convs": 3},
    {"depth": 50, "groups": 32, "group_width": 4, "norm": "frozen_batch_norm", "norm_epsilon": 1e-3},
    {"anchor_ratios": (1.0,), "box_pool_size": 5, "mask_pool_size": 10, "box_fcs": 3, "mask_convs": 0},
    {"pixel_mean": (1.0, 2.0, 3.0), "min_size": 320, "max_size": 480, "score_threshold": 0.4},
]
MORE = [
    {"class_agnostic_boxes": True, "mask_loss": "class_agnostic"},
    {"rpn_channels": 64, "rpn_convs": 2},
    {"architecture": "dc5", "depth": 50, "anchor_sizes": ((32, 64),)},
    {"architecture": "c4", "depth": 50, "anchor_sizes": ((32, 64),), "box_pool_size": 14},
    {
        "class_agnostic_boxes": True, "cascade_ious": (0.6, 0.7),
        "cascade_delta_weights": ((20.0, 20.0, 10.0, 10.0), (30.0, 30.0, 15.0, 15.0)),
    },
]  # fmt: skip
LOAD = """
import sys, torch
path = sys.argv[1]
state = torch.load(path) if path.endswith(".pth") else None
if state is None:
    import pickle
    state = {name: torch.as_tensor(array) for name, array in pickle.load(open(path, "rb"))["model"].items()}
found = model.load_state_dict(state, strict=False)
missing = [name for name in found.missing_keys if not name.endswith("num_batches_tracked")]
missing = [name for name in missing if not name.startswith(("pixel_", "proposal_generator.anchor_generator"))]
assert not missing and not found.unexpected_keys, (missing, found.unexpected_keys)
model.eval()
print("loaded", len(state))
"""


def output_of_loading(config, path, code):
    """What a process prints that builds the model by this code and loads the file."""
    write_model(MaskRCNN(config), path)
    code = code.replace("model = build_model", 'cfg.MODEL.DEVICE = "cpu"\nmodel = build_model')
    done = subprocess.run([PYTHON, "-c", code + LOAD, path], capture_output=True, text=True)
    assert done.returncode == 0, code + done.stderr[-3000:]
    return done.stdout


@pytest.mark.parametrize("changes", SHARED)
def test_torchvision_loads_it(changes, tmp_path):
    config = tiny(**changes)
    assert "loaded" in output_of_loading(config, tmp_path / "a.pth", torchvision.code(config))


@pytest.mark.parametrize("changes", [*SHARED, *MORE])
def test_detectron2_loads_it(changes, tmp_path):
    config = tiny(**changes)
    assert "loaded" in output_of_loading(config, tmp_path / "a.pkl", detectron2.code(config))


def test_so_does_each_the_published_architecture_of_the_other(tmp_path):
    config = PRESETS["COCO-InstanceSegmentation/mask_rcnn_R_50_FPN_3x"].config
    assert "loaded" in output_of_loading(config, tmp_path / "a.pth", torchvision.code(config))
    config = PRESETS["maskrcnn_resnet50_fpn_v2_coco"].config
    assert "loaded" in output_of_loading(config, tmp_path / "a.pkl", detectron2.code(config))
