"""The TLS layer by itself, between two sockets of this machine."""

from __future__ import annotations

import contextlib
import socket
import ssl
import struct
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
import tls

from imagebus.certificate import local_certificate

MUCH = bytes(8_000_000)


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> str:
    return str(local_certificate(tmp_path_factory.mktemp("certificate")))


@pytest.fixture
def ends(certificate: str) -> Iterator[tuple[tls.TlsSocket, ssl.SSLSocket]]:
    """The server's end of a connection and the client's, after their handshake."""
    context = ssl.create_default_context(cafile=certificate)
    with socket.create_server(("127.0.0.1", 0)) as listening, ThreadPoolExecutor() as threads:
        plain = socket.create_connection(listening.getsockname(), 5)
        client = threads.submit(context.wrap_socket, plain, server_hostname="localhost")
        server = tls.TlsSocket.over(listening.accept()[0], tls.server_context(certificate, None))
        server.handshake()
        yield server, client.result(5)
        server.close()
        client.result().close()


def test_all_arrives_however_slowly_it_is_read(ends: tuple[tls.TlsSocket, ssl.SSLSocket]) -> None:
    server, client = ends
    with ThreadPoolExecutor() as threads:
        sending = threads.submit(server.send, MUCH)
        left = len(MUCH)
        while left:
            left -= len(client.recv(100_000))
    assert sending.result() == len(MUCH)


def test_who_stops_reading_is_lost_and_nothing_is_sent_to_him_again(
    ends: tuple[tls.TlsSocket, ssl.SSLSocket], monkeypatch: pytest.MonkeyPatch
) -> None:
    server, _ = ends
    monkeypatch.setattr(tls, "STALL_S", 0.2)
    with pytest.raises(BrokenPipeError, match="does not go on"):
        server.send(MUCH)
    for words in (b"a", b"goodbye", MUCH):  # OpenSSL itself would call these a bad length
        with pytest.raises(BrokenPipeError, match="was lost"):
            server.send(words)
    assert not read_to_its_end(server), "whoever reads it is woken, and told that it ended"


def test_who_breaks_off_amid_a_write_is_lost(ends: tuple[tls.TlsSocket, ssl.SSLSocket]) -> None:
    server, client = ends
    with ThreadPoolExecutor() as threads:
        sending = threads.submit(server.send, MUCH)
        client.recv(1000)
        client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        client.close()
        with pytest.raises(BrokenPipeError):
            sending.result(5)
    with pytest.raises(BrokenPipeError):
        server.send(b"goodbye")


def test_a_write_after_the_connection_was_closed_is_a_broken_pipe(
    ends: tuple[tls.TlsSocket, ssl.SSLSocket],
) -> None:
    server, _ = ends
    server.close()
    with pytest.raises(BrokenPipeError):
        server.send(b"goodbye")


def read_to_its_end(server: tls.TlsSocket) -> bytes:
    """Read; OpenSSL may call an end without a goodbye an error of its own."""
    with contextlib.suppress(ssl.SSLError):
        return bytes(server.recv(1))
    return b""
