"""Checkpoints are read equal to what was written, by content and whatever wrote them."""

import json
import pickle
import struct
import subprocess
import sys

import h5py
import numpy as np
import pytest
from checkpoints import (
    Raw,
    call,
    named,
    state_dict,
    storage,
    tensor,
    whole,
    write_legacy,
    write_view,
    write_zip,
)

from keras_maskrcnn.weights.files.read import read_checkpoint, read_h5, read_pkl, read_pth, read_safetensors

WRITERS = pytest.mark.parametrize("write", [write_zip, write_legacy])
RANDOM = np.random.default_rng(0)
WEIGHT = RANDOM.normal(size=(4, 3, 2, 2)).astype("f4")
BITS = np.array([0x3F80, 0xC000, 0x7F80, 0x0001], "u2")
FLOATS = np.array([1, -2, np.inf, 2.0**-133], "f4")
"""What BITS are as bfloat16; the last is its smallest number."""


def contents(state):
    """The tensors in a form that `==` compares whole, which it does not do with arrays."""
    return {name: (array.dtype, array.shape, array.tolist()) for name, array in state.items()}


@WRITERS
@pytest.mark.parametrize("kind", ["f4", "f8", "f2", "i8", "u1", "b1"])
def test_torch_tensors_keep_their_type_shape_and_values(tmp_path, write, kind):
    array = (RANDOM.normal(size=(3, 4)) * 3).astype(kind)
    path = write(tmp_path / "any.name", state_dict({"w": whole("0", array)}), {"0": array})
    assert contents(read_checkpoint(path)) == contents({"w": array})


@WRITERS
def test_bfloat16_becomes_the_equal_float32(tmp_path, write):
    path = write(tmp_path / "a.pth", state_dict({"w": whole("0", BITS)}), {"0": BITS})
    assert contents(read_pth(path)) == contents({"w": FLOATS})


@WRITERS
def test_tensors_share_a_storage_with_offsets_and_strides(tmp_path, write):
    base = np.arange(24, dtype="f4")
    source = storage("7", "f4", 24)
    value = {
        "base": tensor(source, 0, (4, 6), (6, 1)),
        "turned": tensor(source, 0, (6, 4), (1, 6)),
        "part": tensor(source, 6, (2, 3), (6, 2)),
        "last": tensor(source, 23, (), ()),
        "none": tensor(source, 24, (0, 3), (3, 1)),
        "repeated": tensor(source, 5, (3,), (0,)),
    }
    state = read_pth(write(tmp_path / "a.pth", state_dict(value), {"7": base}))
    grid = base.reshape(4, 6)
    expected = {
        "base": grid,
        "turned": grid.T,
        "part": grid[1:3, :6:2],
        "last": np.array(23, "f4"),
        "none": np.zeros((0, 3), "f4"),
        "repeated": np.full(3, 5, "f4"),
    }
    assert contents(state) == contents(expected)
    assert np.shares_memory(state["base"], state["turned"])


@WRITERS
@pytest.mark.parametrize("wrapper", ["model", "state_dict", "model_state_dict"])
def test_the_state_dict_is_found_within_a_training_checkpoint(tmp_path, write, wrapper):
    momentum = np.ones(4, "f4")
    value = {
        wrapper: state_dict({"w": whole("0", WEIGHT)}),
        "optimizer": {"state": {0: {"momentum_buffer": whole("1", momentum)}}, "param_groups": [{"lr": 1}]},
        "scheduler": {"milestones": call("collections.Counter", {3: 1, 4: 1})},
        "epoch": 3,
    }
    path = write(tmp_path / "a.pth", value, {"0": WEIGHT, "1": momentum})
    assert contents(read_pth(path)) == contents({"w": WEIGHT})


@WRITERS
def test_a_parameter_is_its_tensor(tmp_path, write):
    hooks = call("collections.OrderedDict")
    value = {"w": call("torch._utils._rebuild_parameter", whole("0", WEIGHT), True, hooks)}
    path = write(tmp_path / "a.pth", value, {"0": WEIGHT})
    assert contents(read_pth(path)) == contents({"w": WEIGHT})


@pytest.mark.parametrize("array, read", [(WEIGHT, WEIGHT), (BITS, FLOATS)], ids=["float32", "bfloat16"])
def test_a_zip_of_a_big_endian_machine_is_turned(tmp_path, array, read):
    little = write_zip(tmp_path / "little.pth", {"w": whole("0", array)}, {"0": array})
    big = write_zip(tmp_path / "big.pth", {"w": whole("0", array)}, {"0": array}, ">")
    assert little.read_bytes() != big.read_bytes()
    assert contents(read_pth(big)) == contents(read_pth(little)) == contents({"w": read})


def test_a_zip_without_a_byte_order_is_little_endian(tmp_path):
    path = write_zip(tmp_path / "a.pth", {"w": whole("0", WEIGHT)}, {"0": WEIGHT}, byteorder=False)
    assert contents(read_pth(path)) == contents({"w": WEIGHT})


def test_the_older_format_is_little_endian_on_every_machine(tmp_path):
    path = write_legacy(tmp_path / "a.pth", {"w": whole("0", WEIGHT)}, {"0": WEIGHT}, little_endian=False)
    assert contents(read_pth(path)) == contents({"w": WEIGHT})


def test_the_older_format_has_views_of_storages(tmp_path):
    path = write_view(tmp_path / "a.pth", np.arange(10, dtype="f4"), ("1", 3, 4))
    assert contents(read_pth(path)) == contents({"view": np.arange(3, 7, dtype="f4")})


