"""The web server: a thread a connection, and no connection that can make the others wait."""

from __future__ import annotations

import errno
import socket
import ssl
import sys
import threading
from typing import Any

from names import OwnNames
from tls import TlsSocket
from werkzeug.serving import ThreadedWSGIServer, WSGIRequestHandler

from imagebus.errors import ConfigurationError

MAX_WAITING = 64
"""Connections that have not made their request yet; beyond that the one that waits longest is closed."""
LOCALHOST = [(int(socket.AF_INET), "127.0.0.1"), (int(socket.AF_INET6), "::1")]
"""As browsers have it, whatever the machine's own table of names says."""
NO_SUCH_ADDRESS = (errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT)
MOVED = b"HTTP/1.1 301 Moved Permanently\r\nLocation: https://%s/\r\nContent-Length: 0\r\n\r\n"
REFUSED = b"HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n"


def listen(host: str, port: int) -> list[socket.socket]:
    """Listen on the port at every address of the host (``localhost`` has one in IPv4 and one in IPv6).

    Raises:
        ConfigurationError: no such host, or the port is taken.
    """
    addresses = LOCALHOST if host.lower() == "localhost" else _resolve(host, port)
    listening: list[socket.socket] = []
    for family, address in addresses:
        try:
            listening.append(_listen(family, (address, _same_port(listening, port))))
        except OSError as error:
            if error.errno in NO_SUCH_ADDRESS and listening:
                continue  # a machine without IPv6
            for other in listening:
                other.close()
            raise ConfigurationError(
                f"{port} cannot be had on {address}: {error.strerror}", "--port"
            ) from error
    return listening


def _resolve(host: str, port: int) -> list[tuple[int, str]]:
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    except (socket.gaierror, UnicodeError) as error:
        raise ConfigurationError(f"there is no host {host}: {error}", "--host") from error
    return sorted({(int(family), str(address[0])) for family, _, _, _, address in found})


def _listen(family: int, address: tuple[str, int]) -> socket.socket:
    opened = socket.socket(family)
    try:
        opened.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            opened.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        opened.bind(address)
        opened.listen(128)
    except OSError:
        opened.close()
        raise
    return opened


def _same_port(listening: list[socket.socket], port: int) -> int:
    """Return the port; where 0 asked for any free one, that which the first address got."""
    return int(listening[0].getsockname()[1]) if listening else port


class Handler(WSGIRequestHandler):
    """One request; werkzeug closes the connection after it, unless it becomes a websocket."""

    server: PageServer
    server_version = "imagebus"
    sys_version = ""

    def run_wsgi(self) -> None:
        """Answer; from here on the connection counts as served."""
        self.server.served(self.connection)
        super().run_wsgi()

    def log_request(self, code: int | str = "-", size: int | str = "-") -> None:
        """Keep no access log: the page has one user."""


class PageServer(ThreadedWSGIServer):
    """Serves a WSGI application on one listening socket over TLS.

    The handshake is made in the connection's own thread. A client that connects and says nothing, or stops
    amid its handshake or request, costs one waiting place for a while.
    """

    def __init__(
        self, listening: socket.socket, application: Any, own: OwnNames, context: ssl.SSLContext
    ) -> None:
        host, port = listening.getsockname()[:2]
        super().__init__(host, port, application, handler=Handler, fd=listening.fileno())
        listening.close()
        self._own = own
        self.ssl_context = context  # set late: werkzeug would shake hands while accepting
        self._waiting: dict[int, TlsSocket] = {}
        self._lock = threading.Lock()
        self.thread = threading.Thread(
            target=self.serve_forever, args=(0.1,), name=f"serve {host}", daemon=True
        )

    def get_request(self) -> tuple[TlsSocket, Any]:
        """Accept a connection without waiting for anything it says."""
        plain, address = self.socket.accept()
        assert self.ssl_context is not None
        return TlsSocket.over(plain, self.ssl_context), address

    def process_request(self, request: Any, client_address: Any) -> None:
        """Serve it in a thread, and let go of the one that has waited longest if too many wait."""
        with self._lock:
            self._waiting[id(request)] = request
            surplus = (
                self._waiting.pop(next(iter(self._waiting))) if len(self._waiting) > MAX_WAITING else None
            )
        if surplus is not None:
            surplus.close()
        super().process_request(request, client_address)

    def finish_request(self, request: Any, client_address: Any) -> None:
        """Shake hands and answer; a browser that forgot the ``s`` of ``https`` is told."""
        if not request.speaks_tls():
            self._redirect(request)
            return
        request.handshake()
        super().finish_request(request, client_address)

    def _redirect(self, request: TlsSocket) -> None:
        """Send a plain request to the same address over https, if it is one of ours."""
        head = socket.socket.recv(request, 4096).decode("latin-1").split("\r\n")
        hosts = [line[5:].strip() for line in head if line[:5].lower() == "host:"]
        is_own = len(hosts) == 1 and self._own.has(hosts[0])
        socket.socket.send(request, MOVED % hosts[0].encode() if is_own else REFUSED)

    def served(self, request: Any) -> None:
        """Note that a connection made its request: it no longer waits."""
        with self._lock:
            self._waiting.pop(id(request), None)

    def shutdown_request(self, request: Any) -> None:
        """Close it."""
        self.served(request)
        request.close()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Say what went wrong, unless it is the client that broke off."""
        if not isinstance(sys.exception(), OSError):
            super().handle_error(request, client_address)
