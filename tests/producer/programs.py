"""Run producer.py as a user does, and read what it put on the bus."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from imagebus import codec
from imagebus.bus import Bus
from imagebus.connection import Assigned, Position
from imagebus.frame import Frame
from imagebus.record import Record
from imagebus.start import EARLIEST, Plan

PROGRAM = Path(__file__).parents[2] / "producer" / "producer.py"
NO_BROKER = "127.0.0.1:1"


class Running:
    """One producer.py, with what it wrote so far."""

    def __init__(self, folder: Path, *arguments: object, environment: Mapping[str, str] = {}) -> None:
        self._out, self._err = folder / "stdout.txt", folder / "stderr.txt"
        with self._out.open("wb") as out, self._err.open("wb") as err:
            self.process = subprocess.Popen(
                [sys.executable, str(PROGRAM), *map(str, arguments)],
                stdout=out,
                stderr=err,
                env={**os.environ, **environment},
            )

    @property
    def out(self) -> str:
        return self._out.read_text()

    @property
    def err(self) -> str:
        return self._err.read_text()

    @property
    def children(self) -> list[int]:
        own = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children")
        return [int(pid) for pid in own.read_text().split()]

    def wait_for(self, found: Callable[[], object], within_s: float = 30.0) -> None:
        deadline = time.monotonic() + within_s
        while not found():
            assert self.process.poll() is None or found(), f"it ended: {self.out} {self.err}"
            assert time.monotonic() < deadline, f"not in {within_s} s: {self.out[-500:]} {self.err[-500:]}"
            time.sleep(0.02)

    def end(self, signum: int | None = None, within_s: float = 30.0) -> int:
        """Wait for its exit status, after a signal if one is given."""
        if signum is not None:
            self.process.send_signal(signum)
        return self.process.wait(within_s)


@contextmanager
def running(folder: Path, *arguments: object, environment: Mapping[str, str] = {}) -> Iterator[Running]:
    program = Running(folder, *arguments, environment=environment)
    try:
        yield program
    finally:
        if program.process.poll() is None:
            program.process.send_signal(signal.SIGKILL)
            program.process.wait()


def run(folder: Path, *arguments: object, within_s: float = 60.0) -> tuple[int, str, str]:
    """Return exit status, standard output and standard error."""
    with running(folder, *arguments) as program:
        return program.end(within_s=within_s), program.out, program.err


class _Listener:
    """Reads whatever it is given."""

    def __init__(self) -> None:
        self.begun = False

    def assigned(self, partitions: Iterable[Assigned]) -> None:
        self.begun = True

    def revoked(self, partitions: Iterable[int]) -> Mapping[int, Position]:
        return {}

    def lost(self, partitions: Iterable[int]) -> None:
        return

    def passed(self, partition: int, offset: int) -> None:
        return


def records_on(kafka: str, topic: str, count: int, within_s: float = 30.0) -> list[Record]:
    """Return at least so many records of the topic, and all that come within a further half second."""
    listener = _Listener()
    reader = Bus(kafka).subscriber(topic, f"test-{topic}-{time.time_ns()}", Plan(EARLIEST), listener)
    found: list[Record] = []
    deadline = time.monotonic() + within_s
    try:
        while len(found) < count:
            assert time.monotonic() < deadline, f"{len(found)} of {count} records on {topic}"
            found += reader.read(100, 0.2)
        found += reader.read(1000, 0.5)
    finally:
        reader.close()
    return found


def frames_on(kafka: str, topic: str, count: int) -> list[Frame]:
    """Return the frames of the topic in the order of their capture."""
    frames = [codec.decode(record.value or b"") for record in records_on(kafka, topic, count)]
    return sorted(frames, key=lambda frame: frame.captured_ns)