@pytest.mark.parametrize("protocol", range(6))
def test_pickled_arrays_are_read_in_every_protocol(tmp_path, protocol):
    large = RANDOM.normal(size=(200, 100)).astype("f4")
    arrays = {
        "w": WEIGHT,
        "large": large,
        "fortran": np.asfortranarray(large),
        "turned": large.astype(">f4"),
        "empty": np.zeros((0, 4), "f4"),
        "scalar": np.float32(2.5),
        "count": np.arange(5),
        "flags": np.array([True, False]),
        "half": WEIGHT.astype("f2"),
    }
    path = tmp_path / "model_final.pkl"
    path.write_bytes(
        pickle.dumps({"model": arrays, "__author__": "us", "matching_heuristics": True}, protocol)
    )
    native = {name: array.astype(array.dtype.newbyteorder("=")) for name, array in arrays.items()}
    assert contents(read_checkpoint(path)) == contents(native)


@pytest.mark.parametrize("protocol", [0, 2])
def test_pickles_of_python_2_are_read(tmp_path, protocol):
    """Python 2 wrote bytes as strings, and numpy's module under its older name."""
    array = np.arange(20000, dtype="f4")
    for data in (array, array[:3]):
        raw = data.tobytes()
        text = (
            b"S" + repr(raw)[1:].encode() + b"\n"
            if protocol == 0
            else b"T" + struct.pack("<i", len(raw)) + raw
        )
        kind = Raw(
            call("numpy.dtype", "f4", 0, 1) + b"(K\x03U\x01<NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00tb"
        )
        state = b"(K\x01" + b"(J" + struct.pack("<i", len(data)) + b"t" + kind + b"\x89" + text + b"tb"
        empty = call("numpy.core.multiarray._reconstruct", named("numpy.ndarray"), (0,), "b")
        path = tmp_path / "R-50.pkl"
        path.write_bytes(b"(dU\x05blobs(dU\x07conv1_w" + empty + state + b"ss.")
        assert contents(read_pkl(path)) == contents({"conv1_w": data})


@pytest.mark.parametrize("group", ["", "model_weights"])
def test_keras_2_weights_are_named_by_their_path(tmp_path, group):
    names = ["conv1/conv1/kernel:0", "rpn_model/rpn_conv_shared/kernel:0", "bn/bn/gamma:0"]
    path = tmp_path / "mask_rcnn_coco.h5"
    with h5py.File(path, "w") as file:
        root = file.require_group(group) if group else file
        root.attrs["layer_names"] = [b"conv1", b"rpn_model", b"bn", b"input_image"]
        root.create_group("input_image")
        for name in names:
            root[name] = WEIGHT
        if group:
            file["optimizer_weights/iteration:0"] = 3
    for read in (read_h5, read_checkpoint):
        assert contents(read(path)) == contents(dict.fromkeys(names, WEIGHT))


def write_safetensors(path, header, data):
    text = json.dumps(header).encode()
    path.write_bytes(struct.pack("<Q", len(text)) + text + data)
    return path


def test_safetensors_are_read(tmp_path):
    header = {
        "__metadata__": {"format": "pt"},
        "bits": {"dtype": "BF16", "shape": [4], "data_offsets": [192, 200]},
        "w": {"dtype": "F32", "shape": [4, 3, 2, 2], "data_offsets": [0, 192]},
        "n": {"dtype": "I64", "shape": [], "data_offsets": [200, 208]},
    }
    data = WEIGHT.tobytes() + BITS.tobytes() + struct.pack("<q", -7)
    path = write_safetensors(tmp_path / "model.bin", header, data)
    for read in (read_safetensors, read_checkpoint):
        assert contents(read(path)) == contents({"bits": FLOATS, "w": WEIGHT, "n": np.array(-7, "i8")})


def test_what_lies_beside_the_state_dict_is_not_read(tmp_path):
    """An optimizer's state is as large as the model, and need not even be there."""
    value = {
        "model": {"w": whole("0", WEIGHT)},
        "optimizer": {"m": tensor(storage("1", "f4", 10**9), 0, (1,), (1,))},
    }
    path = write_zip(tmp_path / "a.pth", value, {"0": WEIGHT})
    assert contents(read_pth(path)) == contents({"w": WEIGHT})


def safetensors_of_zeros(path, array):
    header = {"w": {"dtype": "F32", "shape": [len(array)], "data_offsets": [0, array.nbytes]}}
    return write_safetensors(path, header, array.tobytes())


@pytest.mark.parametrize(
    "write",
    [
        lambda path, array: write_zip(path, {"w": whole("0", array)}, {"0": array}),
        lambda path, array: write_legacy(path, {"w": whole("0", array)}, {"0": array}),
        safetensors_of_zeros,
    ],
    ids=["zip", "legacy", "safetensors"],
)
def test_reading_takes_little_more_memory_than_the_file_and_no_framework(tmp_path, write):
    array = np.zeros((2**23,), "f4")
    path = write(tmp_path / "a.file", array)
    program = f"""
import sys, tracemalloc
from keras_maskrcnn.weights.files.read import read_checkpoint
tracemalloc.start()
state = read_checkpoint({str(path)!r})
assert state["w"].shape == (2**23,)
assert not {{"torch", "tensorflow"}} & set(sys.modules)
print(tracemalloc.get_traced_memory()[1])
"""
    result = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert 2**25 <= int(result.stdout) < 1.2 * path.stat().st_size
