"""Cameras and clips for the producer's tests, and a look at what comes out of the capture process."""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import address
import pytest
import watch
import wire

from imagebus.kafka.probe import free_port
from imagebus.kafka.process import die_with_parent

HERE = Path(__file__).parent


def ffmpeg(*arguments: object) -> None:
    subprocess.run(["ffmpeg", "-v", "error", "-y", *map(str, arguments)], check=True)


def request(where: object, **wanted: object) -> wire.Request:
    """Ask for every picture as fast as it comes, unless told otherwise."""
    source = address.parse(str(where))
    settings = {
        "every": 1,
        "max_fps": None,
        "speed": 1000.0 if source.live is False else 1.0,
        "loop": False,
        "quality": 85,
        "read_s": source.read_s,
    }
    return wire.Request(
        url=os.fsencode(source.url),
        live=source.live,
        format=source.format,
        options=dict(source.options),
        open_s=source.open_s,
        parent=os.getpid(),
        **{**settings, **wanted},  # type: ignore[arg-type]
    )


class Seen:
    """What a source said, until it ended or enough was seen."""

    def __init__(self) -> None:
        self.messages: list[wire.Message] = []
        self.at: list[float] = []

    def add(self, message: wire.Message) -> None:
        self.messages.append(message)
        self.at.append(time.monotonic())

    @property
    def pictures(self) -> list[wire.Picture]:
        return [m for m in self.messages if isinstance(m, wire.Picture)]

    @property
    def words(self) -> list[wire.Message]:
        return [m for m in self.messages if not isinstance(m, wire.Picture)]

    @property
    def end(self) -> wire.Ended:
        assert isinstance(self.messages[-1], wire.Ended), self.messages[-1]
        return self.messages[-1]

    @property
    def warnings(self) -> list[str]:
        return [m.text for m in self.messages if isinstance(m, wire.Warned)]

    @property
    def lost(self) -> list[str]:
        return [m.reason for m in self.messages if isinstance(m, wire.Lost)]


@contextmanager
def capturing(where: object, **wanted: object) -> Iterator[Callable[..., Seen]]:
    """Start to capture; the function given reads on until enough was seen, and fails at its deadline."""
    watched = watch.Watch(request(where, **wanted))
    messages = watched.messages()
    seen = Seen()

    def read(enough: Callable[[Seen], bool] = lambda seen: False, within_s: float = 30.0) -> Seen:
        deadline = time.monotonic() + within_s
        for message in messages:
            if message is not None:
                seen.add(message)
                if enough(seen):
                    return seen
            assert time.monotonic() < deadline, f"not within {within_s} s: {seen.words[-5:]}"
        return seen

    try:
        yield read
    finally:
        messages.close()  # type: ignore[attr-defined]
        watched.close()


def capture(where: object, pictures: int | None = None, within_s: float = 30.0, **wanted: object) -> Seen:
    """Capture to the end, or until so many pictures came."""
    with capturing(where, **wanted) as read:
        return read(lambda seen: pictures is not None and len(seen.pictures) >= pictures, within_s)


class RtspCamera:
    """A real RTSP server that can be killed and started again at the same address."""

    def __init__(self, *credentials: str) -> None:
        self.port = free_port()
        self._credentials = credentials
        self.start()

    def start(self) -> None:
        command = ["/usr/bin/python3", str(HERE / "rtsp_server.py"), str(self.port), *self._credentials]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, preexec_fn=die_with_parent)
        assert self.process.stdout
        if self.process.stdout.readline() != b"ready\n":
            self.kill()
            pytest.fail("the RTSP server needs Debian's python3-gi and gir1.2-gst-rtsp-server-1.0")

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()
        if self.process.stdout:
            self.process.stdout.close()

    def address(self, credentials: str = "", path: str = "camera") -> str:
        return f"rtsp://{credentials}127.0.0.1:{self.port}/{path}"
