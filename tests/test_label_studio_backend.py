"""The ML backend of samples/label_studio, called as Label Studio calls it: over HTTP, with images that it serves."""

import contextlib
import io
import json
import urllib.error
import urllib.request
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import keras
import numpy as np
import pytest
from examples import TINY
from PIL import Image
from pycocotools import mask as coco_mask
from server_thread import in_thread

import keras_maskrcnn as km
from keras_maskrcnn.data.formats.brush_rle import decode_brush
from samples import sample

backend = sample("label_studio/backend.py")
HEIGHT, WIDTH = 40, 60
UPLOADED = "/data/upload/1/0a1b2c3d-a.png"
CONFIG = """
<View>
  <Image name="photo" value="$picture"/>
  {tags}
</View>
"""
BRUSH = '<BrushLabels name="stroke" toName="photo"><Label value="nut"/><Label value="bolt"/></BrushLabels>'
POLYGON = '<PolygonLabels name="ring" toName="photo"><Label value="nut"/></PolygonLabels>'
RECTANGLE = '<RectangleLabels name="box" toName="photo"><Label value="nut"/></RectangleLabels>'
POINTS = '<KeyPointLabels name="point" toName="photo"><Label value="head"/></KeyPointLabels>'


def drawn():
    """A nut with a hole and a second part, and a bolt."""
    made = np.zeros((2, HEIGHT, WIDTH), bool)
    made[0, 5:20, 10:30], made[0, 10:12, 15:18], made[0, 30:33, 40:44] = True, False, True
    made[1, 2:4, 50:58] = True
    return made


DRAWN = drawn()


class Model:
    """Finds the same in every image, once it has opened it."""

    def __init__(self, **fields):
        self.fields = fields

    def detect(self, images, score_threshold, masks):
        self.seen = [
            np.asarray(Image.open(io.BytesIO(image) if isinstance(image, bytes) else image))
            for image in images
        ]
        rles = [
            {"size": rle["size"], "counts": rle["counts"].decode()}
            for rle in coco_mask.encode(np.asfortranarray(DRAWN.transpose(1, 2, 0), np.uint8))
        ]
        found = km.Detections(
            boxes=[[10, 5, 44, 33], [50, 2, 58, 4]],
            scores=[0.9, 0.7],
            class_ids=[1, 2],
            class_names=["nut", "bolt"],
            height=HEIGHT,
            width=WIDTH,
            masks=rles,
            **self.fields,
        )
        return [found[found.scores >= score_threshold]]


def png():
    file = io.BytesIO()
    Image.fromarray(np.full((HEIGHT, WIDTH, 3), 77, np.uint8)).save(file, "PNG")
    return file.getvalue()


def post(address, path, content):
    """The status and the answer to a request as Label Studio's ml/api_connector.py sends it."""
    data = content if isinstance(content, bytes) else json.dumps(content).encode()
    request = urllib.request.Request(address + path, data, {"Content-Type": "application/json"})
    try:
        with urllib.request.urlopen(request) as answer:
            return answer.status, json.loads(answer.read())
    except urllib.error.HTTPError as error:
        return error.code, json.loads(error.read())


def set_up(address, hostname, token="0a1b"):
    request = {
        "project": "3.17",
        "schema": "",
        "hostname": hostname,
        "access_token": token,
        "extra_params": None,
    }
    return post(address, "/setup", request)


def predict(address, *images, tags=BRUSH):
    tasks = [
        {"id": number, "data": {"picture": image}, "project": 3, "annotations": [], "predictions": []}
        for number, image in enumerate(images, start=1)
    ]
    params = {"login": None, "password": None, "context": None}
    config = CONFIG.format(tags=tags)
    return post(
        address, "/predict", {"tasks": tasks, "project": "3.17", "label_config": config, "params": params}
    )


class LabelStudio(ThreadingHTTPServer):
    """What serves uploaded images and exchanges tokens in Label Studio's place, and keeps the tokens it gets."""

    def __init__(self):
        self.files = {UPLOADED: png(), "/data/no.png": b"text"}
        self.tokens = []
        super().__init__(("127.0.0.1", 0), Request)
        self.url = f"http://127.0.0.1:{self.server_address[1]}"


class Request(BaseHTTPRequestHandler):
    def do_GET(self):
        self.server.tokens.append(self.headers.get("Authorization"))
        if self.path.startswith("/bucket?to="):
            self.send_response(302)
            self.send_header("Location", self.path.partition("=")[2])
            self.end_headers()
        elif self.path in self.server.files:
            self.answer(self.server.files[self.path])
        else:
            self.send_error(404)

    def do_POST(self):
        content = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        assert (self.path, content) == ("/api/token/refresh/", {"refresh": "a.b.c"})
        self.answer(b'{"access": "d.e.f"}')

    def answer(self, content):
        self.send_response(200)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *_):
        pass


