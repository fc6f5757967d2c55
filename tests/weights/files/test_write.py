"""Checkpoints that torch and Detectron2's users read, written without torch."""

import pickle
import subprocess
import sys
import time
import zipfile

import numpy as np
import pytest

from keras_maskrcnn.weights.files.read import read_checkpoint
from keras_maskrcnn.weights.files.write import write_pkl, write_pth

RNG = np.random.default_rng(0)
STATE = {
    "conv.weight": RNG.normal(size=(4, 3, 2, 2)).astype("float32"),
    "conv.bias": RNG.normal(size=4),
    "half": RNG.normal(size=(2, 5)).astype("float16"),
    "scalar": np.array(2.5, "float32"),
    "empty": np.zeros((0, 3), "float32"),
    "turned": RNG.normal(size=(3, 5)).astype("float32").T,
    "big endian": np.arange(6).astype(">f4").reshape(2, 3),
    "ünïcode": np.ones(1, "float32"),
}
WRITERS = {".pth": write_pth, ".pkl": write_pkl}


def assert_equal(found, state=STATE):
    assert list(found) == list(state)
    for name, array in state.items():
        assert found[name].dtype == array.dtype.newbyteorder("="), name
        np.testing.assert_array_equal(found[name], array, err_msg=name)


@pytest.mark.parametrize("ending", WRITERS)
def test_what_is_written_is_read_back_equal(ending, tmp_path):
    WRITERS[ending](tmp_path / f"w{ending}", STATE)
    assert_equal(read_checkpoint(tmp_path / f"w{ending}"))


@pytest.mark.parametrize("ending", WRITERS)
def test_the_same_tensors_are_the_same_file_whenever_it_is_written(ending, tmp_path, monkeypatch):
    written = []
    for year in (2001, 2026):
        monkeypatch.setattr(time, "time", lambda year=year: (year - 1970) * 31556952.0)
        monkeypatch.setattr(
            time, "localtime", lambda *_, year=year: time.struct_time((year, 5, 6, 7, 8, 9, 0, 1, 0))
        )
        WRITERS[ending](tmp_path / f"{year}{ending}", STATE)
        written.append((tmp_path / f"{year}{ending}").read_bytes())
    assert written[0] == written[1]


def test_pythons_pickle_reads_what_detectron2_reads(tmp_path):
    write_pkl(tmp_path / "w.pkl", STATE)
    with open(tmp_path / "w.pkl", "rb") as file:
        content = pickle.load(file, encoding="latin1")  # as Detectron2 does
    assert content["__author__"] == "keras_maskrcnn"
    assert_equal(content["model"])


def test_a_pickle_names_numpy_as_its_older_versions_are_called(tmp_path):
    write_pkl(tmp_path / "w.pkl", STATE)
    data = (tmp_path / "w.pkl").read_bytes()
    assert b"numpy.core.multiarray\n_reconstruct" in data and b"numpy._core" not in data


def test_torch_loads_a_state_dict(tmp_path):
    torch = pytest.importorskip("torch")
    write_pth(tmp_path / "w.pth", STATE)
    loaded = torch.load(tmp_path / "w.pth", weights_only=True)
    assert_equal({name: tensor.numpy() for name, tensor in loaded.items()})
    assert loaded["conv.weight"].is_contiguous()


def test_nothing_of_torch_is_loaded(tmp_path):
    code = (
        "import sys, numpy; from keras_maskrcnn.weights.files.write import write_pth\n"
        f"write_pth({str(tmp_path / 'w.pth')!r}, {{'a': numpy.ones(2)}}); print('torch' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "False\n"


def test_storages_lie_in_the_file_as_they_are(tmp_path):
    write_pth(tmp_path / "w.pth", STATE)
    with zipfile.ZipFile(tmp_path / "w.pth") as archive:
        assert {entry.compress_type for entry in archive.infolist()} == {zipfile.ZIP_STORED}
        assert archive.read("archive/data/0") == STATE["conv.weight"].tobytes()


@pytest.mark.parametrize("ending", WRITERS)
def test_anything_but_floats_is_refused_and_the_old_file_stays(ending, tmp_path):
    path = tmp_path / f"w{ending}"
    path.write_text("old")
    with pytest.raises(ValueError, match="count holds int64; only floats are written"):
        WRITERS[ending](path, {**STATE, "count": np.arange(3)})
    assert [file.name for file in tmp_path.iterdir()] == [path.name]
    assert path.read_text() == "old"
