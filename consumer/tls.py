"""TLS for one thread that reads and another that writes, where nobody waits for ever."""

from __future__ import annotations

import contextlib
import errno
import select
import socket
import ssl
import threading
import time
from typing import Any, Self

from imagebus.errors import ConfigurationError

HANDSHAKE_S = 10.0
STALL_S = 30.0
"""A connection on which a read, or 64 KiB of a write, makes no progress that long is given up."""
PIECE_BYTES = 64 * 1024
TLS_HANDSHAKE = 0x16


class TlsSocket(ssl.SSLSocket):
    """A TLS connection with a deadline on every wait.

    OpenSSL allows only one thread at a time inside a connection. The socket never blocks, so the lock is held
    for an instant only, and the waiting is done outside it.
    """

    _inside: threading.RLock
    _writing: threading.Lock
    _lost: bool
    """Whether a write stopped halfway: OpenSSL would take nothing but the very rest of it from then on."""

    def __new__(cls, *args: Any, **kwargs: Any) -> Self:
        """Make it with its locks, so that it can be closed even when wrapping it fails."""
        made = super().__new__(cls, *args, **kwargs)
        made._inside, made._writing, made._lost = threading.RLock(), threading.Lock(), False
        return made

    @classmethod
    def over(cls, plain: socket.socket, context: ssl.SSLContext) -> TlsSocket:
        """Wrap an accepted socket without a byte of traffic; ``handshake`` follows, in a thread of its own.

        Raises:
            OSError: the client has left already.
        """
        plain.setblocking(False)
        plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        context.sslsocket_class = cls
        wrapped = context.wrap_socket(plain, server_side=True, do_handshake_on_connect=False)
        assert isinstance(wrapped, cls)
        return wrapped

    def speaks_tls(self) -> bool:
        """Wait for the first byte and return whether it begins a handshake; nothing is consumed.

        Raises:
            OSError: nothing came in time.
        """
        self._wait(select.POLLIN, time.monotonic() + HANDSHAKE_S)
        return socket.socket.recv(self, 1, socket.MSG_PEEK)[:1] in (b"", bytes([TLS_HANDSHAKE]))

    def handshake(self) -> None:
        """Finish the handshake within ten seconds.

        Raises:
            OSError: the client did not, or failed.
        """
        deadline = time.monotonic() + HANDSHAKE_S
        self._persist(super().do_handshake, deadline)

    def read(self, len: int = 1024, buffer: Any = None) -> Any:
        """Read what is there, waiting for the first byte."""
        return self._persist(lambda: super(TlsSocket, self).read(len, buffer), time.monotonic() + STALL_S)

    def send(self, data: Any, flags: int = 0) -> int:
        """Send everything; the peer must take each piece in time.

        Raises:
            BrokenPipeError: it did not, or left; the connection is lost. Websockets take no other error for
                a client that is gone.
        """
        with self._writing, memoryview(data).cast("B") as view:
            if self._lost:
                raise BrokenPipeError(errno.EPIPE, "this connection was lost")
            try:
                for begin in range(0, len(view), PIECE_BYTES):
                    self._send_piece(view[begin : begin + PIECE_BYTES])
            except OSError as error:
                self._lose()
                raise BrokenPipeError(errno.EPIPE, f"this connection is lost: {error}") from error
            return len(view)

    def _lose(self) -> None:
        """Send nothing any more, and wake whoever reads; half a record is under way, so no goodbye."""
        self._lost = True
        with contextlib.suppress(OSError):
            socket.socket.shutdown(self, socket.SHUT_RDWR)

    def _send_piece(self, piece: memoryview) -> None:
        deadline = time.monotonic() + STALL_S
        while piece:
            sent = self._persist(lambda rest=piece: super(TlsSocket, self).send(rest), deadline)
            piece = piece[sent:]

    def _persist(self, attempt: Any, deadline: float) -> Any:
        """Try until it neither wants to read nor to write."""
        while True:
            with self._inside:
                try:
                    return attempt()
                except ssl.SSLWantReadError:
                    event = select.POLLIN
                except ssl.SSLWantWriteError:
                    event = select.POLLOUT
                except ssl.SSLError as error:  # werkzeug would write a line for each
                    raise ConnectionAbortedError(f"this connection is broken: {error}") from error
                except ValueError as error:  # closed meanwhile, by another thread
                    raise ConnectionAbortedError("this connection is closed") from error
            self._wait(event, deadline)

    def _wait(self, event: int, deadline: float) -> None:
        if (handle := self.fileno()) < 0:
            raise ConnectionAbortedError("this connection is closed")
        poll = select.poll()
        poll.register(handle, event)
        if not poll.poll(max(0.0, deadline - time.monotonic()) * 1000):
            raise TimeoutError("the other side does not go on")

    def close(self) -> None:
        """Say goodbye if that does not wait, and wake whoever waits on this connection."""
        with self._inside:
            if not self._lost:
                with contextlib.suppress(OSError, ValueError):
                    self.unwrap()
            with contextlib.suppress(OSError):
                socket.socket.shutdown(self, socket.SHUT_RDWR)
            super().close()


def server_context(certificate: str, key: str | None) -> ssl.SSLContext:
    """Return the settings of a server with this certificate.

    Raises:
        ConfigurationError: they do not go together, or cannot be read.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    try:
        context.load_cert_chain(certificate, key)
    except (OSError, ssl.SSLError) as error:
        what = error.strerror or str(error)
        raise ConfigurationError(
            f"{certificate} with its key cannot be used: {what}", "--certificate"
        ) from error
    return context
