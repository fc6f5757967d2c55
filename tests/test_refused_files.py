"""Files that are broken, of another kind or harmful are refused in one sentence, and nothing of them is run."""

import json
import os
import pickle
import struct
import zipfile

import h5py
import numpy as np
import pytest
from checkpoints import (
    Raw,
    call,
    dump,
    encode,
    named,
    state_dict,
    storage,
    tensor,
    whole,
    write_legacy,
    write_zip,
)

from keras_maskrcnn.weights.readers import read_checkpoint, read_h5, read_pkl

WRITERS = pytest.mark.parametrize("write", [write_zip, write_legacy])
WEIGHT = np.arange(8, dtype="f4").reshape(2, 4)


class Does:
    """Pickles to a call."""

    def __init__(self, *reduced):
        self.reduced = reduced

    def __reduce__(self):
        return self.reduced


def refused(path, reason):
    """Check the refusal: the file and the reason, in one line."""
    with pytest.raises(ValueError) as error:
        read_checkpoint(path)
    message = str(error.value)
    assert message.startswith(f"{path} ") and reason in message
    assert "\n" not in message and message.endswith(".") and len(message) < 500 + len(str(path))


def written(tmp_path, data):
    path = tmp_path / "model.pkl"
    path.write_bytes(data)
    return path


@pytest.fixture
def mark(tmp_path):
    """A file that a harmful pickle would create."""
    path = tmp_path / "it-ran"
    yield path
    assert not path.exists()


HARMFUL = {
    "system": lambda mark: (Does(os.system, (f"touch {mark}",)), "system'"),
    "eval": lambda mark: (Does(eval, (f"open({str(mark)!r}, 'w')",)), "eval'"),
    "open": lambda mark: (Does(open, (str(mark), "w")), ".open'"),
    "getattr": lambda mark: (Does(getattr, (Does(__import__, ("os",)), "system")), "getattr'"),
    "import": lambda mark: (Does(__import__, ("os",)), "__import__'"),
    "numpy function": lambda mark: (Does(np.save, (str(mark), 1)), "save'"),
    "numpy loader": lambda mark: (Does(np.load, (str(mark),)), "load'"),
    "a loader in a pickle": lambda mark: (Does(pickle.loads, (b"N.",)), "loads'"),
    "bytes of any size": lambda mark: (Does(bytearray, (10**12,)), "bytearray'"),
    "partial": lambda mark: (Does(__import__("functools").partial, (print,)), "functools.partial'"),
}


@pytest.mark.parametrize("protocol", range(6))
@pytest.mark.parametrize("kind", HARMFUL)
def test_harmful_pickles_are_refused_by_name(tmp_path, mark, kind, protocol):
    """Protocols 0 to 3 name by GLOBAL, the others by STACK_GLOBAL."""
    value, name = HARMFUL[kind](mark)
    refused(written(tmp_path, pickle.dumps({"model": {"w": WEIGHT, "x": value}}, protocol)), name)


@WRITERS
@pytest.mark.parametrize(
    "name", ["os.system", "builtins.eval", "torch.load", "torch.storage._load_from_bytes"]
)
def test_harmful_torch_files_are_refused_by_name(tmp_path, write, name):
    value = {"w": whole("0", WEIGHT), "x": call(name, "ls")}
    refused(write(tmp_path / "a.pth", value, {"0": WEIGHT}), f"asks for {name!r}")


def pair(*texts):
    return b"".join(b"\x8c" + bytes([len(text)]) + text.encode() for text in texts)


