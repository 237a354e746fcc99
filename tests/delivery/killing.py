"""A filter that is killed again and again under load, and what is known from outside about its frames."""

from __future__ import annotations

import signal
import time
from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Self

from tests.broker import Commits, Feeder, fresh, make_topic
from tests.programs import Program

PARTITIONS = 4
SETTLE_S = 0.05
"""What a killed process had handed to the kernel still reaches the broker."""


class Killing(ABC):
    """One filter on one topic, killed at will.

    Attributes:
        committed: offsets, when they were last asked for.
        in_flight: frames in flight at each kill.
        offsets: committed at each kill.
    """

    feeder: Feeder

    def __init__(self, kafka: str, start: Callable[..., Program], out: str) -> None:
        self.topic, self.out, self.group = make_topic(kafka, fresh("in"), PARTITIONS), out, fresh("killed")
        self._start = start
        self._commits = Commits(kafka, self.group, self.topic, PARTITIONS)
        self.committed = 0
        self.in_flight: list[int] = []
        self.offsets: list[int] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.feeder.stop()
        self._commits.close()

    def begin(self) -> Program:
        flags = ("-i", self.topic, "-t", self.out, "--group", self.group, "--freshness", "all")
        return self._start(*flags)

    def positions(self) -> dict[int, int]:
        return {partition: position.offset for partition, position in self._commits.now().items()}

    def total(self) -> int:
        self.committed = sum(self.positions().values())
        return self.committed

    @abstractmethod
    def published_beyond_commit(self) -> int:
        """Count what is published downstream, and not committed."""

    def kill(self, program: Program, in_flight: Callable[[], int] | None = None) -> None:
        """Stop it where it is, look whether frames are in flight, and kill it there; else let it go on."""
        in_flight = in_flight or self.published_beyond_commit
        while True:
            assert program.alive, program.err.decode()
            program.signal(signal.SIGSTOP)
            time.sleep(SETTLE_S)
            if in_flight():
                break
            program.signal(signal.SIGCONT)
            self.total()
            time.sleep(0.01)
        program.kill()
        time.sleep(SETTLE_S)
        self.in_flight.append(in_flight())
        self.offsets.append(self.total())
