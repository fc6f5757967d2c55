"""What a CVAT server and nuclio do around a serverless function, as far as the function sees it.

nuclio: `NuclioServer` calls a handler for each request over HTTP, with the JSON as the event's body. CVAT: `shapes_of`
makes shapes for the database of an answer, as its `DetectionResultConverter` does, which is not to be had as a package.
"""

import contextlib
import dataclasses
import itertools
import json
import logging
import threading
import types
import urllib.request
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from server_thread import in_thread


@dataclasses.dataclass
class Response:
    """nuclio's."""

    body: str
    headers: dict
    content_type: str
    status_code: int


def new_context():
    """What nuclio hands to `init_context` and to `handler`."""
    return types.SimpleNamespace(
        user_data=types.SimpleNamespace(), logger=logging.getLogger("nuclio"), Response=Response
    )


@contextlib.contextmanager
def serving(handler, context):
    """Yield the address at which a handler answers, one request at a time as a worker does."""
    worker = threading.Lock()

    class Requests(BaseHTTPRequestHandler):
        def do_POST(self):
            body = self.rfile.read(int(self.headers["Content-Length"]))
            if self.headers["Content-Type"] == "application/json":
                body = json.loads(body)
            with worker:
                answer = handler(context, types.SimpleNamespace(body=body))
            content = answer.body.encode()
            self.send_response(answer.status_code)
            self.send_header("Content-Type", answer.content_type)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *message):
            pass

    with in_thread(ThreadingHTTPServer(("127.0.0.1", 0), Requests)) as server:
        yield f"http://127.0.0.1:{server.server_port}"


def post(address, payload):
    """Send a request as CVAT's lambda manager does; return status and content."""
    request = urllib.request.Request(
        address, json.dumps(payload).encode(), {"Content-Type": "application/json"}
    )
    try:
        with urllib.request.urlopen(request, timeout=60) as answer:
            return answer.status, json.loads(answer.read())
    except urllib.error.HTTPError as error:
        return error.code, json.loads(error.read())


def shapes_of(answer, labels, conv_mask_to_poly=False):
    """The shapes of an answer for a task whose labels are those of a function's description, by their names."""
    found = []
    for item in answer:
        label = next(one for one in labels if one["name"] == item["label"])
        shape = {"type": item["type"], "label": item["label"], "points": item.get("points", [])}
        if item["type"] == "mask" and not (conv_mask_to_poly and "points" in item):
            *pixels, x1, y1, x2, y2 = item["mask"]
            runs = [len(list(group)) for _, group in itertools.groupby(pixels)]
            shape["points"] = [*([0] if pixels[0] else []), *runs, x1, y1, x2, y2]
        elif item["type"] == "mask":
            shape["type"] = "polygon"
        elif item["type"] == "skeleton":
            elements = {one["label"]: one for one in item["elements"]}
            shape["elements"] = [elements[one["name"]] for one in label["sublabels"]]
        found.append(shape)
    return found
