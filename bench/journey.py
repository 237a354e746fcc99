"""One run of frames from a source through stages to a receiver, on one of the two sides."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Protocol

from bench.broker import Broker
from bench.children import ROOT, Child, Children, children, cpu_s, tree, wait_for
from bench.report import percentile

Log = dict[int, tuple[int, int]]
"""Unix ns of capture and of arrival, by number of the frame."""
Stage = tuple[str, ...]
"""A role, with its options."""


class Side(Protocol):
    """How the roles are played."""

    def source(self, family: Children, kafka: str, topic: str, *options: object) -> Child:
        """Start a source."""

    def stage(self, family: Children, kafka: str, stage: Stage, read: str, write: str) -> Child:
        """Start a stage between two topics."""

    def receiver(self, family: Children, kafka: str, topic: str, log: Path) -> Child:
        """Start a receiver."""


class Bare:
    """By loops on the client."""

    def source(self, family: Children, kafka: str, topic: str, *options: object) -> Child:
        return family.start("-m", "bench.bare", "source", "--kafka", kafka, "--topic", topic, *options)

    def stage(self, family: Children, kafka: str, stage: Stage, read: str, write: str) -> Child:
        between = ("--input", read, "--topic", write)
        return family.start("-m", "bench.bare", *stage, "--kafka", kafka, *between)

    def receiver(self, family: Children, kafka: str, topic: str, log: Path) -> Child:
        return family.start("-m", "bench.bare", "receiver", "--kafka", kafka, "--input", topic, "--log", log)


class OnBus:
    """By imagebus; nothing is skipped, so that every frame counts."""

    def source(self, family: Children, kafka: str, topic: str, *options: object) -> Child:
        return family.start("-m", "bench.on_bus", "source", "--kafka", kafka, "--topic", topic, *options)

    def stage(self, family: Children, kafka: str, stage: Stage, read: str, write: str) -> Child:
        role, *more = stage
        program = (
            (ROOT / "imageai" / "redaction.py",) if role == "redaction" else ("-m", "bench.on_bus", role)
        )
        return family.start(*program, *more, *self._common(kafka, write, read), "--topic", write)

    def receiver(self, family: Children, kafka: str, topic: str, log: Path) -> Child:
        more = ("--topic", f"{topic}-none", "--log", log)
        return family.start(
            "-m", "bench.on_bus", "receiver", *self._common(kafka, f"receiver.{topic}", topic), *more
        )

    def _common(self, kafka: str, name: str, read: str) -> tuple[str, ...]:
        policy = ("--freshness", "all", "--start", "earliest", "-q")
        return ("--kafka", kafka, "--name", name, "--input", read, *policy)


@dataclass(frozen=True)
class Load:
    """What the source does: ``steady`` frames at ``fps``, then ``burst`` as fast as they go."""

    pictures: Path
    steady: int
    fps: float
    burst: int

    @property
    def options(self) -> tuple[object, ...]:
        """Return it as flags of a source."""
        phases = ("--steady", self.steady, "--fps", self.fps, "--burst", self.burst)
        return ("--pictures", self.pictures, *phases)


@dataclass(frozen=True)
class Found:
    """What a run showed.

    ``latencies_ms`` are from the camera's picture to the receiver's frame, at the steady rate; ``fps`` is the
    rate at which the burst arrived, ``cpu_ms`` the processor time of all processes and the broker a frame
    at the steady rate.
    """

    latencies_ms: list[float]
    fps: float
    cpu_ms: float

    @property
    def p50(self) -> float:
        """Return the median latency."""
        return percentile(self.latencies_ms, 0.5)

    @property
    def p99(self) -> float:
        """Return the latency that one frame in a hundred exceeds."""
        return percentile(self.latencies_ms, 0.99)


def travel(side: Side, kafka: Broker, stages: Sequence[Stage], load: Load, work: Path) -> Found:
    """Send a load through stages and return how it arrived."""
    names = [f"hop{number}" for number in range(len(stages) + 1)]
    with kafka.topics(*names) as topics, children(work) as family:
        log = work / "arrived.txt"
        receiver = side.receiver(family, kafka.address, topics[-1], log)
        for stage, (read, write) in zip(stages, pairwise(topics), strict=True):
            side.stage(family, kafka.address, stage, read, write)
        source = side.source(family, kafka.address, topics[0], *load.options)
        wait_for(lambda: _any(log) or not receiver.alive, "a first frame")
        family.check()
        pids = [kafka.pid, *(pid for child in family.started for pid in tree(child.pid))]
        source.go()
        source.line()
        used = cpu_s(pids)
        steady, used = source.line(), cpu_s(pids) - used
        burst = source.line()
        last = burst["first"] + burst["count"] - 1
        wait_for(lambda: last in _read(log), f"frame {last}")
        arrived = _read(log)
    return _found(arrived, steady["first"], burst["first"], last, used)


def _found(arrived: Log, steady: int, burst: int, last: int, used_s: float) -> Found:
    latencies = [(arrived[number][1] - arrived[number][0]) / 1e6 for number in range(steady, burst)]
    times = [arrived[number][1] for number in range(burst, last + 1)]
    fps = (len(times) - 1) / (times[-1] - times[0]) * 1e9 if len(times) > 1 else 0.0
    return Found(latencies, fps, used_s / max(1, burst - steady) * 1000)


def _any(log: Path) -> bool:
    return log.is_file() and log.stat().st_size > 0


def _read(log: Path) -> Log:
    lines = log.read_text().splitlines(keepends=True)
    rows = [line.split() for line in lines if line.endswith("\n")]
    return {int(number): (int(captured), int(arrived)) for number, captured, arrived in rows}
