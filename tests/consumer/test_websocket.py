"""Messages that no page of ours sends: the connection ends, and nothing else does."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any

import pytest
from simple_websocket import Client, ConnectionClosed

from .conftest import NO_KAFKA, PageServer

GARBAGE: list[str | bytes] = [
    "",
    "x",
    "9",
    "2",
    "b!",
    "4",
    "4x",
    "44",
    "49[]",
    "42",
    "42[]",
    "42[1]",
    "42[{}]",
    '42["watch"',
    '42["connect"]',
    '42["disconnect"]',
    '421["watch",[]]',
    "42" + "1" * 5000,
    '42["watch",' + "1" * 5000 + "]",
    '42["watch",' + "[" * 100_000 + "]" * 100_000 + "]",
    "4" + "[" * 100_000,
    "[" * 100_000,
    "4512345678901-[]",
    '451-["watch",{"_placeholder":true,"num":7}]',
    "43[]",
    "430[]",
    "431",
    "431{}",
    "43" + "9" * 200 + "[]",
    "40",
    "40/other,",
    "4\ud7ff",
    "4²",
    b"",
    b"\x00\xff",
    b"4" * 1000,
]


@pytest.fixture(scope="module")
def server(built_page: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[PageServer]:
    started = PageServer(NO_KAFKA, tmp_path_factory.mktemp("data"))
    yield started
    assert started.stop() == 0, started.said  # which looks for tracebacks too


@contextmanager
def viewer(server: PageServer) -> Iterator[Client]:
    """A viewer that was let in and said what it wants to see."""
    url = f"wss://localhost:{server.port}/socket.io/?EIO=4&transport=websocket"
    client = Client.connect(url, ssl_context=server.trusting())
    try:
        assert client.receive(5).startswith("0")
        client.send("40")
        assert client.receive(5).startswith("40")
        client.send('42["watch",[]]')
        assert client.receive(5).startswith("42")
        yield client
    finally:
        if client.connected:
            client.close()
        client.thread.join(10)
        client.sock.close()


def wait_for_the_end(client: Client) -> None:
    while client.receive(10) is not None:
        pass
    raise AssertionError("the connection goes on")


def health(server: PageServer) -> Any:
    return json.loads(server.get("/healthz").body)


@pytest.mark.parametrize("words", GARBAGE, ids=lambda words: repr(words)[:30])
def test_the_first_message_that_no_page_sends_ends_its_connection_alone(
    server: PageServer, words: str | bytes
) -> None:
    with viewer(server) as other, viewer(server) as hostile:
        hostile.send(words)
        with pytest.raises(ConnectionClosed):
            wait_for_the_end(hostile)
        other.send('42["watch",[["T","s"]]]')
        other.send("3")
        deadline = time.monotonic() + 10
        while health(server)["viewers"] != 1:
            assert time.monotonic() < deadline, "it is still counted as a viewer"
        assert other.connected


def test_a_message_that_never_ends_is_not_kept(server: PageServer) -> None:
    with viewer(server) as hostile:
        hostile.sock.sendall(b"\x01\xff" + (64 << 20).to_bytes(8, "big") + bytes(4))  # 64 MB, unfinished
        with suppress(OSError):
            for _ in range(64):
                hostile.sock.sendall(b"4" * (1 << 20))
        with pytest.raises(ConnectionClosed):
            wait_for_the_end(hostile)
        assert server.memory_mb() < 150


def test_it_says_one_line_at_most_for_each(page_server: Callable[..., PageServer]) -> None:
    server = page_server(NO_KAFKA, "--quiet")
    for _ in range(3):
        with viewer(server) as hostile:
            hostile.send("430[]")
            with suppress(ConnectionClosed):  # the first may have ended it already
                hostile.send("430[]")
            with pytest.raises(ConnectionClosed):
                wait_for_the_end(hostile)
    assert health(server)["status"] == "ok"
    assert server.stop() == 0
    said = [line for line in server.said.splitlines() if not line.startswith(("open ", "the broker "))]
    assert len(said) == 3, server.said
