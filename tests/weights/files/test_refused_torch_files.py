"""Torch's files that are broken or harmful are refused in one sentence, whichever of its two formats they have."""

import struct
import zipfile

import numpy as np
import pytest
from checkpoints import Raw, call, dump, encode, state_dict, storage, tensor, whole, write_legacy, write_zip
from refusals import WEIGHT, refusal

from keras_maskrcnn.weights.files.read import read_checkpoint

WRITERS = pytest.mark.parametrize("write", [write_zip, write_legacy])


@WRITERS
@pytest.mark.parametrize(
    "name", ["os.system", "builtins.eval", "torch.load", "torch.storage._load_from_bytes"]
)
def test_harmful_torch_files_are_refused_by_name(tmp_path, write, name):
    value = {"w": whole("0", WEIGHT), "x": call(name, "ls")}
    assert f"asks for {name!r}" in refusal(write(tmp_path / "a.pth", value, {"0": WEIGHT}))


def test_nesting_does_not_end_in_python_s_own_limit(tmp_path):
    deep = Raw(b")" + b"\x85" * 100_000)
    for value, reason in (
        (call("numpy.dtype", deep, False, True), "holds an array of the type ''"),
        (tensor(deep, 0, (1,), (1,)), "not a window on a storage"),
        (tensor(SOURCE, deep, (1,), (1,)), "negative or impossible"),
        ({"w": deep}, "as a tuple, where a tensor is expected"),
    ):
        assert reason in refusal(write_zip(tmp_path / "a.pth", value, {"0": WEIGHT}))


SOURCE = storage("0", "f4", 8)
WINDOWS = {
    "size beyond the storage": (tensor(SOURCE, 0, (9,), (1,)), "beyond the end of the storage"),
    "offset beyond the storage": (tensor(SOURCE, 8, (1,), (1,)), "beyond the end of the storage"),
    "stride beyond the storage": (tensor(SOURCE, 0, (2, 2), (7, 2)), "beyond the end of the storage"),
    "negative stride": (tensor(SOURCE, 7, (8,), (-1,)), "negative or impossible"),
    "negative size": (tensor(SOURCE, 0, (-8,), (1,)), "negative or impossible"),
    "negative offset": (tensor(SOURCE, -1, (1,), (1,)), "negative or impossible"),
    "size that is no number": (tensor(SOURCE, 0, ("8",), (1,)), "negative or impossible"),
    "strides of fewer axes": (tensor(SOURCE, 0, (2, 4), (1,)), "not a window on a storage"),
    "no storage": (tensor("0", 0, (8,), (1,)), "not a window on a storage"),
    "endless repetition": (tensor(SOURCE, 0, (10**12,), (0,)), "declares more tensors than it can hold"),
    "endless nothing": (
        tensor(SOURCE, 0, (0, 2**62, 2**62), (0, 0, 0)),
        "declares more tensors than it can hold",
    ),
    "larger storage": (whole("0", np.zeros(9, "f4")), "which needs"),
    "other type": (whole("0", np.zeros(8, "f8")), "which needs"),
    "missing storage": (whole("1", WEIGHT), "storage"),
    "nested ids": (Raw(encode(("storage", SOURCE, "0", "cpu", 8)) + b"Q"), "no type, name or size"),
    "id of an id": (Raw(SOURCE + b"Q"), "in another way than torch does"),
    "another id": (Raw(encode(("module", "0")) + b"Q"), "in another way than torch does"),
    "view beyond the storage": (whole("0", WEIGHT, ("v", 4, 8)), "view beyond the end"),
}


@WRITERS
@pytest.mark.parametrize("case", WINDOWS)
def test_tensors_that_do_not_lie_in_their_storage_are_refused(tmp_path, write, case):
    value, reason = WINDOWS[case]
    if write is write_legacy and reason == "which needs":
        reason = "8 elements in the storage '0', which needs 9" if case == "larger storage" else "cut off"
    if write is write_legacy and case == "missing storage":
        reason = "a list of storages that does not agree"
    assert reason in refusal(write(tmp_path / "a.pth", {"w": value}, {"0": WEIGHT}))


