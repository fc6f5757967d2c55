"""Files are whole or not there, whatever happens while they are written."""

import os
import socket
import subprocess
import sys
import time

import pytest

from keras_maskrcnn.utils.files import remove_unfinished, write_text, written_whole


@pytest.fixture
def dead():
    """The id of a process that has ended."""
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    return process.pid


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def test_a_file_takes_its_place_when_the_block_is_done(tmp_path):
    write_text(tmp_path / "a.txt", "before")
    with written_whole(tmp_path / "a.txt") as part:
        part.write_text("after")
        assert (tmp_path / "a.txt").read_text() == "before"
    assert (tmp_path / "a.txt").read_text() == "after"
    assert names(tmp_path) == ["a.txt"]


def test_an_error_leaves_the_file_of_before_and_nothing_else(tmp_path):
    write_text(tmp_path / "a.txt", "before")
    with pytest.raises(KeyboardInterrupt), written_whole(tmp_path / "a.txt") as part:
        part.write_text("half")
        (part.parent / "put aside by a library").write_text("more")
        raise KeyboardInterrupt
    assert (tmp_path / "a.txt").read_text() == "before"
    assert names(tmp_path) == ["a.txt"]


def test_what_a_killed_process_left_is_removed_by_the_next_write_there(tmp_path, dead):
    left = tmp_path / f".{dead}@{socket.gethostname()}.abcd1234.unfinished"
    left.mkdir()
    (left / "best.keras").write_bytes(b"half")
    (tmp_path / f".{dead}.backup.weights.h5").write_bytes(b"half, by version 0.1.0")
    write_text(tmp_path / "another.txt", "whole")
    assert names(tmp_path) == ["another.txt"]


def test_what_others_may_still_be_writing_stays(tmp_path, dead):
    others = [
        f".{os.getpid()}@{socket.gethostname()}.abcd1234.unfinished",
        f".{dead}@another.machine.abcd1234.unfinished",
        f".{os.getpid()}.backup.weights.h5",
    ]
    kept = [f".{dead}.txt", ".hidden", f"{dead}@host.abcd1234.unfinished"]
    for name in (*others, *kept):
        (tmp_path / name).mkdir()
    remove_unfinished(tmp_path)
    assert names(tmp_path) == sorted([*others, *kept])
    for name in (*others, *kept):
        os.utime(tmp_path / name, times=(time.time() - 2 * 86400,) * 2)
    remove_unfinished(tmp_path)  # nobody writes for two days
    assert names(tmp_path) == sorted(kept)


def test_a_link_is_followed_and_permissions_are_kept(tmp_path):
    file, link = tmp_path / "disk" / "a.txt", tmp_path / "a.txt"
    file.parent.mkdir()
    file.write_text("before")
    file.chmod(0o640)
    link.symlink_to(file)
    write_text(link, "after")
    assert link.is_symlink() and file.read_text() == "after"
    assert file.stat().st_mode & 0o777 == 0o640


def test_what_is_no_file_is_written_where_it_is(tmp_path):
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    reader = subprocess.Popen(["cat", pipe], stdout=subprocess.PIPE, text=True)
    write_text(pipe, "said")
    assert reader.communicate()[0] == "said"
    with pytest.raises(IsADirectoryError):
        write_text(tmp_path, "a folder")


@pytest.mark.parametrize("number", [28, 5])
def test_an_error_of_the_disk_names_the_file(tmp_path, number):
    with pytest.raises(OSError) as caught, written_whole(tmp_path / "a.txt"):
        raise OSError(number, os.strerror(number))  # as a write on a full disk raises it
    assert caught.value.filename == str(tmp_path / "a.txt") and caught.value.errno == number
    assert names(tmp_path) == []


def test_an_error_of_another_file_names_that(tmp_path):
    with pytest.raises(FileNotFoundError) as caught, written_whole(tmp_path / "a.txt"):
        (tmp_path / "no image").read_bytes()
    assert caught.value.filename == str(tmp_path / "no image")
    with pytest.raises(FileNotFoundError) as caught:
        write_text(tmp_path / "no folder" / "a.txt", "text")
    assert caught.value.filename == str(tmp_path / "no folder" / "a.txt")
