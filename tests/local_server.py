"""A server on 127.0.0.1 that runs beside a test."""

import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class QuietHandler(BaseHTTPRequestHandler):
    def do_HEAD(self):
        self.do_GET()

    def log_message(self, *args):
        pass


class LocalServer:
    """Answers at `address` until it is closed."""

    def __init__(self, handler: type[QuietHandler]):
        self.http = ThreadingHTTPServer(("127.0.0.1", 0), handler)
        self.http.daemon_threads = True
        self.address = f"http://127.0.0.1:{self.http.server_address[1]}"
        threading.Thread(target=self.http.serve_forever, args=(0.02,), daemon=True).start()

    def close(self):
        self.http.shutdown()
        self.http.server_close()
