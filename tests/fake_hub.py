"""A Hugging Face Hub on 127.0.0.1 with one small BERT, as far as `huggingface_hub` asks."""

import contextlib
import hashlib
import json

from local_server import LocalServer, QuietHandler

COMMIT = "5" * 40


def git_hash(content):
    return hashlib.sha1(b"blob %d\0" % len(content) + content).hexdigest()


class Hub(LocalServer):
    def __init__(self, files):
        self.files, self.large = dict(files), {"model.safetensors"}  # large files are listed by their sha256
        self.refuses = 0  # how many further requests get 503
        self.damages = 0  # how many further answers with weights have one wrong bit
        hub = self

        class Handler(QuietHandler):
            def do_GET(self):
                with contextlib.suppress(ConnectionError):
                    hub.answer(self)

        super().__init__(Handler)

    def answer(self, to):
        path = to.path.partition("?")[0]
        if self.refuses > 0:
            self.refuses -= 1
            return self.send(to, b"busy", 503)
        if path.startswith("/api/models/") and "/tree/" in path:
            return self.send(to, json.dumps([self.entry(*item) for item in self.files.items()]).encode())
        if path.startswith("/api/models/"):
            names = [{"rfilename": name} for name in self.files]
            return self.send(to, json.dumps({"id": "x", "sha": COMMIT, "siblings": names}).encode())
        name = path.split("/")[-1]
        if "/resolve/" not in path or name not in self.files:
            return self.send(to, b"", 404, **{"X-Error-Code": "EntryNotFound"})
        content, entry = self.files[name], self.entry(name, self.files[name])
        etag = entry["lfs"]["oid"] if "lfs" in entry else entry["oid"]
        if name in self.large and to.command == "GET" and self.damages > 0:
            self.damages -= 1
            content = content[:-1] + bytes([content[-1] ^ 1])
        return self.send(to, content, 200, **{"X-Repo-Commit": COMMIT, "ETag": f'"{etag}"'})

    def entry(self, name, content):
        entry = {"type": "file", "path": name, "size": len(content), "oid": git_hash(content)}
        if name in self.large:
            entry["lfs"] = {"oid": hashlib.sha256(content).hexdigest(), "size": len(content), "pointerSize": 130}
        return entry

    def send(self, to, content, status=200, **headers):
        to.send_response(status)
        for name, value in {"Content-Length": str(len(content)), **headers}.items():
            to.send_header(name, value)
        to.end_headers()
        if to.command != "HEAD":
            to.wfile.write(content)
