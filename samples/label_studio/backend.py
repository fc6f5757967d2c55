"""A model behind Label Studio: an ML backend that proposes regions, to be corrected there.

    python samples/label_studio/backend.py runs/parts/best.keras --port 9090

Then add http://127.0.0.1:9090 to the project (Settings, Model) and choose "Retrieve Predictions" for its tasks;
docs/label-tools.md has every step. Objects become what the project's labelling config has for their class: brush
strokes or polygons, whichever comes first (a polygon for each part of a mask, without its holes), or else rectangles.
Keypoints are nested in their objects. Classes that the config lacks are left out, and logged.

This is the interface that Label Studio calls (/health, /setup, /predict, /webhook) and no more: there is no login, so
let nobody but Label Studio reach the port.
"""

import argparse
import json
import logging
import os
import threading
import urllib.error
import urllib.parse
import urllib.request
import xml.etree.ElementTree as ElementTree
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pycocotools.mask as coco_mask
from scipy import ndimage

import keras_maskrcnn as km

log = logging.getLogger("backend")
KINDS = {
    "BrushLabels": "brush",
    "PolygonLabels": "polygon",
    "RectangleLabels": "rectangle",
    "KeyPointLabels": "keypoint",
}
"""The tags of a labelling config that can be filled, and what regions of theirs are."""
SECONDS = 30
"""Within which an image must come."""


class Labels:
    """A labelling config: which tag shows the image, and which tag takes a class as what kind of region."""

    def __init__(self, xml):
        root = ElementTree.fromstring(xml)
        image = next(root.iter("Image"), None)
        if image is None:
            raise ValueError("the labelling config has no <Image>")
        self.image = image.get("name")
        self.key = image.get("value", "").removeprefix("$")
        self.tags = [
            (KINDS[tag.tag], tag.get("name"), {label.get("value") for label in tag.iter("Label")})
            for tag in root.iter()
            if tag.tag in KINDS and tag.get("toName") == self.image
        ]

    def tag(self, name, *kinds):
        """The (kind, name) of the first tag of these kinds that has a label of this name; None if none has."""
        return next(((kind, tag) for kind, tag, names in self.tags if kind in kinds and name in names), None)


class Backend:
    """A model, and from where its images come.

    Args:
        model: a MaskRCNN.
        version: what its predictions are called.
        score: detections below it are left out.
        url, token: of Label Studio; left out: what it says itself when it connects.
        root: the folder of "local files", which are then read from the disk; left out: they are fetched.
    """

    def __init__(self, model, version, score=0.5, url=None, token=None, root=None):
        self.model, self.version, self.score, self.root = model, version, score, root
        self.given = (url.rstrip("/"), token) if url else None
        self.told = {}
        self.lock = threading.Lock()  # one detection at a time; meanwhile /health answers

    def health(self, request):
        return {"status": "UP", "model_class": "MaskRCNN"}

    def setup(self, request):
        """Remember where a project's Label Studio is, and say which model this is."""
        if request.get("hostname"):
            self.told[request.get("project")] = request["hostname"].rstrip("/"), request.get("access_token")
        return {"model_version": self.version}

    def versions(self, request):
        return {"versions": [self.version]}

    def webhook(self, request):
        log.info("%s: nothing is trained here; maskrcnn train reads an export", request.get("action"))
        return {}

    def predict(self, request):
        """The predictions of tasks; one of which the image cannot be had gets none, and it is an error if none can."""
        labels = Labels(request["label_config"])
        source = self.given or self.told.get(request.get("project"))
        results, errors = [], []
        for task in request["tasks"]:
            try:
                results.append(self.prediction(task, labels, source))
            except (ValueError, OSError) as error:
                errors.append(f"task {task.get('id')}: {error}")
                results.append([])
        for error in errors:
            log.error(error)
        if errors and len(errors) == len(results):
            raise ValueError("; ".join(errors))
        return {"results": results, "model_version": self.version}

    def prediction(self, task, labels, source):
        """What the model finds in the image of a task, as regions of the project."""
        reference = task["data"].get(labels.key)
        if not isinstance(reference, str):
            raise ValueError(f"its data has no image under {labels.key!r}")
        image = self.image(reference, source)
        with self.lock:
            (found,) = self.model.detect([image], score_threshold=self.score, masks="rle")
        results = [result for row in range(len(found)) for result in regions(found[row], row, labels)]
        score = float(found.scores.mean()) if len(found) else 0.0
        return {"result": results, "score": score, "model_version": self.version}

    def image(self, reference, source):
        """The file, or its bytes, of an image that a task names."""
        parts = urllib.parse.urlsplit(reference)
        if self.root is not None and parts.path.rstrip("/").endswith("/data/local-files"):
            path = (self.root / urllib.parse.parse_qs(parts.query)["d"][0]).resolve()
            if not path.is_relative_to(self.root.resolve()):
                raise ValueError(f"{reference} leads out of {self.root}")
            return path
        if not parts.scheme and source is None:
            raise ValueError(f"{reference} is a file of Label Studio, whose address is not known: --url")
        url = reference if parts.scheme else f"{source[0]}/{reference.lstrip('/')}"
        if urllib.parse.urlsplit(url).scheme not in ("http", "https"):
            raise ValueError(f"{reference} cannot be fetched; Label Studio must give it a web address")
        own = source is not None and url.startswith(f"{source[0]}/")  # nobody else may get the token
        return fetch(url, authorization(*source) if own and source[1] else {})


