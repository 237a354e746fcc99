"""A real HTTP camera for tests: Motion JPEG as multipart/x-mixed-replace, as IP cameras send it."""

from __future__ import annotations

import base64
import threading
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path


class Handler(BaseHTTPRequestHandler):
    """Sends the server's pictures as ``/camera``, files of its folder under their names."""

    server: MjpegServer

    def do_GET(self) -> None:
        self.server.asked.append(self.path)
        path = self.path.partition("?")[0]
        if not self._may_enter():
            self.send_response(401)
            self.send_header("WWW-Authenticate", 'Basic realm="camera"')
            self.end_headers()
        elif path == "/camera":
            self._stream()
        elif path in self.server.errors:
            self.send_error(self.server.errors[path])
        else:
            self._file(self.server.folder / path.lstrip("/"))

    def _may_enter(self) -> bool:
        wanted = self.server.credentials
        given = self.headers.get("Authorization", "").removeprefix("Basic ")
        return not wanted or base64.b64decode(given).decode() == wanted

    def _stream(self) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "multipart/x-mixed-replace; boundary=frame")
        self.end_headers()
        try:
            for picture in self.server.pictures():
                head = f"--frame\r\nContent-Type: image/jpeg\r\nContent-Length: {len(picture)}\r\n\r\n"
                self.wfile.write(head.encode() + picture + b"\r\n")
                time.sleep(self.server.pause_s)
        except (BrokenPipeError, ConnectionResetError):
            return

    def _file(self, path: Path) -> None:
        if not path.is_file():
            self.send_error(404)
            return
        data = path.read_bytes()
        first, last = 0, len(data) - 1
        if asked := self.headers.get("Range"):
            start, _, end = asked.removeprefix("bytes=").partition("-")
            first, last = int(start), min(int(end or last), last)
        self.send_response(206 if asked else 200)
        self.send_header("Accept-Ranges", "bytes")
        self.send_header("Content-Length", str(last - first + 1))
        if asked:
            self.send_header("Content-Range", f"bytes {first}-{last}/{len(data)}")
        self.end_headers()
        try:
            self.wfile.write(data[first : last + 1])
        except (BrokenPipeError, ConnectionResetError):
            return

    def log_message(self, format: str, *args: object) -> None:
        """Stay silent."""


class MjpegServer(ThreadingHTTPServer):
    """Serves ``pictures`` over and over, to those with the ``credentials``; ``asked`` keeps every path."""

    daemon_threads = True

    def __init__(self, pictures: Iterable[bytes], folder: Path, port: int = 0, pause_s: float = 0.02) -> None:
        super().__init__(("127.0.0.1", port), Handler)
        self._pictures = tuple(pictures)
        self.folder = folder
        self.pause_s = pause_s
        self.errors: dict[str, int] = {}
        self.asked: list[str] = []
        self.credentials = ""

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.server_address[1]}"

    def pictures(self) -> Iterator[bytes]:
        while True:
            yield from self._pictures

    def handle_error(self, request: object, client_address: object) -> None:
        """Stay silent: a client that leaves is no error here."""


@contextmanager
def serving(pictures: Iterable[bytes], folder: Path, port: int = 0) -> Iterator[MjpegServer]:
    server = MjpegServer(pictures, folder, port)
    threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
    try:
        yield server
    finally:
        server.shutdown()
        server.server_close()
