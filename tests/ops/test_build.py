"""How the compiled op is found, built, shared, replaced or done without."""

import os
import subprocess
import sys

import pytest
import tensorflow as tf
from places import ROOT

from keras_maskrcnn.ops import build
from keras_maskrcnn.ops import library as op_library
from keras_maskrcnn.ops.roi_align import roi_align

# Four threads ask for the op at once, then one more time.
PROGRAM = """
import logging, threading
logging.basicConfig(level=logging.INFO, format="%(levelname)s|%(message)s")
import tensorflow as tf
from keras_maskrcnn.ops.roi_align import roi_align
values = []
def pool():
    values.append(roi_align([tf.ones([1, 4, 4, 1])], [[0, 0, 3, 3.]], [0], [0], strides=[1], output_size=1))
threads = [threading.Thread(target=pool) for _ in range(4)]
[thread.start() for thread in threads], [thread.join() for thread in threads]
pool()
print(*[value.numpy().item() for value in values])
"""


def start(cache, **environment):
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "XDG_CACHE_HOME": str(cache), **environment}
    environment.setdefault(op_library.SWITCH, "auto")
    return subprocess.Popen(
        [sys.executable, "-c", PROGRAM],
        env=environment,
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )


def finish(process):
    """What the program printed, and its log lines."""
    output, errors = process.communicate(timeout=300)
    lines = [line for line in errors.splitlines() if line.startswith(("INFO|", "WARNING|"))]
    return output.split(), [line for line in lines if "RoIAlign" in line or "maskrcnn_ops" in line]


def levels(lines):
    return [line.split("|")[0] for line in lines]


@pytest.fixture(scope="module")
def library():
    """The op's library, really compiled."""
    if build.find_compiler() is None:
        pytest.skip("no C++ compiler")
    return op_library.op_library()[0]


@pytest.fixture
def compiler(tmp_path, library):
    """A compiler that takes a second to hand out the library, and writes down that it ran."""
    path = tmp_path / "compiler"
    path.write_text(f"""#!/bin/sh
echo ran >> {tmp_path}/runs
sleep 1
while [ "$1" != "-o" ]; do shift; done
cp {library} "$2"
""")
    path.chmod(0o755)
    return path