OPCODES = {
    "INST": (b"(S'ls'\nios\nsystem\n.", "asks for 'os.system'"),
    "INST of a known name": (b"(icollections\nOrderedDict\n.", "creates an object of a class"),
    "OBJ": (b"(cos\nsystem\nS'ls'\no.", "asks for 'os.system'"),
    "OBJ of a known name": (b"(ccollections\nOrderedDict\no.", "creates an object of a class"),
    "NEWOBJ": (b"\x80\x02ccollections\nOrderedDict\n)\x81.", "creates an object of a class"),
    "NEWOBJ_EX": (b"\x80\x04ccollections\nOrderedDict\n)}\x92.", "creates an object of a class"),
    "EXT": (b"\x80\x02\x82\x01.", "uses the pickle instruction"),
    "PERSID": (b"\x80\x02Pabc\n.", "uses the pickle instruction"),
    "BINPERSID": (b"\x80\x02NQ.", "refers to data outside the pickle"),
    "NEXT_BUFFER": (b"\x80\x05\x97.", "uses the pickle instruction"),
    "unknown": (b"\x80\x02\xff.", "uses the pickle instruction b'\\xff'"),
    "dotted name": (b"\x80\x04" + pair("collections", "OrderedDict.fromkeys") + b"\x93.", "fromkeys'"),
    "name from a number": (b"\x80\x04K\x01K\x02\x93.", "a name that is not a text"),
    "name from the memo": (
        b"\x80\x04" + pair("os", "system") + b"q\x010q\x000h\x00h\x01\x93.",
        "asks for 'os.system'",
    ),
    "call of a text": (b"\x80\x02U\x02ls)R.", "calls a str"),
    "call of a type": (b"\x80\x02cnumpy\nndarray\n)R.", "calls numpy.ndarray"),
    "state of a name": (
        b"\x80\x02ccollections\nOrderedDict\n}b.",
        "sets attributes of collections.OrderedDict",
    ),
    "state of a list": (b"\x80\x02]}b.", "sets attributes of a list"),
    "slots of a dict": (b"\x80\x02}N}\x86b.", "sets attributes of a dict"),
    "memo that is empty": (b"\x80\x02h\x05.", "broken pickle"),
    "empty stack": (b"\x80\x020.", "broken pickle"),
    "no value": (b"\x80\x02.", "broken pickle"),
    "open mark": (b"\x80\x02(N.", "broken pickle"),
    "append to a tuple": (b"\x80\x02)Na.", "broken pickle"),
    "text of negative length": (b"\x80\x02T\xff\xff\xff\xff.", "a text of -1 bytes"),
    "text beyond the end": (b"\x80\x04\x8e" + struct.pack("<Q", 2**60) + b"x.", "is cut off"),
    "hash that takes for ever": (
        b"\x80\x02)" + b"2\x86" * 60 + b"}" + b"NNs" + b"0q\x00}h\x00Ns.",
        "uses a tuple as a key",
    ),
    "number of a million digits": (b"\x80\x02I" + b"9" * 10**6 + b"\n.", "broken pickle"),
    "encoding": (b"\x80\x02" + call("_codecs.encode", "ls", "rot13") + b".", "encodes a text"),
    "bytes of any size": (b"\x80\x02" + call("builtins.bytes", 10**11) + b".", "broken pickle"),
}


@pytest.mark.parametrize("case", OPCODES)
def test_every_trick_of_the_opcodes_is_refused(tmp_path, case):
    data, reason = OPCODES[case]
    refused(written(tmp_path, data), reason)


def test_a_pickle_that_only_fills_the_memory_is_stopped(tmp_path, monkeypatch):
    monkeypatch.setattr("keras_maskrcnn.weights.unpickle.MAX_INSTRUCTIONS", 1000)
    refused(written(tmp_path, b"\x80\x02" + b"]" * 2000 + b"."), "more than 1000 pickle instructions")


@pytest.mark.parametrize(
    "part, call_of_it",
    [
        (encode("x" * 100_000), b"c_codecs\nencode\nh\x00U\x06latin1\x86R"),
        (encode({i: None for i in range(10_000)}), b"ccollections\nOrderedDict\nh\x00\x85R"),
    ],
    ids=["text", "dict"],
)
def test_a_pickle_that_copies_its_parts_again_and_again_is_stopped(tmp_path, monkeypatch, part, call_of_it):
    monkeypatch.setattr("keras_maskrcnn.weights.unpickle.MAX_INSTRUCTIONS", 100_000)
    data = b"\x80\x02" + part + b"q\x00(" + call_of_it * 3000 + b"l."
    refused(written(tmp_path, data), "again and again")


def test_nesting_does_not_end_in_python_s_own_limit(tmp_path):
    deep = Raw(b")" + b"\x85" * 100_000)
    for value, reason in (
        (call("numpy.dtype", deep, False, True), "holds an array of the type ''"),
        (tensor(deep, 0, (1,), (1,)), "not a window on a storage"),
        (tensor(SOURCE, deep, (1,), (1,)), "negative or impossible"),
        ({"w": deep}, "as a tuple, where a tensor is expected"),
    ):
        refused(write_zip(tmp_path / "a.pth", value, {"0": WEIGHT}), reason)


def test_arrays_of_objects_records_and_texts_are_refused(tmp_path):
    for array in (
        np.array([None]),
        np.zeros(1, "f4,i4"),
        np.array(["a"]),
        np.zeros(1, "M8[s]"),
        np.zeros(1, "c8"),
    ):
        refused(written(tmp_path, pickle.dumps({"w": array})), "type")


@pytest.mark.parametrize(
    "shape, reason", [((3, 4), "needs 48 bytes and has 32"), ((-2, -4), "shape"), ((10**9,) * 9, "needs")]
)
def test_an_array_whose_shape_is_not_that_of_its_bytes_is_refused(tmp_path, shape, reason):
    kind = Raw(call("numpy.dtype", "f4", False, True) + encode((3, "<", None, None, None, -1, -1, 0)) + b"b")
    value = call("numpy._core.numeric._frombuffer", WEIGHT.tobytes(), kind, shape, "C")
    refused(written(tmp_path, dump({"w": value})), reason)


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
    refused(write(tmp_path / "a.pth", {"w": value}, {"0": WEIGHT}), reason)


