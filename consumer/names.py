"""The names that this server answers to, and to no others."""

from __future__ import annotations

import ipaddress
import re
import socket
from collections.abc import Callable, Iterable
from typing import Any

LOCAL = {"localhost", "127.0.0.1", "::1"}
HOST = re.compile(r"(?:\[([0-9a-f:.]+)\]|([\w.-]+))(?::[0-9]{1,5})?", re.ASCII | re.IGNORECASE)


class OwnNames:
    """The names of a server on ``host``; one that is open to the network has every address as a name too."""

    def __init__(self, host: str) -> None:
        self._any_address = not is_loopback(host)
        self._names = (
            LOCAL | {host.lower()} | ({socket.gethostname().lower()} if self._any_address else set())
        )

    def has(self, host: str) -> bool:
        """Return whether a request's ``Host``, with or without port, is well formed and one of ours."""
        if not (parts := HOST.fullmatch(host)):
            return False
        name = (parts[1] or parts[2]).lower().rstrip(".")
        return name in self._names or (self._any_address and _is_address(name))


class OwnHostOnly:
    """Answers only who asked for this machine by a name that is its own.

    A page from elsewhere whose name was made to point here (DNS rebinding) still sends that name. Compression
    offered by a websocket is taken out as well: pictures do not get smaller, and it costs a core.
    """

    def __init__(self, application: Callable[..., Iterable[bytes]], own: OwnNames) -> None:
        self._application = application
        self._own = own

    def __call__(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        """Answer one request."""
        if not self._own.has(environ.get("HTTP_HOST", "")):
            body = b"imagebus does not answer to this name; open it as https://localhost\n"
            start_response(
                "403 Forbidden", [("Content-Type", "text/plain"), ("Content-Length", str(len(body)))]
            )
            return [body]
        environ.pop("HTTP_SEC_WEBSOCKET_EXTENSIONS", None)
        return self._application(environ, start_response)


def is_same_origin(origin: str | None, environ: dict[str, Any]) -> bool:
    """Return whether the request comes from a page of ours.

    The ``Host`` was checked before. What a proxy claims (``X-Forwarded-*``) counts for
    nothing: there is none, and anybody can send it.
    """
    return origin is not None and origin.lower() == f"https://{environ.get('HTTP_HOST', '')}".lower()


def is_loopback(host: str) -> bool:
    """Return whether only this machine reaches what is bound to ``host``."""
    return host.lower() == "localhost" or (_is_address(host) and ipaddress.ip_address(host).is_loopback)


def _is_address(name: str) -> bool:
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True