@pytest.fixture
def fresh(tmp_path, monkeypatch, caplog):
    """An empty cache and nothing chosen yet; what is logged comes back."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setattr(op_library, "_chosen", op_library._chosen.__wrapped__)
    monkeypatch.setattr(op_library, "op_library", op_library.op_library.__wrapped__)
    caplog.set_level("INFO")
    return caplog


def folder(cache):
    path = cache / "keras_maskrcnn"
    path.mkdir(parents=True, exist_ok=True)
    return path


def test_without_a_compiler_the_reference_implementation_runs_and_one_warning_says_so(tmp_path):
    values, lines = finish(start(tmp_path, PATH=str(tmp_path), CXX=""))
    assert values == ["1.0"] * 5
    assert levels(lines) == ["WARNING"]
    assert "plain TensorFlow operations" in lines[0]
    assert "install a C++ compiler" in lines[0]


def test_a_compiler_that_fails_is_quoted_in_the_warning(tmp_path, monkeypatch, fresh):
    broken = tmp_path / "broken"
    broken.write_text("#!/bin/sh\necho 'error: no such thing as C++' >&2\nexit 1\n")
    broken.chmod(0o755)
    monkeypatch.setenv("CXX", str(broken))
    assert op_library._chosen("auto") is None
    assert "Compiling" in fresh.messages[0]
    assert "error: no such thing as C++" in fresh.messages[1]
    assert len(fresh.messages) == 2
    assert [path.suffix for path in folder(tmp_path).iterdir()] == [".lock"]


def test_a_cache_that_cannot_be_written_leaves_the_reference_implementation(tmp_path, fresh):
    (tmp_path / "keras_maskrcnn").write_text("a file where the folder should be")
    assert op_library._chosen("auto") is None
    assert "keras_maskrcnn" in fresh.messages[0]
    assert len(fresh.messages) == 1


def test_two_processes_share_one_build(tmp_path, compiler):
    both = [start(tmp_path, CXX=str(compiler)) for _ in range(2)]
    for values, lines in map(finish, both):
        assert values == ["1.0"] * 5
        assert "compiled op" in lines[-1]
    assert (tmp_path / "runs").read_text() == "ran\n"
    assert [path.name for path in folder(tmp_path).glob("*.so")] == [build.library_name()]


def test_a_library_that_does_not_load_is_replaced(tmp_path, compiler):
    stale = folder(tmp_path) / build.library_name()
    source = tmp_path / "other.cc"
    source.write_text("void gone(); static int before_main = (gone(), 0);")
    build.run_compiler([build.find_compiler(), "-shared", "-fPIC", str(source)], stale)
    with pytest.raises(tf.errors.NotFoundError, match="undefined symbol"):
        tf.load_op_library(str(stale))
    values, lines = finish(start(tmp_path, CXX=str(compiler)))
    assert values == ["1.0"] * 5
    assert "does not load" in lines[0]
    assert lines[-1] == f"INFO|RoIAlign: compiled op {stale}"
    # Found from now on, with no compiler.
    values, lines = finish(start(tmp_path, PATH=str(tmp_path), CXX=""))
    assert lines == [f"INFO|RoIAlign: compiled op {stale}"]


def change_a_byte(path):
    content = bytearray(path.read_bytes())
    content[5000] ^= 0xFF
    path.write_bytes(content)


DAMAGES = {
    "cut off": lambda path: os.truncate(path, path.stat().st_size // 2),
    "one byte changed": change_a_byte,
    "without a checksum": lambda path: build.checksum_file(path).unlink(),
    "with half a checksum": lambda path: os.truncate(build.checksum_file(path), 20),
    "with no text for a checksum": lambda path: build.checksum_file(path).write_bytes(b"\xff"),
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_library_is_never_loaded_and_is_made_again(damage, tmp_path, compiler, fresh, monkeypatch):
    monkeypatch.setenv("CXX", str(compiler))
    path = folder(tmp_path) / build.library_name()
    build.compile_library(path)
    assert build.is_whole(path)
    DAMAGES[damage](path)
    assert not build.is_whole(path)
    loaded = []

    def load(library):
        loaded.append(build.is_whole(library))
        return library

    assert op_library._find_or_build(path.name, build.compile_library, load) == (path, path)
    assert loaded == [True] and (tmp_path / "runs").read_text() == "ran\nran\n"
    assert f"{path} is damaged, or lacks its checksum, and is replaced" in fresh.messages
    assert sorted(file.name for file in path.parent.iterdir()) == sorted(
        [path.name, build.checksum_file(path).name, path.with_suffix(".lock").name]
    )


def test_the_reference_implementation_can_be_asked_for(tmp_path, fresh):
    assert op_library._chosen("plain") is None
    assert [record.levelname for record in fresh.records] == ["INFO"]
    assert not list(tmp_path.iterdir())


def test_a_compiled_op_that_is_asked_for_and_missing_is_an_error(monkeypatch, fresh):
    monkeypatch.setenv("PATH", "")
    monkeypatch.delenv("CXX", raising=False)
    with pytest.raises(
        RuntimeError, match="is compiled, but the RoIAlign op cannot be built: no C\\+\\+ compiler"
    ):
        op_library._chosen("compiled")


def test_an_unknown_choice_is_refused(monkeypatch):
    monkeypatch.setenv(op_library.SWITCH, "python")
    with pytest.raises(
        ValueError, match="KERAS_MASKRCNN_OPS must be one of auto, compiled, plain, found 'python'"
    ):
        roi_align([tf.ones([1, 4, 4, 1])], tf.zeros([1, 4]), [0], [0], strides=[1], output_size=1)


def test_the_name_of_a_library_tells_the_tensorflow_and_the_sources(tmp_path, monkeypatch):
    name = build.library_name()
    assert f"tf{tf.__version__}-" in name
    changed = tmp_path / "roi_align.cc"
    changed.write_text(build.SOURCES[0].read_text() + "\n")
    monkeypatch.setattr(build, "SOURCES", (changed, *build.SOURCES[1:]))
    assert build.library_name() != name