@contextlib.contextmanager
def running(one):
    """The address of a backend that runs in the block."""
    with in_thread(ThreadingHTTPServer(("127.0.0.1", 0), backend.handler(one))) as server:
        yield f"http://127.0.0.1:{server.server_address[1]}"


@pytest.fixture
def label_studio():
    with in_thread(LabelStudio()) as server:
        yield server


def test_it_says_that_it_is_there_and_which_model_it_is():
    with running(backend.Backend(Model(), "best")) as address:
        with urllib.request.urlopen(f"{address}/health") as answer:
            assert json.loads(answer.read())["status"] == "UP"
        with urllib.request.urlopen(f"{address}/versions?project=3.17") as answer:
            assert json.loads(answer.read()) == {"versions": ["best"]}
        assert set_up(address, "http://127.0.0.1:1") == (200, {"model_version": "best"})
        assert post(address, "/webhook", {"action": "START_TRAINING", "project": {}}) == (200, {})


def test_masks_become_brush_strokes(label_studio):
    model = Model()
    with running(backend.Backend(model, "best")) as address:
        set_up(address, label_studio.url)
        status, answer = predict(address, UPLOADED)
    assert status == 200 and answer["model_version"] == "best"
    (prediction,) = answer["results"]
    assert prediction["score"] == pytest.approx(0.8) and prediction["model_version"] == "best"
    assert [result["value"]["brushlabels"] for result in prediction["result"]] == [["nut"], ["bolt"]]
    assert [result["score"] for result in prediction["result"]] == pytest.approx([0.9, 0.7])
    for result, mask in zip(prediction["result"], DRAWN, strict=True):
        np.testing.assert_array_equal(decode_brush(result["value"]["rle"], HEIGHT, WIDTH), mask)
        assert (result["from_name"], result["to_name"], result["type"]) == ("stroke", "photo", "brushlabels")
        assert (result["original_width"], result["original_height"]) == (WIDTH, HEIGHT)
    assert len({result["id"] for result in prediction["result"]}) == 2
    assert (model.seen[0] == 77).all()
    assert label_studio.tokens[-1] == "Token 0a1b"


def test_of_a_polygon_each_part_is_one_and_other_classes_are_left_out(label_studio, caplog):
    with running(backend.Backend(Model(), "best")) as address:
        set_up(address, label_studio.url)
        _, answer = predict(
            address, UPLOADED, tags=POLYGON + BRUSH.replace("nut", "washer").replace("bolt", "gear")
        )
    results = answer["results"][0]["result"]
    assert [result["type"] for result in results] == ["polygonlabels"] * 2
    corners = [
        sorted(map(tuple, np.round(np.multiply(r["value"]["points"], [0.6, 0.4]), 6))) for r in results
    ]
    assert corners[0] == [(10, 5), (10, 20), (30, 5), (30, 20)]
    assert corners[1] == [(40, 30), (40, 33), (44, 30), (44, 33)]
    assert len({result["id"] for result in results}) == 2
    assert "the labelling config has no label bolt for a mask: left out" in caplog.text


def test_the_config_decides_what_objects_become(label_studio):
    with running(backend.Backend(Model(), "best")) as address:
        set_up(address, label_studio.url)
        types = [
            [result["type"] for result in predict(address, UPLOADED, tags=tags)[1]["results"][0]["result"]]
            for tags in (BRUSH + POLYGON, POLYGON + BRUSH, RECTANGLE + BRUSH, RECTANGLE)
        ]
    assert types == [
        ["brushlabels"] * 2,
        ["polygonlabels", "polygonlabels", "brushlabels"],
        ["brushlabels"] * 2,
        ["rectanglelabels"],
    ]


def test_keypoints_are_nested_in_their_objects(label_studio):
    points = np.array([[[12, 10, 0.9], [20, 15, 0.8]], [[52, 3, 0.9], [55, 3, 0.9]]], float) + [0.5, 0.5, 0]
    model = Model(keypoints=points, keypoint_names=("head", "tail"), keypoint_offset=0.5)
    with running(backend.Backend(model, "best")) as address:
        set_up(address, label_studio.url)
        _, answer = predict(address, UPLOADED, tags=BRUSH + POINTS)
    nut, head, bolt, other = answer["results"][0]["result"]
    assert (head["type"], head["from_name"], head["parentID"]) == ("keypointlabels", "point", nut["id"])
    assert (other["parentID"], other["value"]["keypointlabels"]) == (bolt["id"], ["head"])
    np.testing.assert_allclose([head["value"]["x"], head["value"]["y"]], [20, 25], atol=1e-4)


