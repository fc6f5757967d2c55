"""Files of another kind, and broken ones of HDF5 and safetensors, are refused in one sentence."""

import json
import pickle
import re
import struct

import h5py
import numpy as np
import pytest
from refusals import WEIGHT, refusal, written

from keras_maskrcnn.weights.files.read import read_checkpoint, read_h5, read_pkl


@pytest.mark.parametrize(
    "data, reason",
    [
        (b"", "is empty"),
        (b"\n<!DOCTYPE html><html>", "is a web page"),
        (b'<?xml version="1.0"?><Error>AccessDenied</Error>', "is a web page"),
        (b"version https://git-lfs.github.com/spec/v1\n", "is a text file"),
        (b'{"message": "Not Found"}', "is a text file"),
        (b"\x1f\x8b\x08\x00\x00", "not a checkpoint of a known format: it begins with the bytes 1f 8b 08"),
        (b"\x93NUMPY\x01\x00", "not a checkpoint of a known format"),
        (pickle.dumps([1, 2]), "holds a list, where named tensors are expected"),
        (pickle.dumps({"epoch": 1, "lr": 0.1}), "holds no named tensors, only 'epoch', 'lr'"),
        (pickle.dumps({}), "holds no named tensors, only nothing"),
        (pickle.dumps({"backbone": {"w": WEIGHT}}), "holds 'backbone' as a dict"),
        (pickle.dumps({1: WEIGHT}), "holds a tensor under 1, which is no name"),
    ],
)
def test_files_of_another_kind_are_refused(tmp_path, data, reason):
    assert reason in refusal(written(tmp_path, data))


def test_a_missing_file_is_said_to_be_missing(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"no\.pth"):
        read_checkpoint(tmp_path / "no.pth")


def test_a_reader_asked_for_another_format_says_so(tmp_path):
    path = written(tmp_path, b"plain text")
    for read in (read_pkl, read_h5):
        with pytest.raises(ValueError, match=r"model\.pkl is "):
            read(path)


def h5(tmp_path, fill):
    path = tmp_path / "a.h5"
    with h5py.File(path, "w") as file:
        fill(file)
    return path


def test_hdf5_files_that_are_no_weights_are_refused(tmp_path):
    assert "without weights" in refusal(h5(tmp_path, lambda file: None))
    assert "'text', which is not an array of numbers" in refusal(
        h5(tmp_path, lambda file: file.create_dataset("text", data="a"))
    )
    assert "declares more tensors" in refusal(
        h5(tmp_path, lambda file: file.create_dataset("w", (10**12,), "f4"))
    )
    zeros = np.zeros(10**7, "f4")
    assert "declares more tensors" in refusal(
        h5(tmp_path, lambda file: file.create_dataset("w", data=zeros, compression=9))
    )


def test_hdf5_files_that_lead_to_other_files_are_refused(tmp_path):
    other = h5(tmp_path, lambda file: file.create_dataset("g/w", data=WEIGHT)).rename(tmp_path / "other.h5")

    def link(file):
        file["model_weights"] = h5py.ExternalLink(other, "g")

    def virtual(file):
        layout = h5py.VirtualLayout((2, 4), "f4")
        layout[:] = h5py.VirtualSource(other, "g/w", (2, 4))
        file.create_virtual_dataset("w", layout)

    assert "no group of weights" in refusal(h5(tmp_path, link))
    assert "in another file" in refusal(h5(tmp_path, virtual))
    assert "in another file" in refusal(
        h5(tmp_path, lambda file: file.create_dataset("w", (8,), "f4", external=str(other)))
    )


def test_a_cut_off_hdf5_file_is_refused(tmp_path):
    data = h5(tmp_path, lambda file: file.create_dataset("w", data=WEIGHT)).read_bytes()
    assert "broken or cut off HDF5 file" in refusal(written(tmp_path, data[:1000]))


ENTRY = {"dtype": "F32", "shape": [2, 4], "data_offsets": [0, 32]}
BROKEN = "broken or cut off safetensors file ("
HEADERS = {
    "cut off": ({"w": ENTRY | {"shape": [8, 4], "data_offsets": [0, 128]}}, f"{BROKEN}.*not fully covered"),
    "shape": ({"w": ENTRY | {"shape": [3, 4]}}, f"{BROKEN}.*invalid shape"),
    "negative": ({"w": ENTRY | {"shape": [-2, -4]}}, f"{BROKEN}.*-2"),
    "overlap": ({"w": ENTRY, "v": ENTRY}, f"{BROKEN}.*invalid offset for tensor"),
    "gap": ({"w": ENTRY | {"data_offsets": [4, 36]}}, f"{BROKEN}.*invalid offset for tensor `w`"),
    "type": (
        {"w": ENTRY | {"dtype": "F8_E4M3", "shape": [32]}},
        "'w' in the element type 'F8_E4M3', which is not",
    ),
    "fields": ({"w": {"dtype": "F32"}}, f"{BROKEN}.*missing field `shape`"),
    "axes": ({"w": ENTRY | {"shape": [2, 4] + [1] * 70}}, f"{BROKEN}.*dimension"),
    "endless nothing": (
        {"w": ENTRY, "z": {"dtype": "F32", "shape": [0, 2**62, 2**62], "data_offsets": [32, 32]}},
        f"{BROKEN}.*too big",
    ),
}


def safetensors(header, data=None):
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return struct.pack("<Q", len(text)) + text + (WEIGHT.tobytes() if data is None else data)


@pytest.mark.parametrize("case", HEADERS)
def test_broken_safetensors_are_refused(tmp_path, case):
    header, reason = HEADERS[case]
    assert re.search(reason.replace("(", r"\("), refusal(written(tmp_path, safetensors(header))))


def test_safetensors_without_tensors_are_refused(tmp_path):
    assert "without tensors" in refusal(written(tmp_path, safetensors({"__metadata__": {}}, b"")))


@pytest.mark.parametrize(
    "length, text, reason",
    [
        (2**20, b"{}", "invalid header length"),
        (8, b'{"w": no', "invalid JSON"),
        (30, b'{"w": {}, "w": {}, "x": {}}   ', "missing field"),
        (10**5, b'{"a":' * 20000, "recursion limit"),
    ],
)
def test_broken_safetensors_headers_are_refused(tmp_path, length, text, reason):
    message = refusal(written(tmp_path, struct.pack("<Q", length) + text))
    assert BROKEN in message and reason in message


def test_any_changed_byte_of_safetensors_is_read_or_refused_and_never_crashes(tmp_path):
    data, random = safetensors({"w": ENTRY}), np.random.default_rng(0)
    path = tmp_path / "model.safetensors"
    for position in range(len(data)):
        changed = bytearray(data)
        changed[position] ^= 1 << int(random.integers(8))
        path.write_bytes(changed)
        try:
            state = read_checkpoint(path)
        except ValueError as error:
            assert str(error).startswith(f"{path} ")
        else:
            assert [array.shape for array in state.values()] == [WEIGHT.shape]