def test_two_types_of_one_storage_are_refused(tmp_path):
    """Of equal size, as bits, they would be read."""
    value = {"a": whole("0", WEIGHT), "b": tensor(storage("0", "f8", 8), 0, (8,), (1,))}
    refused(write_zip(tmp_path / "a.pth", value, {"0": WEIGHT}), "two sizes for the storage '0'")
    refused(write_legacy(tmp_path / "b.pth", value, {"0": WEIGHT}), "two types or sizes for the storage '0'")


@WRITERS
def test_a_file_cut_off_anywhere_is_refused(tmp_path, write):
    data = write(tmp_path / "whole.pth", state_dict({"w": whole("0", WEIGHT)}), {"0": WEIGHT}).read_bytes()
    path = tmp_path / "a.pth"
    for length in range(1, len(data) - 1, 7):
        path.write_bytes(data[:length])
        with pytest.raises(ValueError) as error:
            read_checkpoint(path)
        assert str(error.value).startswith(f"{path} is ")


def test_a_pickle_cut_off_anywhere_is_refused(tmp_path):
    data = pickle.dumps({"model": {"w": WEIGHT}})
    for length in range(3, len(data) - 1, 5):
        refused(written(tmp_path, data[:length]), "is cut off")


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
    refused(path, "compressed, which torch never does")

    path = write_zip(tmp_path / "declared.pth", {"w": whole("0", WEIGHT)}, {"0": WEIGHT})
    data = path.read_bytes().replace(struct.pack("<II", 32, 32), struct.pack("<II", 2**31, 2**31))
    path.write_bytes(data)
    refused(path, f"and has {len(data)}")


def test_a_damaged_storage_is_noticed(tmp_path):
    path = write_zip(tmp_path / "a.pth", {"w": whole("0", WEIGHT)}, {"0": WEIGHT})
    path.write_bytes(path.read_bytes().replace(WEIGHT.tobytes(), WEIGHT[::-1].tobytes()))
    refused(path, "broken or cut off zip (Bad CRC-32")


def test_a_message_quotes_a_broken_zip_only_briefly(tmp_path):
    path = write_zip(tmp_path / "a.pth", {"w": whole("0", WEIGHT)}, {"0": WEIGHT})
    longer = path.read_bytes().replace(b"\x11\0\0\0archive/byteorder", b"\xff\1\0\0archive/byteorder", 1)
    path.write_bytes(longer)
    refused(path, "broken or cut off zip (File name in directory")


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
        refused(path, reason)
    with zipfile.ZipFile(path, "w") as archive, pytest.warns(UserWarning, match="Duplicate"):
        archive.writestr("m/data.pkl", dump({}))
        archive.writestr("m/data.pkl", dump({}))
    refused(path, "twice")


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
    refused(written(tmp_path, data), reason)


def test_dicts_in_dicts_without_end_are_refused(tmp_path):
    loop = {}
    loop["model"] = loop
    refused(written(tmp_path, pickle.dumps(loop)), "dicts in dicts")


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
    refused(h5(tmp_path, lambda file: None), "without weights")
    refused(
        h5(tmp_path, lambda file: file.create_dataset("text", data="a")),
        "'text', which is not an array of numbers",
    )
    refused(h5(tmp_path, lambda file: file.create_dataset("w", (10**12,), "f4")), "declares more tensors")
    zeros = np.zeros(10**7, "f4")
    refused(
        h5(tmp_path, lambda file: file.create_dataset("w", data=zeros, compression=9)),
        "declares more tensors",
    )


def test_hdf5_files_that_lead_to_other_files_are_refused(tmp_path):
    other = h5(tmp_path, lambda file: file.create_dataset("g/w", data=WEIGHT)).rename(tmp_path / "other.h5")

    def link(file):
        file["model_weights"] = h5py.ExternalLink(other, "g")

    def virtual(file):
        layout = h5py.VirtualLayout((2, 4), "f4")
        layout[:] = h5py.VirtualSource(other, "g/w", (2, 4))
        file.create_virtual_dataset("w", layout)

    refused(h5(tmp_path, link), "no group of weights")
    refused(h5(tmp_path, virtual), "in another file")
    refused(
        h5(tmp_path, lambda file: file.create_dataset("w", (8,), "f4", external=str(other))),
        "in another file",
    )


def test_a_cut_off_hdf5_file_is_refused(tmp_path):
    data = h5(tmp_path, lambda file: file.create_dataset("w", data=WEIGHT)).read_bytes()
    refused(written(tmp_path, data[:1000]), "broken or cut off HDF5 file")


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
    refused(written(tmp_path, struct.pack("<Q", len(text)) + text + WEIGHT.tobytes()), reason)


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
    refused(written(tmp_path, struct.pack("<Q", length) + text), reason)


def test_a_name_is_only_ever_looked_up(tmp_path):
    """What the table lacks is refused even if the module is not there at all."""
    refused(
        written(tmp_path, b"\x80\x02" + named("no_such_module.thing") + b"."),
        "asks for 'no_such_module.thing'",
    )
