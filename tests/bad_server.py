"""A file server on 127.0.0.1 whose addresses name how it misbehaves: ``/BEHAVIOUR/FILE``, for tests of downloads."""

import contextlib
import email.utils
import gzip
import hashlib
import io
import socket
import struct
import sys
import threading
import time
import zipfile

from local_server import LocalServer, QuietHandler

CONTENT = bytes(range(256)) * 4096  # 1 MiB
SHA256 = hashlib.sha256(CONTENT).hexdigest()
HALF = len(CONTENT) // 2
MEMBER = "a folder/file.bin"


def zipped(compression=zipfile.ZIP_STORED):
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", compression) as archive:
        archive.writestr(MEMBER, CONTENT)
    return file.getvalue()


STATUSES = [400, 401, 403, 404, 408, 410, 416, 429, 451, 500, 502, 503, 504]
HEADERS = {  # what a refusal adds, by behaviour
    "busy": (429, "1"),
    "busy-until": (503, lambda: email.utils.formatdate(time.time() + 1, usegmt=True)),
    "busy-for-an-hour": (429, "3600"),
    "busy-nonsense": (503, "soon"),
}
OTHERS = [
    *("closed", "reset", "reset-half", "truncate", "short", "stall", "drip", "endless", "bad-chunks", "garbage"),
    *("corrupt", "corrupt-end", "html", "html-as-rest", "no-ranges", "wrong-range", "gzip", "bad-length", "empty"),
    *("no-content", "too-long", "redirect", "redirect-loop", "redirect-nowhere"),
]
FAULTS = [*map(str, STATUSES), *HEADERS, *OTHERS]


class Server(LocalServer):
    """An address misbehaves `times` times, then is good; without an entry it always does."""

    def __init__(self):
        self.requests = []  # (path, Range header)
        self.times = {}
        self.files = {"file.bin": CONTENT, "archive.zip": zipped()}
        self.sent_half = threading.Event()
        self.closing = threading.Event()
        outer = self

        class Handler(QuietHandler):
            def do_GET(self):
                outer.requests.append((self.path, self.headers.get("Range")))
                left = outer.times.get(self.path, 10**6)
                outer.times[self.path] = left - 1
                with contextlib.suppress(ConnectionError):
                    outer.answer(self, self.path.split("/")[1] if left > 0 else "good")

        super().__init__(Handler)

    def close(self):
        self.closing.set()
        super().close()

    def answer(self, to, behaviour):
        name = to.path.split("/")[-1]
        if behaviour.isdigit() or behaviour in HEADERS:
            return self.refuse(to, behaviour)
        if behaviour.startswith("redirect"):
            goal = {"redirect": f"{self.address}/good/{name}", "redirect-loop": f"{self.address}{to.path}"}
            return self.start(to, 302, Location=goal.get(behaviour, "http://127.0.0.1:9/"))
        if behaviour in ("closed", "reset"):
            return self.drop(to, reset=behaviour == "reset")
        if behaviour == "garbage":
            return to.wfile.write(b"\x16\x03\x01 this is no HTTP\r\n\r\n")
        if behaviour == "no-content":
            return self.start(to, 204)
        content = self.files.get(name)
        if content is None:
            return to.send_error(404)
        if behaviour == "corrupt":
            content = b"x" + content[1:]
        elif behaviour == "corrupt-end":
            content = content[:-1] + b"x"
        elif behaviour == "empty":
            content = b""
        elif behaviour == "too-long":
            content += b"more"
        elif behaviour == "html":
            content = b"<html>Please log in</html>" * 1000
        begin = 0
        if (wanted := to.headers.get("Range")) and behaviour not in ("no-ranges", "html", "gzip", "endless"):
            begin = int(wanted.removeprefix("bytes=").removesuffix("-"))
            if begin >= len(content):
                return to.send_error(416)
        rest, headers = content[begin:], {}
        if begin:
            headers["Content-Range"] = f"bytes {begin}-{len(content) - 1}/{len(content)}"
            if behaviour == "wrong-range":
                rest, headers["Content-Range"] = content[7:], f"bytes 7-{len(content) - 1}/{len(content)}"
        if behaviour == "html-as-rest":
            rest = b"<p>Please log in</p>" * 1000
        if behaviour == "gzip":
            rest, headers["Content-Encoding"] = gzip.compress(rest, 1), "gzip"
        if behaviour == "html":
            headers["Content-Type"] = "text/html; charset=utf-8"
        if behaviour == "bad-chunks":
            headers["Transfer-Encoding"] = "chunked"
        elif behaviour not in ("short", "endless"):
            headers["Content-Length"] = "many" if behaviour == "bad-length" else str(len(rest))
        self.start(to, 206 if begin else 200, **headers)
        if to.command == "HEAD":
            return None
        half = rest[: len(rest) // 2]
        if behaviour in ("truncate", "short", "stall", "reset-half"):
            self.send(to, half)
            self.sent_half.set()
            if behaviour == "stall":
                self.closing.wait(60)
            if behaviour == "reset-half":
                time.sleep(0.05)  # what has been sent is to arrive before the reset does
                self.drop(to, reset=True)
        elif behaviour == "bad-chunks":
            self.send(to, b"10000\r\n" + rest[:0x10000] + b"\r\nno number\r\n")
        elif behaviour == "drip":
            while not self.closing.wait(0.2):
                self.send(to, rest[:1])
                rest = rest[1:]
        elif behaviour == "endless":
            while not self.closing.is_set():
                self.send(to, rest)
        elif behaviour == "slow":  # good, and long enough under way to be killed
            for i in range(0, len(rest), 2**15):
                self.send(to, rest[i : i + 2**15])
                time.sleep(0.01)
        else:
            self.send(to, rest)

    def refuse(self, to, behaviour):
        status, wait = HEADERS.get(behaviour) or (int(behaviour), None)
        headers = {"Retry-After": wait() if callable(wait) else wait} if wait else {}
        self.start(to, status, **{"Content-Length": "7"}, **headers)
        if to.command != "HEAD":
            self.send(to, b"refused")

    def start(self, to, status, **headers):
        to.send_response(status)
        for name, value in headers.items():
            to.send_header(name.replace("_", "-"), value)
        to.end_headers()

    def send(self, to, content):
        to.wfile.write(content)
        to.wfile.flush()

    def drop(self, to, reset):
        if reset:  # the other side hears at once, as from a firewall
            linger = struct.pack("hh" if sys.platform == "win32" else "ii", 1, 0)
            to.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
        to.close_connection = True
        to.connection.shutdown(socket.SHUT_RDWR) if not reset else to.connection.close()
