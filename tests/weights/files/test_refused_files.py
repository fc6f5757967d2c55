"""Files of another kind, and broken ones of HDF5 and safetensors, are refused in one sentence."""

import json
import pickle
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
HEADERS = {
    "cut off": ({"w": ENTRY | {"shape": [8, 4], "data_offsets": [0, 128]}}, "cut off within 'w'"),
    "shape": ({"w": ENTRY | {"shape": [3, 4]}}, "does not agree with its bytes"),
    "negative": ({"w": ENTRY | {"shape": [-2, -4]}}, "impossible sizes"),
    "overlap": ({"w": ENTRY, "v": ENTRY}, "a gap or an overlap"),
    "gap": ({"w": ENTRY | {"data_offsets": [4, 36]}}, "a gap or an overlap"),
    "type": ({"w": ENTRY | {"dtype": "F8_E4M3"}}, "'F8_E4M3', which is not read"),
    "fields": ({"w": {"dtype": "F32"}}, "otherwise than safetensors does"),
    "nothing": ({"__metadata__": {}}, "without tensors"),
}


@pytest.mark.parametrize("case", HEADERS)
def test_broken_safetensors_are_refused(tmp_path, case):
    header, reason = HEADERS[case]
    text = json.dumps(header).encode()
    assert reason in refusal(written(tmp_path, struct.pack("<Q", len(text)) + text + WEIGHT.tobytes()))


@pytest.mark.parametrize(
    "length, text, reason",
    [
        (2**20, b"{}", "cut off within its header"),
        (8, b'{"w": no', "not JSON"),
        (30, b'{"w": {}, "w": {}, "x": {}}   ', "twice"),
        (10**5, b'{"a":' * 20000, "not JSON"),
    ],
)
def test_broken_safetensors_headers_are_refused(tmp_path, length, text, reason):
    assert reason in refusal(written(tmp_path, struct.pack("<Q", length) + text))
