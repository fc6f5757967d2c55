"""A server on this machine that sends files whole, cut off, or not at all."""

import contextlib
import http.server

from server_thread import in_thread


class FileServer:
    """Sends `content` by path; `behaviour` says, request by request, how: afterwards all are sent whole.

    "cut" announces the whole file and sends half of it, "short" does not announce and sends half, a number is a status.
    """

    def __init__(self, content, port):
        self.content, self.behaviour, self.requests = content, [], []
        self.url = f"http://127.0.0.1:{port}"

    def answer(self, handler):
        self.requests.append(handler.path)
        how = self.behaviour.pop(0) if self.behaviour else "whole"
        data = self.content.get(handler.path)
        status = how if isinstance(how, int) else 404 if data is None else 200
        handler.send_response(status)
        if status == 200 and how != "short":
            handler.send_header("Content-Length", str(len(data)))
        handler.end_headers()
        if status == 200:
            handler.wfile.write(data if how == "whole" else data[: len(data) // 2])


@contextlib.contextmanager
def serving(content):
    """A FileServer that runs in the block."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            files.answer(self)

        def log_message(self, *_):
            pass

    with in_thread(http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)) as server:
        files = FileServer(content, server.server_port)
        yield files


def closed_url():
    """A URL on this machine that nobody listens to."""
    with serving({}) as files:
        return f"{files.url}/weights.pth"
