import io
import threading

import numpy as np
import pycocotools.mask as coco_mask
import pytest
from made_up_engine import made_up
from PIL import Image

pytest.importorskip("starlette")
pytest.importorskip("httpx")
pytest.importorskip("prometheus_client")
from starlette.testclient import TestClient

from keras_maskrcnn.serving.app import make_app
from keras_maskrcnn.serving.requests import Limits


def encoded(height=32, width=48, kind="png"):
    file = io.BytesIO()
    Image.fromarray(np.full((height, width, 3), 100, np.uint8)).save(file, kind)
    return file.getvalue()


@pytest.fixture
def served(tmp_path, monkeypatch):
    """A client of the server, and the engine behind it."""
    model, engine = made_up(tmp_path, monkeypatch)
    with TestClient(make_app(model, Limits(bytes=5000, pixels=4000), batch_wait=0.05)) as client:
        yield client, engine


@pytest.mark.parametrize("kind", ["png", "jpeg", "bmp"])
def test_an_image_in_and_its_detections_out(served, kind):
    client, _ = served
    response = client.post("/detect", content=encoded(kind=kind))
    assert response.status_code == 200
    content = response.json()
    assert (content["width"], content["height"]) == (48, 32)
    first, second = content["detections"]
    assert first["box"] == [4, 4, 16, 20] and first["score"] == 0.9
    assert (first["class_id"], first["class_name"], second["class_name"]) == (2, "square", "circle")
    mask = coco_mask.decode({**first["segmentation"], "counts": first["segmentation"]["counts"].encode()})
    assert mask.shape == (32, 48) and mask.sum() == 16 * 12


def test_a_threshold_and_no_masks_can_be_asked_for(served):
    client, _ = served
    (only,) = client.post("/detect?score_threshold=0.5&masks=none", content=encoded()).json()["detections"]
    assert only["score"] == 0.9 and "segmentation" not in only


@pytest.mark.parametrize(
    ("query", "content", "status", "error"),
    [
        ("", b"", 400, "the body is empty; it must be the bytes of an image file"),
        ("", b"this is no image", 400, "this is no image that can be read: image of type bytes"),
        ("", encoded()[:60], 400, "this is no image that can be read"),
        ("", b"\0" * 5001, 413, "the body has more than 5000 bytes"),
        ("", encoded(50, 90), 413, "the image has 90 x 50 pixels, more than 4000"),
        (
            "?score_threshold=much",
            encoded(),
            422,
            "score_threshold must be a number from 0.05 to 1; got 'much'",
        ),
        (
            "?score_threshold=0.01",
            encoded(),
            422,
            "score_threshold must be a number from 0.05 to 1; got '0.01'",
        ),
        ("?score_threshold=nan", encoded(), 422, "score_threshold must be a number"),
        ("?masks=png", encoded(), 422, "masks must be rle or none; got 'png'"),
        (
            "?threshold=0.5",
            encoded(),
            422,
            "there is no parameter threshold; there are score_threshold and masks",
        ),
    ],
)
def test_what_cannot_be_answered_is_refused_with_the_reason(served, query, content, status, error):
    client, engine = served
    response = client.post(f"/detect{query}", content=content)
    assert response.status_code == status and error in response.json()["error"]
    assert not engine.given  # the model has not been run


def test_images_of_one_size_that_come_together_run_together_each_with_its_own_answer(served):
    client, engine = served
    sizes, answers = [(32, 48), (40, 40), (32, 48), (20, 60), (32, 48)], {}

    def ask(number):
        answers[number] = client.post("/detect", content=encoded(*sizes[number])).json()

    threads = [threading.Thread(target=ask, args=(number,)) for number in range(len(sizes))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert all((answers[i]["height"], answers[i]["width"]) == size for i, size in enumerate(sizes))
    given = [batch["sizes"].tolist() for batch in engine.given]
    assert sum(map(len, given)) == 5 and len(given) < 5
    assert all(row == rows[0] for rows in given for row in rows)  # none is padded to another's size


def test_how_it_is(served):
    client, _ = served
    assert client.get("/health").json() == {"status": "ok"}
    assert client.get("/model").json()["class_names"] == ["circle", "square"]
    client.post("/detect", content=encoded())
    client.post("/detect", content=b"no image")
    metrics = client.get("/metrics").text
    assert 'maskrcnn_requests_total{status="200"} 1.0' in metrics
    assert 'maskrcnn_requests_total{status="400"} 1.0' in metrics
    assert "maskrcnn_request_seconds_count 2.0" in metrics and "maskrcnn_batch_images_count 1.0" in metrics
    assert client.get("/detect").status_code == 405 and client.get("/other").status_code == 404


def test_a_model_that_fails_is_no_answer_of_another_request(tmp_path, monkeypatch):
    model, _ = made_up(tmp_path, monkeypatch)

    def fail(inputs):
        raise RuntimeError("out of memory")

    model._engine = fail
    with TestClient(make_app(model, Limits()), raise_server_exceptions=False) as client:
        assert client.post("/detect", content=encoded()).status_code == 500
        assert 'maskrcnn_requests_total{status="500"} 1.0' in client.get("/metrics").text
        assert client.get("/health").status_code == 200
