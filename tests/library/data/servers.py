"""A web server on this machine that can break the line, refuse, drip and stall."""

from __future__ import annotations

import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class FileServer(ThreadingHTTPServer):
    """Serves `files` by the last part of their address.

    Attributes:
        log: (name, first byte asked for) of each request.
        break_after: bytes after which every answer ends, None for whole ones.
        broken: names whose next answer ends half-way.
        status: of all answers, None for the right one.
        ranges: False to send the whole file whatever is asked for.
        drip: seconds before each piece of `piece` bytes; None sends all at once.
    """

    def __init__(self, files: dict[str, bytes], broken: tuple[str, ...] = ()):
        super().__init__(("127.0.0.1", 0), _Handler)
        self.files, self.broken, self.log = files, set(broken), []
        self.break_after = self.status = self.drip = None
        self.ranges, self.piece = True, 1
        self.url = f"http://127.0.0.1:{self.server_port}/"
        threading.Thread(target=self.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()

    def stop(self) -> None:
        self.shutdown()
        self.server_close()


class _Handler(BaseHTTPRequestHandler):
    server: FileServer

    def do_GET(self):
        server, name, first = self.server, self.path.rsplit("/", 1)[-1], 0
        if server.ranges and "Range" in self.headers:
            first = int(self.headers["Range"].removeprefix("bytes=").rstrip("-"))
        server.log.append((name, first))
        content = server.files.get(name, b"")
        status = server.status or (404 if not content else 416 if first >= len(content) else 206 if first else 200)
        body = content[first:] if status < 300 else b""
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if name in server.broken:
            server.broken.discard(name)
            body = body[: len(body) // 2]
        self._send(body[: server.break_after])

    def _send(self, body: bytes) -> None:
        if self.server.drip is None:
            self.wfile.write(body)
            return
        for start in range(0, len(body), self.server.piece):
            time.sleep(self.server.drip)
            try:
                self.wfile.write(body[start : start + self.server.piece])
            except OSError:  # the other side gave up
                return

    def log_message(self, *_):
        pass