def regions(found, row, labels):
    """One detection as the results of a project; none if the project has no such class."""
    name, mask = found.class_names[0], None if found.masks is None else found.masks[0]
    tag = (labels.tag(name, "brush", "polygon") if mask else None) or labels.tag(name, "rectangle")
    if tag is None:
        log.warning(
            "the labelling config has no label %s for a %s: left out", name, "mask" if mask else "box"
        )
        return []
    masks = None if tag[0] == "rectangle" else [mask] if tag[0] == "brush" else simple_parts(mask)
    if masks is not None and not all(map(coco_mask.area, masks)):
        return []  # a mask without a pixel
    count = 1 if masks is None else len(masks)
    record = km.make_record(
        np.zeros((found.height, found.width), np.uint8),  # its size alone counts
        boxes=found.boxes if masks is None else None,
        masks=masks,
        class_ids=[1] * count,
        keypoints=points_of(found, count),
        image_id=row,
    )
    shapes = "brush" if tag[0] == "brush" else "polygon"
    results = km.label_studio_results(
        record,
        [name],
        np.repeat(found.scores, count),
        regions=shapes,
        keypoint_names=found.keypoint_names or None,
    )
    return [result for result in results if renamed(result, f"{row + 1}", tag, labels)]


def renamed(result, own, tag, labels):
    """Give a result the project's names, and an id of its own; False if the project has no such keypoint."""
    if result["type"] == "keypointlabels":
        tag = labels.tag(result["value"]["keypointlabels"][0], "keypoint")
    if tag is not None:
        result.update(from_name=tag[1], to_name=labels.image)
        result.update({key: f"{own}-{result[key]}" for key in ("id", "parentID") if key in result})
    return tag is not None


def simple_parts(rle):
    """The parts of a mask as RLEs, each without its holes: what polygons can say."""
    names, count = ndimage.label(ndimage.binary_fill_holes(coco_mask.decode(rle)))
    parts = [coco_mask.encode(np.asfortranarray(names == number, np.uint8)) for number in range(1, count + 1)]
    return parts or [rle]


def points_of(found, count):
    """The keypoints of the first of so many parts of a detection, all visible; None if it has none."""
    if found.keypoints is None:
        return None
    points = np.zeros((count, *found.keypoints.shape[1:]))
    points[0, :, :2], points[0, :, 2] = found.keypoints[0, :, :2] - found.keypoint_offset, 2
    return points


def authorization(url, token):
    """The header by which Label Studio knows who asks; a personal access token is exchanged for one of minutes."""
    if token.count(".") != 2:
        return {"Authorization": f"Token {token}"}
    content = json.dumps({"refresh": token}).encode()
    answer = json.loads(fetch(f"{url}/api/token/refresh/", {"Content-Type": "application/json"}, content))
    return {"Authorization": f"Bearer {answer['access']}"}


class Redirects(urllib.request.HTTPRedirectHandler):
    """Follows to where a bucket has an image, but leaves the token behind: it is for Label Studio alone."""

    def redirect_request(self, request, *answer):
        following = super().redirect_request(request, *answer)
        if following is not None and following.host != request.host:
            following.remove_header("Authorization")
        return following


def fetch(url, headers, content=None):
    """The bytes behind a web address."""
    opener = urllib.request.build_opener(Redirects)
    try:
        with opener.open(urllib.request.Request(url, content, headers), timeout=SECONDS) as answer:
            return answer.read()
    except urllib.error.HTTPError as error:
        raise ValueError(f"{url}: {error.code} {error.reason}; is the token right?") from None
    except (urllib.error.URLError, TimeoutError) as error:
        raise ValueError(f"{url}: {error}") from None


def handler(backend):
    """What answers the requests to a backend."""
    answers = {
        "/": backend.health,
        "/health": backend.health,
        "/setup": backend.setup,
        "/predict": backend.predict,
        "/versions": backend.versions,
        "/webhook": backend.webhook,
    }

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            self.answer()

        def do_POST(self):
            self.answer()

        def answer(self):
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            path = self.path.partition("?")[0]
            try:
                request = json.loads(body or b"{}")
                if path not in answers or not isinstance(request, dict):
                    raise LookupError(f"{path} with an object")
                status, content = 200, answers[path](request)
            except LookupError as error:
                status, content = 404, {"error": f"what there is has no {error}"}
            except (ValueError, ElementTree.ParseError) as error:
                status, content = 500, {"error": str(error)}
            data = json.dumps(content).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        def log_message(self, text, *values):
            log.info(text, *values)

    return Handler


def main():
    parser = argparse.ArgumentParser(description="An ML backend for Label Studio.")
    parser.add_argument("model", help="a .keras file, or the name of a published model")
    parser.add_argument(
        "--host", default="127.0.0.1", help="0.0.0.0 lets other machines call (default: %(default)s)"
    )
    parser.add_argument("--port", type=int, default=9090)
    parser.add_argument("--score", type=float, default=0.5, help="the least score (default: %(default)s)")
    parser.add_argument(
        "--url",
        default=os.environ.get("LABEL_STUDIO_URL"),
        help="of Label Studio, for which LABEL_STUDIO_API_KEY is an access token (default: as it says itself)",
    )
    parser.add_argument(
        "--root", type=Path, metavar="DIR", help="its LABEL_STUDIO_LOCAL_FILES_DOCUMENT_ROOT, if it is here"
    )
    args = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(name)s: %(message)s")
    is_file = args.model.endswith(".keras")
    model = km.load_model(args.model) if is_file else km.load_pretrained(args.model)
    version = Path(args.model).stem
    backend = Backend(model, version, args.score, args.url, os.environ.get("LABEL_STUDIO_API_KEY"), args.root)
    server = ThreadingHTTPServer((args.host, args.port), handler(backend))
    log.info("%s at http://%s:%d", version, *server.server_address[:2])
    server.serve_forever()


if __name__ == "__main__":
    main()
