"""Run producer.py as a user does, and read what it put on the bus."""

from __future__ import annotations

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
from tests.programs import ROOT, Program

PROGRAM = ROOT / "producer" / "producer.py"
NO_BROKER = "127.0.0.1:1"


class Running(Program):
    """One producer.py."""

    def __init__(self, folder: Path, *arguments: object, **environment: str) -> None:
        super().__init__(folder, PROGRAM, *arguments, **environment)

    @property
    def printed(self) -> str:
        """Standard output so far."""
        return self.out.decode()

    @property
    def told(self) -> str:
        """Standard error so far."""
        return self.err.decode()

    @property
    def children(self) -> list[int]:
        own = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children")
        return [int(pid) for pid in own.read_text().split()]

    def wait_for(self, found: Callable[[], object], within_s: float = 30.0) -> None:
        deadline = time.monotonic() + within_s
        while not found():
            assert self.alive or found(), f"it ended: {self.printed} {self.told}"
            assert time.monotonic() < deadline, (
                f"not in {within_s} s: {self.printed[-500:]} {self.told[-500:]}"
            )
            time.sleep(0.02)


@contextmanager
def running(folder: Path, *arguments: object, **environment: str) -> Iterator[Running]:
    program = Running(folder, *arguments, **environment)
    try:
        yield program
    finally:
        if program.alive:
            program.kill()


def run(folder: Path, *arguments: object, within_s: float = 60.0) -> tuple[int, str, str]:
    """Return exit status, standard output and standard error."""
    with running(folder, *arguments) as program:
        return program.ends(within_s=within_s), program.printed, program.told


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
