"""The page's server as a process, cameras to look at, and a real browser to look with."""

from __future__ import annotations

import os
import re
import select
import ssl
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.client import HTTPMessage, HTTPSConnection
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest
from playwright.sync_api import Browser, Page

from imagebus import codec, jpeg
from imagebus.bus import Bus
from imagebus.folders import checkout
from imagebus.frame import Detection, Frame, Hop, Model
from imagebus.kafka.process import die_with_parent
from imagebus.outgoing import frame_records
from imagebus.record import Outgoing

ROOT = checkout()
assert ROOT is not None
CONSUMER = ROOT / "consumer"
sys.path.insert(0, str(CONSUMER))  # as for the program, whose modules lie beside it
NO_KAFKA = "127.0.0.1:1"
START_S = END_S = 30


class Answer(NamedTuple):
    """What the server answered."""

    status: int
    headers: HTTPMessage
    body: bytes


class PageServer:
    """``python consumer/app.py`` as a user starts it."""

    def __init__(self, kafka: str, data: Path, *flags: str, port: int = 0) -> None:
        command = [sys.executable, str(CONSUMER / "app.py"), "--kafka", kafka, "--port", str(port), *flags]
        environment = {**os.environ, "IMAGEBUS_DATA": str(data), "PYTHONUNBUFFERED": "1"}
        self.child = subprocess.Popen(
            command,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            env=environment,
            preexec_fn=die_with_parent,
        )
        self.data = data
        self.said = ""
        self.url = self._read_until(r"open (https://\S+)")
        self.port = int(self.url.rpartition(":")[2])

    def _read_until(self, pattern: str) -> str:
        assert self.child.stdout is not None
        deadline = time.monotonic() + START_S
        while not (found := re.search(pattern, self.said)):
            ready, _, _ = select.select([self.child.stdout], [], [], max(0, deadline - time.monotonic()))
            piece = os.read(self.child.stdout.fileno(), 4096) if ready else b""
            if not piece:
                self.child.kill()
                pytest.fail(f"the page did not start: {self.said}")
            self.said += piece.decode()
        return found[1]

    def trusting(self) -> ssl.SSLContext:
        """A client's context that trusts the server's own certificate and nothing else."""
        return ssl.create_default_context(cafile=str(self.data / "certificate" / "localhost.pem"))

    def get(self, path: str = "/", **headers: str) -> Answer:
        """Ask for a page; in the names of headers, an underscore stands for a hyphen."""
        connection = HTTPSConnection("localhost", self.port, timeout=START_S, context=self.trusting())
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        connection.request("GET", path, headers=named)
        response = connection.getresponse()
        answer = Answer(response.status, response.headers, response.read())
        connection.close()
        return answer

    def memory_mb(self) -> float:
        """Resident memory of the server."""
        status = Path(f"/proc/{self.child.pid}/status").read_text()
        return int(re.search(r"VmRSS:\s+(\d+)", status)[1]) / 1024  # type: ignore[index]

    def threads(self) -> int:
        return len(list(Path(f"/proc/{self.child.pid}/task").iterdir()))

    def stop(self) -> int:
        """End it in order; return its exit status. Whatever clients did, no traceback may be in its log."""
        if self.child.poll() is None:
            self.child.terminate()
        try:
            status = self.child.wait(END_S)
        finally:
            self.child.kill()  # nothing, where it has ended
        assert self.child.stdout is not None
        self.said += self.child.stdout.read().decode()
        self.child.stdout.close()
        assert "Traceback" not in self.said, self.said
        return status


class Camera:
    """A camera with the stages after it, all in one: every frame is made by hand."""

    def __init__(self, kafka: str, topic: str, source: str) -> None:
        self.bus = Bus(kafka)
        self.topic = topic
        self.source = source
        self.sequence = 0
        self._publisher = self.bus.publisher()
        self.bus.ensure_topic(topic)

    def frame(
        self,
        pixels: np.ndarray[Any, Any] | None = None,
        detections: tuple[Detection, ...] = (),
        *,
        captured_ns: int | None = None,
    ) -> Frame:
        if pixels is None:
            pixels = np.full((48, 64, 3), 60, np.uint8)
        now = captured_ns or time.time_ns()
        detector = Hop(
            "ai", "imageaiProcessor", "0", self.topic, now, now, Model("yolo-test", "00"), ("person",), 0.5
        )
        hops = (Hop(self.source, "producer", "0", self.topic, now, now), *([detector] if detections else []))
        self.sequence += 1
        return Frame(
            source=self.source,
            epoch="test",
            sequence=self.sequence - 1,
            captured_ns=now,
            width=pixels.shape[1],
            height=pixels.shape[0],
            image=jpeg.encode(pixels, 95),
            detections=detections,
            trail=hops,
        )

    def show(self, frame: Frame | None = None) -> bytes:
        """Publish a frame, any will do; return the record's bytes."""
        record = frame_records(frame or self.frame(), self.topic, "")[0]
        self.put(record.key, record.value, record.timestamp_ms)
        return record.value or b""

    @contextmanager
    def playing(self, make: Callable[[], Frame] | None = None, *, fps: float = 5) -> Iterator[None]:
        """Publish in the background, until the block ends."""
        ended = threading.Event()

        def play() -> None:
            while not ended.wait(1 / fps):
                self.show(make() if make else None)

        thread = threading.Thread(target=play)
        thread.start()
        try:
            yield
        finally:
            ended.set()
            thread.join()

    def put(self, key: bytes | None, value: bytes | None, timestamp_ms: int | None = None) -> None:
        """Publish a record, whatever it is, and wait until the broker has it."""
        faults: list[Exception | None] = []
        headers = (("content-type", codec.CONTENT_TYPE.encode()),)
        stamp = timestamp_ms if timestamp_ms is not None else time.time_ns() // 1_000_000
        self._publisher.send(Outgoing(self.topic, key, value, stamp, headers), faults.append)
        while not faults:
            self._publisher.poll(0.1)
        assert faults == [None]


@pytest.fixture(scope="session")
def built_page() -> None:
    """The page, built from its present sources."""
    subprocess.run([sys.executable, str(CONSUMER / "build.py")], check=True, timeout=170)


@pytest.fixture
def page_server(built_page: None, tmp_path: Path) -> Iterator[Callable[..., PageServer]]:
    """Start page servers: ``page_server(kafka)``."""
    started: list[PageServer] = []

    def start(kafka: str, *flags: str, port: int = 0) -> PageServer:
        started.append(PageServer(kafka, tmp_path / "data", *flags, port=port))
        return started[-1]

    yield start
    for server in started:
        if server.child.poll() is None:
            server.stop()


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    """An empty tab; a test fails when its page has a script error or breaks its own security policy."""
    context = browser.new_context(
        ignore_https_errors=True, viewport={"width": 1280, "height": 800}, reduced_motion="reduce"
    )
    faults: list[str] = []
    tab = context.new_page()
    tab.on("pageerror", lambda error: faults.append(str(error)))
    tab.on("console", lambda said: faults.append(said.text) if "Content Security" in said.text else None)
    tab.set_default_timeout(15_000)
    yield tab
    context.close()
    assert faults == []
