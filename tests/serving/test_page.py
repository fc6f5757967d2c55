"""The demo's page on 127.0.0.1, asked by Gradio's own client."""

import json
import socket
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from made_up_engine import made_up
from page_server import served_page
from PIL import Image

pytest.importorskip("gradio")
pytest.importorskip("gradio_client")
pytest.importorskip("httpx")
import gradio_client
import httpx

from keras_maskrcnn.config.config import Config
from keras_maskrcnn.serving.requests import Limits
from keras_maskrcnn.serving.thumbnails import MOST, make_thumbnails

SETTINGS = (0.05, 5, "auto", "auto", "auto", False)
"""Score threshold, most detections, labels, boxes, colours, outlines."""


@pytest.fixture(scope="module")
def page(tmp_path_factory):
    """The URL, the engine behind it, the names that were looked up, and the folder of uploads and results."""
    folder = tmp_path_factory.mktemp("page")
    looked_up, find = set(), socket.getaddrinfo
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(
            socket, "getaddrinfo", lambda host, *rest, **k: looked_up.add(host) or find(host, *rest, **k)
        )
        model, engine = made_up(folder, patch)
        example = write_image(folder, "example.png")
        examples = make_thumbnails([example], model.config, folder)
        cache = folder / "cache"
        with served_page(
            cache,
            model,
            "made up",
            limits=Limits(bytes=5000, pixels=4000),
            score_threshold=0.5,
            examples=examples,
        ) as url:
            yield url, engine, looked_up, cache


@pytest.fixture
def client(page, tmp_path):
    return gradio_client.Client(
        page[0], verbose=False, download_files=str(tmp_path / "client"), analytics_enabled=False
    )


def write_image(folder, name="gray.png", height=32, width=48):
    Image.fromarray(np.full((height, width, 3), 100, np.uint8)).save(folder / name)
    return folder / name


def upload(url, file):
    """Upload a file as the page does; return the path that it is given."""
    response = httpx.post(f"{url}gradio_api/upload", files={"files": (file.name, file.read_bytes())})
    response.raise_for_status()
    return response.json()[0]


def call(url, path):
    """Ask for detections in a path of the server's; return the answer, a stream of events."""
    data = [{"path": str(path), "meta": {"_type": "gradio.FileData"}}, *SETTINGS]
    event = httpx.post(f"{url}gradio_api/call/detect", json={"data": data}).json()["event_id"]
    return httpx.get(f"{url}gradio_api/call/detect/{event}", timeout=60).text


def detect(client, path, *settings):
    return client.predict(gradio_client.handle_file(str(path)), *(settings or SETTINGS), api_name="/detect")


def test_nothing_is_asked_of_other_machines(page, tmp_path):
    """Before any other test, because Gradio's client does ask others."""
    path = upload(page[0], write_image(tmp_path))
    assert "<b>2 objects</b>" in call(page[0], path)
    assert {str(host) for host in page[2]} <= {"127.0.0.1", "localhost"}


def test_an_image_in_and_all_that_the_page_shows_out(client, tmp_path):
    summary, table, coco, labels, drawn, png = detect(client, write_image(tmp_path))
    assert "<b>2 objects</b> (1 square, 1 circle) in gray.png, 48 x 32 pixels, in " in summary
    assert table["headers"] == ["class", "score", "area", "x1", "y1", "x2", "y2", "label"]
    assert table["data"][0][:4] == ["square", 0.9, 192, 4]
    with open(coco["value"] if isinstance(coco, dict) else coco) as file:
        assert [row["category_name"] for row in json.load(file)] == ["square", "circle"]
    assert np.asarray(Image.open(labels["value"] if isinstance(labels, dict) else labels)).max() == 2
    assert Image.open(drawn).size == (48, 32)
    assert Image.open(png["value"] if isinstance(png, dict) else png).size == (48, 32)


def test_what_is_no_image_is_told_where_the_summary_is(client, tmp_path):
    (tmp_path / "<b>text.txt").write_text("this is no image")
    summary, table, *_, drawn, _ = detect(client, tmp_path / "<b>text.txt")
    assert summary.startswith('<p role="alert">') and "the image cannot be read: this is no image" in summary
    assert "<b>" not in summary and str(tmp_path) not in summary
    assert drawn is None and table["data"] in ([], [[""] * 8])


def test_an_image_of_too_many_pixels_is_told(client, tmp_path):
    summary, *_ = detect(client, write_image(tmp_path, height=50, width=90))
    assert "the image has 90 x 50 pixels, more than 4000" in summary


def test_a_file_of_too_many_bytes_is_not_taken(page, tmp_path):
    (tmp_path / "large.png").write_bytes(bytes(5001))
    with pytest.raises(httpx.HTTPStatusError, match="413"):
        upload(page[0], tmp_path / "large.png")
    assert not list(page[3].rglob("large.png"))


@pytest.mark.parametrize("path", ["http://example.invalid/a.png", "https://127.0.0.1:9/a.png", __file__])
def test_no_url_is_fetched_and_no_other_file_read(page, path):
    answer = call(page[0], path)
    assert answer.startswith("event: error") and "no other is read" in answer
    assert "example.invalid" not in page[2]


def test_detections_run_one_at_a_time(page, tmp_path, monkeypatch):
    running, most = [], []
    lock, call = threading.Lock(), type(page[1]).__call__

    def slow(self, inputs):
        with lock:
            running.append(1)
            most.append(len(running))
        time.sleep(0.1)
        with lock:
            running.pop()
        return call(self, inputs)

    monkeypatch.setattr(type(page[1]), "__call__", slow)
    path = write_image(tmp_path)
    clients = [gradio_client.Client(page[0], verbose=False, analytics_enabled=False) for _ in range(3)]
    with ThreadPoolExecutor(3) as pool:
        results = list(pool.map(lambda client: detect(client, path), clients))
    assert len(results) == 3 and max(most) == 1


def test_a_browser_is_told_to_load_nothing_from_elsewhere(page):
    response = httpx.get(page[0])
    policy = response.headers["content-security-policy"]
    assert policy.startswith("default-src 'self' data: blob:;") and "http" not in policy
    assert "made up: try it" in response.text


def test_uploads_and_results_are_in_the_folder_that_is_removed_with_the_server(page, client, tmp_path):
    detect(client, write_image(tmp_path, "mine.png"))
    names = {path.name for path in page[3].rglob("mine*")}
    assert names == {"mine.png", "mine_detections.png", "mine_detections.json", "mine_labels.tif"}


def test_examples_of_any_kind_have_small_images(tmp_path):
    Image.fromarray(np.linspace(0, 3000, 600 * 400).astype(np.uint16).reshape(400, 600)).save(
        tmp_path / "deep.tif"
    )
    ((path, small),) = make_thumbnails([tmp_path / "deep.tif"], Config(class_names=("a",)), tmp_path)
    shown = np.asarray(Image.open(small))
    assert path == tmp_path / "deep.tif" and shown.shape == (171, 256, 3) and shown.max() > 200


def test_too_many_examples_are_refused_and_so_is_one_that_is_no_image(tmp_path):
    config = Config(class_names=("a",))
    with pytest.raises(ValueError, match=f"there are {MOST + 1} examples, and the page shows at most {MOST}"):
        make_thumbnails([tmp_path / "a.png"] * (MOST + 1), config, tmp_path)
    (tmp_path / "a.png").write_text("none")
    with pytest.raises(ValueError, match=r"a.png: the image cannot be read"):
        make_thumbnails([tmp_path / "a.png"], config, tmp_path)
