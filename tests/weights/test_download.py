"""Downloads from a server on this machine: whole, checked, or not there at all."""

import hashlib

import pytest
from file_server import closed_url, serving

from keras_maskrcnn.weights.download import check_hash, fetch

DATA = bytes(range(256)) * 400
HASH = f"sha256:{hashlib.sha256(DATA).hexdigest()[:8]}"


@pytest.fixture
def server():
    with serving({"/weights.pth": DATA, "/other.pth": b"another file"}) as files:
        yield files


def get(url, folder, published=HASH):
    return fetch(url, folder, lambda path: check_hash(path, published), pause=0)


def names(folder):
    return sorted(path.name for path in folder.rglob("*"))


def test_a_file_is_downloaded_once_behind_a_bar(server, tmp_path, capsys):
    path = get(f"{server.url}/weights.pth", tmp_path / "cache")
    assert path == tmp_path / "cache" / "weights.pth" and path.read_bytes() == DATA
    shown = capsys.readouterr().out
    assert f"Downloading data from {server.url}/weights.pth" in shown and f"{len(DATA)}/{len(DATA)}" in shown
    assert get(f"{server.url}/weights.pth", tmp_path / "cache") == path
    assert server.requests == ["/weights.pth"]
    assert names(tmp_path / "cache") == ["weights.pth"]


def test_a_download_that_breaks_off_is_tried_again(server, tmp_path, caplog):
    server.behaviour = ["cut", 503]
    assert get(f"{server.url}/weights.pth", tmp_path).read_bytes() == DATA
    shown = caplog.text
    assert "The download broke off (retrieval incomplete: got only" in shown and "attempt 2 of 3" in shown
    assert "The download broke off (HTTP 503 Service Unavailable); attempt 3 of 3" in shown


@pytest.mark.parametrize(
    ("behaviour", "requests", "reason"),
    [
        (["cut"] * 3, 3, "retrieval incomplete: got only"),
        ([500] * 3, 3, "HTTP 500 Internal Server Error"),
        ([404], 1, "HTTP 404 Not Found"),
    ],
)
def test_what_cannot_be_had_is_an_error_that_says_where_to_put_the_file(
    behaviour, requests, reason, server, tmp_path
):
    server.behaviour = behaviour
    with pytest.raises(ConnectionError) as raised:
        get(f"{server.url}/weights.pth", tmp_path)
    assert str(raised.value).startswith(f"{server.url}/weights.pth cannot be downloaded: {reason}")
    assert f"put it at {tmp_path / 'weights.pth'}." in str(raised.value)
    assert len(server.requests) == requests
    assert names(tmp_path) == []


def test_without_a_network_the_error_says_so(tmp_path):
    with pytest.raises(ConnectionError, match=r"cannot be downloaded: .*refused.*put it at .*weights\.pth"):
        get(closed_url(), tmp_path)
    assert names(tmp_path) == []


def test_without_a_network_a_file_that_is_there_is_used(tmp_path):
    (tmp_path / "weights.pth").write_bytes(DATA)
    assert get(closed_url(), tmp_path) == tmp_path / "weights.pth"


@pytest.mark.parametrize(("path", "behaviour"), [("/other.pth", []), ("/weights.pth", ["short"])])
def test_another_or_a_cut_off_file_is_removed(path, behaviour, server, tmp_path):
    server.behaviour = behaviour
    with pytest.raises(ValueError, match=r"the download was removed\. .* its sha256 begins with \w{8}, not"):
        get(f"{server.url}{path}", tmp_path)
    assert names(tmp_path) == []


def test_a_wrong_file_in_the_folder_is_removed_and_downloaded_again(server, tmp_path, caplog):
    (tmp_path / "weights.pth").write_bytes(DATA[:-1])
    assert get(f"{server.url}/weights.pth", tmp_path).read_bytes() == DATA
    assert "not the published file: its sha256 begins with" in caplog.text


def test_ctrl_c_leaves_nothing(server, tmp_path):
    def press(path):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fetch(f"{server.url}/weights.pth", tmp_path, press)
    assert names(tmp_path) == []


def test_other_hashes_and_their_beginnings_are_known(tmp_path):
    (tmp_path / "file").write_bytes(b"")
    check_hash(tmp_path / "file", "md5:d41d8c")
    check_hash(tmp_path / "file", "sha256:e3b0c442")
    with pytest.raises(ValueError, match="its md5 begins with d41d8c, not d41d8d"):
        check_hash(tmp_path / "file", "md5:d41d8d")