def test_two_types_of_one_storage_are_refused(tmp_path):
    """Of equal size, as bits, they would be read."""
    value = {"a": whole("0", WEIGHT), "b": tensor(storage("0", "f8", 8), 0, (8,), (1,))}
    assert "two sizes for the storage '0'" in refusal(write_zip(tmp_path / "a.pth", value, {"0": WEIGHT}))
    assert "two types or sizes for the storage '0'" in refusal(
        write_legacy(tmp_path / "b.pth", value, {"0": WEIGHT})
    )


@WRITERS
def test_a_file_cut_off_anywhere_is_refused(tmp_path, write):
    data = write(tmp_path / "whole.pth", state_dict({"w": whole("0", WEIGHT)}), {"0": WEIGHT}).read_bytes()
    path = tmp_path / "a.pth"
    for length in range(1, len(data) - 1, 7):
        path.write_bytes(data[:length])
        with pytest.raises(ValueError) as error:
            read_checkpoint(path)
        assert str(error.value).startswith(f"{path} is ")


@WRITERS
def test_any_changed_byte_is_read_or_refused_and_never_crashes(tmp_path, write):
    data = write(tmp_path / "whole.pth", state_dict({"w": whole("0", WEIGHT)}), {"0": WEIGHT}).read_bytes()
    path, random = tmp_path / "a.pth", np.random.default_rng(0)
    for position in range(len(data)):
        changed = bytearray(data)
        changed[position] ^= 1 << int(random.integers(8))
        path.write_bytes(changed)
        try:
            state = read_checkpoint(path)
        except ValueError as error:
            assert str(error).startswith(f"{path} ")
        else:
            assert all(array.shape == WEIGHT.shape for array in state.values())


def test_zip_bombs_are_refused(tmp_path):
    zeros = np.zeros(10**6, "f4")
    value = {"w": whole("0", zeros)}
    path = write_zip(tmp_path / "deflated.pth", value, {"0": zeros}, compression=zipfile.ZIP_DEFLATED)
    assert path.stat().st_size < 50_000
    assert "compressed, which torch never does" in refusal(path)

    path = write_zip(tmp_path / "declared.pth", {"w": whole("0", WEIGHT)}, {"0": WEIGHT})
    data = path.read_bytes().replace(struct.pack("<II", 32, 32), struct.pack("<II", 2**31, 2**31))
    path.write_bytes(data)
    assert f"and has {len(data)}" in refusal(path)


def test_a_damaged_storage_is_noticed(tmp_path):
    path = write_zip(tmp_path / "a.pth", {"w": whole("0", WEIGHT)}, {"0": WEIGHT})
    path.write_bytes(path.read_bytes().replace(WEIGHT.tobytes(), WEIGHT[::-1].tobytes()))
    assert "broken or cut off zip (Bad CRC-32" in refusal(path)


def test_a_message_quotes_a_broken_zip_only_briefly(tmp_path):
    path = write_zip(tmp_path / "a.pth", {"w": whole("0", WEIGHT)}, {"0": WEIGHT})
    longer = path.read_bytes().replace(b"\x11\0\0\0archive/byteorder", b"\xff\1\0\0archive/byteorder", 1)
    path.write_bytes(longer)
    assert "broken or cut off zip (File name in directory" in refusal(path)


def test_zips_that_are_no_state_dicts_are_refused(tmp_path):
    for names, reason in (
        (["a.txt"], "0 data.pkl"),
        (["a/data.pkl", "b/data.pkl"], "2 data.pkl"),
        (["m/data.pkl", "m/constants.pkl"], "TorchScript"),
    ):
        path = tmp_path / "a.zip"
        with zipfile.ZipFile(path, "w") as archive:
            for name in names:
                archive.writestr(name, dump({}))
        assert reason in refusal(path)
    with zipfile.ZipFile(path, "w") as archive, pytest.warns(UserWarning, match="Duplicate"):
        archive.writestr("m/data.pkl", dump({}))
        archive.writestr("m/data.pkl", dump({}))
    assert "twice" in refusal(path)
