"""A server on this machine that answers as the Hugging Face Hub does where models are published and fetched."""

import base64
import contextlib
import hashlib
import http.server
import json
import re

from server_thread import in_thread


class Hub:
    """Models by name, each a dict of files; `requests` are the methods and paths that were asked."""

    def __init__(self):
        self.models, self.requests = {}, []

    def revision(self, name):
        content = json.dumps(
            {path: hashlib.sha1(data).hexdigest() for path, data in self.models[name].items()}, sort_keys=True
        )
        return hashlib.sha1(content.encode()).hexdigest()

    def post(self, path, body):
        if path == "/api/repos/create":
            asked = json.loads(body)
            name = f"{asked['organization']}/{asked['name']}" if asked.get("organization") else asked["name"]
            self.models.setdefault(name, {".gitattributes": b"*.h5 filter=lfs\n"})
            return {"url": f"{self.url}/{name}", "name": name, "id": name}
        if path == "/api/validate-yaml":
            return {"errors": [], "warnings": []}
        name, action = re.fullmatch(r"/api/models/([^/]+/[^/]+)/(preupload|commit)/main", path).groups()
        if action == "preupload":
            files = json.loads(body)["files"]
            return {
                "files": [
                    {"path": file["path"], "uploadMode": "regular", "shouldIgnore": False} for file in files
                ]
            }
        for line in body.decode().splitlines():
            entry = json.loads(line)
            if entry["key"] == "file":
                value = entry["value"]
                assert value["encoding"] == "base64"
                self.models[name][value["path"]] = base64.b64decode(value["content"])
        revision = self.revision(name)
        return {"success": True, "commitOid": revision, "commitUrl": f"{self.url}/{name}/commit/{revision}"}

    def get(self, path):
        """JSON, bytes with their name and revision, or None."""
        api = re.fullmatch(r"/api/models/([^/]+/[^/]+)(/revision/[^/]+)?", path)
        if api and api[1] in self.models:
            files = [{"rfilename": file} for file in self.models[api[1]]]
            return {
                "id": api[1],
                "modelId": api[1],
                "sha": self.revision(api[1]),
                "siblings": files,
                "tags": [],
            }
        tree = re.fullmatch(r"/api/models/([^/]+/[^/]+)/tree/[^/]+", path)
        if tree and tree[1] in self.models:
            return [
                {"type": "file", "path": file, "size": len(data), "oid": hashlib.sha1(data).hexdigest()}
                for file, data in self.models[tree[1]].items()
            ]
        file = re.fullmatch(r"/([^/]+/[^/]+)/resolve/[^/]+/(.+)", path)
        if file and file[2] in self.models.get(file[1], {}):
            return self.models[file[1]][file[2]], self.revision(file[1])
        return None


@contextlib.contextmanager
def serving():
    """A Hub that runs in the block."""
    hub = Hub()

    class Handler(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self):
            path = self.path.split("?")[0]
            hub.requests.append((self.command, path))
            found = hub.get(path)
            if isinstance(found, tuple):
                data, revision = found
                etag = f'"{hashlib.sha1(data).hexdigest()}"'
                self.answer(200, data, {"ETag": etag, "X-Repo-Commit": revision})
            elif found is None:
                known = any(path.startswith(f"/{name}/") for name in hub.models)
                reason = "EntryNotFound" if known else "RepoNotFound"
                self.answer(404, b'{"error": "not found"}', {"X-Error-Code": reason})
            else:
                self.answer(200, json.dumps(found).encode(), {"Content-Type": "application/json"})

        do_HEAD = do_GET  # noqa: N815

        def do_POST(self):
            path = self.path.split("?")[0]
            hub.requests.append((self.command, path))
            answer = hub.post(path, self.rfile.read(int(self.headers.get("Content-Length", 0))))
            self.answer(200, json.dumps(answer).encode(), {"Content-Type": "application/json"})

        def answer(self, status, data, headers):
            self.send_response(status)
            for name, value in {**headers, "Content-Length": str(len(data))}.items():
                self.send_header(name, value)
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(data)

        def log_message(self, *_):
            pass

    with in_thread(http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)) as server:
        hub.url = f"http://127.0.0.1:{server.server_port}"
        yield hub
