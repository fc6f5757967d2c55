"""Weights given to a model from elsewhere; more is in `test_pretrained.py` and `test_cli_train.py`."""

import tempfile

import numpy as np
import pytest
from examples import tiny

from keras_maskrcnn.weights.transfer import keep_on_disk, new_layers

CASCADE = {
    "class_agnostic_boxes": True,
    "cascade_ious": (0.6, 0.7),
    "cascade_delta_weights": ((20, 20, 10, 10), (30, 30, 15, 15)),
}
OTHER = {"class_names": ("cat",)}


@pytest.mark.parametrize(
    ("fields", "changes", "new"),
    [
        ({}, {}, ()),
        ({}, {"score_threshold": 0.5}, ()),
        ({}, OTHER, ("box_head/logits", "box_head/deltas", "mask_head/logits")),
        ({"class_agnostic_boxes": True, "mask_loss": "class_agnostic"}, OTHER, ("box_head/logits",)),
        ({"mask_head": "none"}, OTHER, ("box_head/logits", "box_head/deltas")),
        (CASCADE, OTHER, *[(*(f"box_head{k}/logits" for k in ("", "_2", "_3")), "mask_head/logits")]),
        (
            {**CASCADE, "cascade_mask_heads": True},
            OTHER,
            (
                *(f"box_head{k}/logits" for k in ("", "_2", "_3")),
                *(f"mask_head/stage{k}/logits" for k in (1, 2, 3)),
            ),
        ),
        ({"keypoint_names": ("nose",)}, {"keypoint_names": ("tail",)}, ("keypoint_head/logits",)),
        ({"keypoint_names": ("nose",)}, {"keypoint_names": ()}, ()),
    ],
)
def test_layers_are_new_that_depend_on_what_is_new(fields, changes, new):
    assert new_layers(tiny(**fields | changes), tiny(**fields)) == new


def some_state():
    rng = np.random.default_rng(0)
    return {
        "large": rng.normal(size=(600, 1000)).astype("float32"),
        "small": rng.normal(size=3),
        "turned": rng.normal(size=(700, 300)).T,
        "scalar": np.array(1.0),
    }


def test_large_tensors_are_read_from_the_disk_when_they_are_used():
    state = some_state()
    keep_on_disk(state)
    assert [name for name, array in state.items() if isinstance(array, np.memmap)] == ["large", "turned"]
    for name, array in some_state().items():
        assert state[name].dtype == array.dtype
        np.testing.assert_array_equal(state[name], array)


def test_without_room_on_the_disk_they_stay_in_memory(monkeypatch):
    def full(*_, **__):
        raise OSError("no space left")

    monkeypatch.setattr(tempfile, "TemporaryFile", full)
    state = some_state()
    keep_on_disk(state)
    for name, array in some_state().items():
        assert type(state[name]) is np.ndarray
        np.testing.assert_array_equal(state[name], array)
