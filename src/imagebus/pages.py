"""A small HTTP server for pages that machines look at, in one thread, that no client can hold up.

A connection has one request and a few seconds; the oldest one goes where too many are open.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import threading
from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from http import HTTPStatus
from typing import Self

from imagebus.errors import ConfigurationError

MOST_CONNECTIONS = 64
MOST_REQUEST_BYTES = 8192
DEADLINE_S = 5.0
PLAIN = "text/plain; charset=utf-8"


@dataclass(frozen=True, slots=True)
class Page:
    """What is answered."""

    body: bytes
    status: HTTPStatus = HTTPStatus.OK
    content_type: str = PLAIN


class PageServer:
    """Serves pages by their paths, from now until ``close``.

    Args:
        pages: makes each page anew for each request, in the server's thread.

    Attributes:
        address: HOST:PORT to be reached by.

    Raises:
        ConfigurationError: it cannot listen there; names the flag.
    """

    def __init__(
        self, host: str, port: int, pages: Mapping[str, Callable[[], Page]], *, deadline_s: float = DEADLINE_S
    ) -> None:
        self._pages = pages
        self._deadline_s = deadline_s
        self._open: OrderedDict[asyncio.StreamWriter, None] = OrderedDict()
        self._over = asyncio.Event()
        self._socket = _listening(host, port)
        self.address = _address(host, self._socket.getsockname()[1])
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._run, name="metrics", daemon=True)
        self._thread.start()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """End it, whoever is connected."""
        if self._thread.is_alive():
            self._loop.call_soon_threadsafe(self._over.set)
            self._thread.join(1.0)

    def _run(self) -> None:
        with asyncio.Runner(loop_factory=lambda: self._loop) as runner:
            runner.run(self._serve())

    async def _serve(self) -> None:
        server = await asyncio.start_server(self._attend, sock=self._socket, limit=MOST_REQUEST_BYTES)
        await self._over.wait()
        server.close()
        for writer in list(self._open):
            writer.transport.abort()
        while self._open:  # a loop that closes before them leaves their sockets to the garbage collector
            await asyncio.sleep(0)

    async def _attend(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if len(self._open) >= MOST_CONNECTIONS:
            self._open.popitem(last=False)[0].transport.abort()
        self._open[writer] = None
        try:
            async with asyncio.timeout(self._deadline_s):
                writer.write(self._answer(await reader.readuntil(b"\r\n\r\n")))
                await writer.drain()
                writer.close()
                await writer.wait_closed()
        except (OSError, EOFError, TimeoutError, asyncio.LimitOverrunError):
            pass  # whoever asked is gone, too slow, or speaks something else
        finally:
            writer.transport.abort()
            self._open.pop(writer, None)

    def _answer(self, request: bytes) -> bytes:
        method, _, rest = request.partition(b"\r\n")[0].partition(b" ")
        target, _, version = rest.partition(b" ")
        if not version.startswith(b"HTTP/1."):
            page = _problem(HTTPStatus.BAD_REQUEST)
        elif method not in (b"GET", b"HEAD"):
            page = _problem(HTTPStatus.METHOD_NOT_ALLOWED)
        else:
            make = self._pages.get(target.partition(b"?")[0].decode("latin-1"))
            page = make() if make else _problem(HTTPStatus.NOT_FOUND)
        return _response(page, with_body=method != b"HEAD")


def _problem(status: HTTPStatus) -> Page:
    return Page(f"{status.phrase}\n".encode(), status)


def _response(page: Page, *, with_body: bool) -> bytes:
    head = (
        f"HTTP/1.1 {page.status.value} {page.status.phrase}\r\n"
        f"Content-Type: {page.content_type}\r\n"
        f"Content-Length: {len(page.body)}\r\n"
        "Cache-Control: no-store\r\n"
        "X-Content-Type-Options: nosniff\r\n"
        + ("Allow: GET, HEAD\r\n" if page.status == HTTPStatus.METHOD_NOT_ALLOWED else "")
        + "Connection: close\r\n\r\n"
    )
    return head.encode() + (page.body if with_body else b"")


def _listening(host: str, port: int) -> socket.socket:
    try:
        [(family, _, _, _, place), *_] = socket.getaddrinfo(
            host or None, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )
    except (OSError, UnicodeError) as error:
        raise ConfigurationError(f"no address to listen on: {host} ({error})", "--metrics-host") from error
    try:
        return socket.create_server(place, family=family)
    except (OSError, OverflowError) as error:
        flag = "--metrics-port" if _is_here(family, place) else "--metrics-host"
        raise ConfigurationError(f"cannot listen on {host}:{port}: {error}", flag) from error


def _is_here(family: int, place: tuple[object, ...]) -> bool:
    """Whether the address is one of this machine's: then the port is at fault."""
    with socket.socket(family) as probe, contextlib.suppress(OSError):
        probe.bind((place[0], 0))
        return True
    return False


def _address(host: str, port: int) -> str:
    """Return how others reach it; who listens everywhere is reached by the machine's name."""
    if host in ("", "0.0.0.0", "::"):
        host = socket.gethostname()
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
