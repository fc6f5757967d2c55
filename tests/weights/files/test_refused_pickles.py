"""Pickles that are broken or harmful are refused in one sentence, and nothing of them is run."""

import os
import pickle
import struct

import numpy as np
import pytest
from checkpoints import Raw, call, dump, encode, named
from refusals import WEIGHT, refusal, written


class Does:
    """Pickles to a call."""

    def __init__(self, *reduced):
        self.reduced = reduced

    def __reduce__(self):
        return self.reduced


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
    assert name in refusal(written(tmp_path, pickle.dumps({"model": {"w": WEIGHT, "x": value}}, protocol)))


def pair(*strings):
    return b"".join(b"\x8c" + bytes([len(string)]) + string.encode() for string in strings)


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
    "name from a number": (b"\x80\x04K\x01K\x02\x93.", "a name that is not a string"),
    "name from the memo": (
        b"\x80\x04" + pair("os", "system") + b"q\x010q\x000h\x00h\x01\x93.",
        "asks for 'os.system'",
    ),
    "call of a string": (b"\x80\x02U\x02ls)R.", "calls a str"),
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
    "string of negative length": (b"\x80\x02T\xff\xff\xff\xff.", "a string of -1 bytes"),
    "string beyond the end": (b"\x80\x04\x8e" + struct.pack("<Q", 2**60) + b"x.", "is cut off"),
    "hash that takes for ever": (
        b"\x80\x02)" + b"2\x86" * 60 + b"}" + b"NNs" + b"0q\x00}h\x00Ns.",
        "uses a tuple as a key",
    ),
    "number of a million digits": (b"\x80\x02I" + b"9" * 10**6 + b"\n.", "broken pickle"),
    "encoding": (b"\x80\x02" + call("_codecs.encode", "ls", "rot13") + b".", "encodes a string"),
    "bytes of any size": (b"\x80\x02" + call("builtins.bytes", 10**11) + b".", "broken pickle"),
}


@pytest.mark.parametrize("case", OPCODES)
def test_every_trick_of_the_opcodes_is_refused(tmp_path, case):
    data, reason = OPCODES[case]
    assert reason in refusal(written(tmp_path, data))


def test_a_pickle_that_only_fills_the_memory_is_stopped(tmp_path, monkeypatch):
    monkeypatch.setattr("keras_maskrcnn.weights.files.unpickler.MAX_INSTRUCTIONS", 1000)
    assert "more than 1000 pickle instructions" in refusal(
        written(tmp_path, b"\x80\x02" + b"]" * 2000 + b".")
    )


@pytest.mark.parametrize(
    "part, call_of_it",
    [
        (encode("x" * 100_000), b"c_codecs\nencode\nh\x00U\x06latin1\x86R"),
        (encode({i: None for i in range(10_000)}), b"ccollections\nOrderedDict\nh\x00\x85R"),
    ],
    ids=["string", "dict"],
)
def test_a_pickle_that_copies_its_parts_again_and_again_is_stopped(tmp_path, monkeypatch, part, call_of_it):
    monkeypatch.setattr("keras_maskrcnn.weights.files.unpickler.MAX_INSTRUCTIONS", 100_000)
    data = b"\x80\x02" + part + b"q\x00(" + call_of_it * 3000 + b"l."
    assert "again and again" in refusal(written(tmp_path, data))


def test_arrays_of_objects_records_and_texts_are_refused(tmp_path):
    for array in (
        np.array([None]),
        np.zeros(1, "f4,i4"),
        np.array(["a"]),
        np.zeros(1, "M8[s]"),
        np.zeros(1, "c8"),
    ):
        assert "type" in refusal(written(tmp_path, pickle.dumps({"w": array})))


@pytest.mark.parametrize(
    "shape, reason", [((3, 4), "needs 48 bytes and has 32"), ((-2, -4), "shape"), ((10**9,) * 9, "needs")]
)
def test_an_array_whose_shape_is_not_that_of_its_bytes_is_refused(tmp_path, shape, reason):
    kind = Raw(call("numpy.dtype", "f4", False, True) + encode((3, "<", None, None, None, -1, -1, 0)) + b"b")
    value = call("numpy._core.numeric._frombuffer", WEIGHT.tobytes(), kind, shape, "C")
    assert reason in refusal(written(tmp_path, dump({"w": value})))


def test_a_pickle_cut_off_anywhere_is_refused(tmp_path):
    data = pickle.dumps({"model": {"w": WEIGHT}})
    for length in range(3, len(data) - 1, 5):
        assert "is cut off" in refusal(written(tmp_path, data[:length]))


def test_dicts_in_dicts_without_end_are_refused(tmp_path):
    loop = {}
    loop["model"] = loop
    assert "dicts in dicts" in refusal(written(tmp_path, pickle.dumps(loop)))


def test_a_name_is_only_ever_looked_up(tmp_path):
    """What the table lacks is refused even if the module is not there at all."""
    assert "asks for 'no_such_module.thing'" in refusal(
        written(tmp_path, b"\x80\x02" + named("no_such_module.thing") + b".")
    )
