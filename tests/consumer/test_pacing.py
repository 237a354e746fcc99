"""A tab that stalls costs the server nothing, whichever way it stalls."""

from __future__ import annotations

import json
import os
import socket
import struct
import time
from collections.abc import Callable
from contextlib import ExitStack, closing

import numpy as np
import pytest

from .conftest import Camera, PageServer

TOPIC = "pacing"


class Client:
    """A Socket.IO client over a bare TLS socket, so that it can misbehave."""

    def __init__(self, server: PageServer) -> None:
        plain = socket.create_connection(("localhost", server.port), 10)
        plain.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 32 * 1024)
        self.socket = server.trusting().wrap_socket(plain, server_hostname="localhost")
        self.socket.sendall(
            b"GET /socket.io/?EIO=4&transport=websocket HTTP/1.1\r\nHost: localhost\r\n"
            b"Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
            b"Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n"
        )
        self.file = self.socket.makefile("rb")
        while self.file.readline() != b"\r\n":
            pass
        assert self.receive()[:1] == b"0"
        self.send("40")
        assert self.receive()[:2] == b"40"

    def send(self, text: str) -> None:
        """Send a text message, masked as a client must."""
        body, mask = text.encode(), os.urandom(4)
        head = (
            bytes([0x81, 0x80 | len(body)]) if len(body) < 126 else b"\x81\xfe" + struct.pack(">H", len(body))
        )
        self.socket.sendall(head + mask + bytes(byte ^ mask[at % 4] for at, byte in enumerate(body)))

    def receive(self) -> bytes:
        """Return the next message, text or binary, and answer pings."""
        while True:
            head, length = self.file.read(2)
            if length >= 126:
                length = struct.unpack(
                    ">H" if length == 126 else ">Q", self.file.read(2 if length == 126 else 8)
                )[0]
            message = self.file.read(length)
            assert head in (0x81, 0x82)
            if message != b"2":
                return message
            self.send("3")

    def frames(self, seconds: float, *, acknowledge: bool, enough: int = 10_000) -> list[bytes]:
        """Return the pictures that come meanwhile."""
        found: list[bytes] = []
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline and len(found) < enough:
            try:
                self.socket.settimeout(max(0.1, deadline - time.monotonic()))
                message = self.receive()
            except TimeoutError:
                break
            if message[:1] == b"\x92" or message[:1] not in b"45":
                found.append(message)
            elif acknowledge and message[:1] == b"4":
                self.acknowledge(message.decode())
        return found

    def acknowledge(self, text: str) -> None:
        """Answer an event: 42<id>["state", ...] or 451-<id>["frame", ...]."""
        number = text[: text.index("[")].rpartition("-")[2] if "-" in text[:5] else text[2 : text.index("[")]
        self.send(f"43{number}[]")

    def watch(self) -> None:
        self.send("42" + json.dumps(["watch", [[TOPIC, "cam0"]]]))

    def close(self) -> None:
        self.file.close()
        self.socket.close()

    def break_off(self) -> None:
        """Leave amid whatever is being sent, as a browser that crashes."""
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.close()


@pytest.fixture
def camera(kafka: str) -> Camera:
    """The camera that all clients watch."""
    return Camera(kafka, TOPIC, "cam0")


def test_who_never_acknowledges_gets_one_frame_and_the_others_go_on(
    kafka: str, camera: Camera, page_server: Callable[..., PageServer]
) -> None:
    server = page_server(kafka)
    picture = camera.frame(np.random.default_rng(1).integers(0, 255, (400, 500, 3), np.uint8))
    assert len(picture.image) > 150_000
    with ExitStack() as stack, camera.playing(lambda: picture, fps=20):
        lively, mute = (stack.enter_context(closing(Client(server))) for _ in range(2))
        lively.watch()
        assert lively.frames(30, acknowledge=True, enough=3), "the topic is followed"
        mute.watch()
        assert len(mute.frames(2, acknowledge=False)) == 1
        threads = server.threads()
        deaf = [stack.enter_context(closing(Client(server))) for _ in range(15)]
        for client in deaf:  # these do not even read
            client.watch()
        lively.frames(1, acknowledge=True)
        before = server.memory_mb()
        seen = lively.frames(15, acknowledge=True, enough=60)
        grown = server.memory_mb() - before
    assert len(seen) == 60, "the others go on"
    assert grown < 15, f"{grown} MB: 15 stalled tabs, unpaced, would be {15 * 60 * 0.15:.0f}"
    deadline = time.monotonic() + 20
    while server.threads() > threads - 3:
        assert time.monotonic() < deadline, f"{server.threads()} threads are left of {threads}"
        time.sleep(0.2)
    assert server.stop() == 0


def test_who_leaves_or_stops_reading_amid_a_picture_leaves_nothing_in_the_log(
    kafka: str, camera: Camera, page_server: Callable[..., PageServer]
) -> None:
    server = page_server(kafka)
    picture = camera.frame(np.random.default_rng(1).integers(0, 255, (2000, 2500, 3), np.uint8))
    assert len(picture.image) > 4_000_000, "more than the sockets between hold"
    with ExitStack() as stack, camera.playing(lambda: picture, fps=1):
        lively = stack.enter_context(closing(Client(server)))
        lively.watch()
        assert lively.frames(30, acknowledge=True, enough=1), "the topic is followed"
        threads = server.threads()
        leaving, deaf = ([Client(server) for _ in range(3)] for _ in range(2))
        for client in leaving + deaf:
            client.watch()
        lively.frames(3, acknowledge=True, enough=2)
        for client in leaving:
            client.break_off()
        deadline = time.monotonic() + 60
        while server.threads() > threads:
            assert time.monotonic() < deadline, f"{server.threads()} threads are left of {threads}"
            assert lively.frames(10, acknowledge=True, enough=1), "the others go on"
        for client in deaf:
            client.close()
    assert server.stop() == 0, server.said
