"""Checkpoints as MMEngine and MMCV write them: the logs of the training are stepped over, and classes are read."""

import numpy as np
import pytest
from checkpoints import Raw, call, encode, named, state_dict, whole, write_legacy, write_zip
from refusals import refusal

from keras_maskrcnn.weights.files.class_names import read_class_names
from keras_maskrcnn.weights.files.read import read_checkpoint

WEIGHT = np.arange(6, dtype="f4").reshape(2, 3)
BUFFER = named("mmengine.logging.history_buffer.HistoryBuffer")


def new(kind, state):
    """An object of a class, made by `__newobj__` and given a state."""
    return Raw(kind + b")\x81" + encode(state) + b"b")


def scalar(value):
    kind = Raw(call("numpy.dtype", "f8", False, True) + encode((3, "<", None, None, None, -1, -1, 0)) + b"b")
    data = call("_codecs.encode", np.float64(value).tobytes().decode("latin1"), "latin1")
    return call("numpy._core.multiarray.scalar", kind, data)


def history():
    """What MMEngine's message hub has of a loss."""
    methods = {name: call("__builtin__.getattr", BUFFER, name) for name in ("min", "max", "current", "mean")}
    values = {"max_length": 1000000, "_log_history": [scalar(0.5)], "_statistics_methods": methods}
    return new(BUFFER, {"_set_default_statistics": True, **values})


def epoch(meta, **beside):
    return {
        "meta": meta,
        "state_dict": state_dict({"roi_head.w": whole("0", WEIGHT)}),
        "message_hub": {"log_scalars": {"train/loss": history()}, "runtime_info": {"best": scalar(0.4)}},
        "optimizer": {"state": {}, "param_groups": [{"params": [0]}]},
        **beside,
    }


VERSION_3 = {"cfg": "model = dict()", "epoch": 12, "dataset_meta": {"classes": ("nut", "bolt")}}
VERSION_2 = {"mmdet_version": "2.28.2", "CLASSES": ("nut", "bolt"), "PALETTE": [(220, 20, 60)]}


@pytest.mark.parametrize("write", [write_zip, write_legacy])
@pytest.mark.parametrize("meta", [VERSION_3, VERSION_2])
def test_a_trainings_file_is_read_without_its_logs(tmp_path, write, meta):
    path = write(tmp_path / "epoch_12.pth", epoch(meta), {"0": WEIGHT})
    state = read_checkpoint(path)
    assert list(state) == ["roi_head.w"]
    np.testing.assert_array_equal(state["roi_head.w"], WEIGHT)
    assert read_class_names(path) == ("nut", "bolt")


@pytest.mark.parametrize(
    ("meta", "names"),
    [
        ({"dataset_meta": {"CLASSES": ["nut"]}}, ("nut",)),
        ({"CLASSES": "nut"}, ("nut",)),
        ({"CLASSES": None}, ()),
        ({"CLASSES": (1, 2)}, ()),
        ({}, ()),
        (None, ()),
    ],
)
def test_classes_are_read_where_they_are_stated(tmp_path, meta, names):
    assert read_class_names(write_zip(tmp_path / "model.pth", epoch(meta), {"0": WEIGHT})) == names


def test_other_formats_state_no_classes(tmp_path):
    path = tmp_path / "model.safetensors"
    path.write_bytes(b"\x08\0\0\0\0\0\0\0{}      ")
    assert read_class_names(path) == ()


HARMFUL = {
    "an attribute of another class": (
        call("__builtin__.getattr", named("collections.OrderedDict"), "fromkeys"),
        "asks for an attribute of collections.OrderedDict",
    ),
    "an attribute of an object": (
        call("__builtin__.getattr", history(), "__class__"),
        "asks for an attribute of a LeftOut",
    ),
    "an attribute of what is made so": (
        call("builtins.getattr", call("builtins.getattr", BUFFER, "__init__"), "__globals__"),
        "asks for an attribute of a LeftOut",
    ),
    "a call of a method": (
        Raw(call("__builtin__.getattr", BUFFER, "min") + encode(()) + b"R"),
        "calls a LeftOut",
    ),
    "a call of the class": (Raw(BUFFER + encode(()) + b"R"), "calls mmengine.logging"),
    "an object of another class": (new(named("collections.OrderedDict"), {}), "creates an object of a class"),
    "another class of MMEngine": (
        new(named("mmengine.config.config.Config"), {}),
        "asks for 'mmengine.config.config.Config'",
    ),
}


@pytest.mark.parametrize("case", HARMFUL)
def test_nothing_but_the_logs_is_stepped_over(tmp_path, case):
    value, reason = HARMFUL[case]
    path = write_zip(tmp_path / "model.pth", epoch(VERSION_3, extra=value), {"0": WEIGHT})
    assert reason in refusal(path)


def test_mmengines_own_file(tmp_path):
    torch = pytest.importorskip("torch")
    buffers = pytest.importorskip("mmengine.logging.history_buffer")
    log = buffers.HistoryBuffer([0.5, 0.25], [1, 1])
    content = {
        "meta": {"dataset_meta": {"classes": ("nut", "bolt"), "palette": [(1, 2, 3)]}},
        "state_dict": {"roi_head.w": torch.from_numpy(WEIGHT)},
        "message_hub": {"log_scalars": {"loss": log}, "runtime_info": {"best": np.float64(0.4)}},
    }
    for zipped in (True, False):
        path = tmp_path / f"{zipped}.pth"
        torch.save(content, path, _use_new_zipfile_serialization=zipped)
        np.testing.assert_array_equal(read_checkpoint(path)["roi_head.w"], WEIGHT)
        assert read_class_names(path) == ("nut", "bolt")