def test_objects_below_the_score_are_left_out(label_studio):
    with running(backend.Backend(Model(), "best", score=0.95)) as address:
        set_up(address, label_studio.url)
        _, answer = predict(address, UPLOADED)
    assert answer["results"] == [{"result": [], "score": 0.0, "model_version": "best"}]


def test_a_task_without_an_image_has_no_prediction_and_others_have(label_studio, caplog):
    with running(backend.Backend(Model(), "best")) as address:
        set_up(address, label_studio.url)
        status, answer = predict(address, "/data/gone.png", UPLOADED)
        assert status == 200 and answer["results"][0] == [] and len(answer["results"][1]["result"]) == 2
        assert "task 1: " in caplog.text and "404" in caplog.text
        status, answer = predict(address, "/data/gone.png", "s3://bucket/a.png")
        assert status == 500 and "/data/gone.png: 404" in answer["error"]
        assert "s3://bucket/a.png cannot be fetched" in answer["error"]
        assert predict(address, "/data/no.png")[0] == 500


def test_the_token_goes_to_label_studio_alone(label_studio):
    with running(backend.Backend(Model(), "best")) as address:
        set_up(address, "http://127.0.0.1:1")
        assert predict(address, label_studio.url + UPLOADED)[0] == 200
        assert label_studio.tokens[-1] is None
    given = backend.Backend(Model(), "best", url=label_studio.url + "/", token="mine")
    with running(given) as address:
        set_up(
            address, "http://127.0.0.1:1", token="theirs"
        )  # nobody can lead a token that was given elsewhere
        assert predict(address, UPLOADED)[0] == 200
        assert label_studio.tokens[-1] == "Token mine"


def test_a_personal_access_token_is_exchanged(label_studio):
    with running(backend.Backend(Model(), "best", url=label_studio.url, token="a.b.c")) as address:
        assert predict(address, UPLOADED)[0] == 200
    assert label_studio.tokens == ["Bearer d.e.f"]


def test_a_redirect_to_a_bucket_is_followed_without_the_token(label_studio):
    with in_thread(LabelStudio()) as bucket, running(backend.Backend(Model(), "best")) as address:
        set_up(address, label_studio.url)
        assert predict(address, f"/bucket?to=http://localhost:{bucket.server_address[1]}{UPLOADED}")[0] == 200
        assert label_studio.tokens == ["Token 0a1b"] and bucket.tokens == [None]


def test_local_files_are_read_from_the_disk(tmp_path):
    (tmp_path / "root" / "scans").mkdir(parents=True)
    for place in ("root/scans/a b.png", "outside.png"):
        (tmp_path / place).write_bytes(png())
    with running(backend.Backend(Model(), "best", root=tmp_path / "root")) as address:
        assert len(predict(address, "/data/local-files/?d=scans/a%20b.png")[1]["results"][0]["result"]) == 2
        status, answer = predict(address, "/data/local-files/?d=../outside.png")
        assert status == 500 and "leads out of" in answer["error"]
        status, answer = predict(address, UPLOADED)
        assert status == 500 and "whose address is not known: --url" in answer["error"]


def test_malformed_requests_are_refused():
    with running(backend.Backend(Model(), "best")) as address:
        assert post(address, "/train", {})[0] == 404
        assert post(address, "/predict", [])[0] == 404
        assert post(address, "/predict", {"tasks": []}) == (
            404,
            {"error": "what there is has no 'label_config'"},
        )
        assert post(address, "/predict", b"{")[0] == 500
        status, answer = post(address, "/predict", {"tasks": [], "label_config": "<View/>"})
        assert status == 500 and answer["error"] == "the labelling config has no <Image>"


def test_a_real_model_answers(label_studio, tmp_path):
    keras.utils.set_random_seed(0)
    model = km.MaskRCNN(TINY)
    with running(backend.Backend(model, "tiny", score=0.0)) as address:
        set_up(address, label_studio.url)
        labels = "".join(f'<Label value="{name}"/>' for name in TINY.class_names)
        tags = f'<RectangleLabels name="box" toName="photo">{labels}</RectangleLabels>'
        status, answer = predict(address, UPLOADED, tags=tags)
    assert status == 200 and answer["results"][0]["result"]
    for result in answer["results"][0]["result"]:
        assert result["original_width"] == WIDTH and result["value"]["rectanglelabels"][0] in TINY.class_names
