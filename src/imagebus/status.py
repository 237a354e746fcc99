"""How a service does, kept up to date by its runner and read by whoever shows it; numbers only."""

from __future__ import annotations

import time
from bisect import bisect_left
from collections import Counter
from dataclasses import dataclass, field

SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 60.0)
"""Upper bounds of the buckets of a histogram, in seconds."""


class Histogram:
    """Counts of durations by bucket.

    Attributes:
        counts: observations at most as long as each bound of ``SECONDS``, and one more for all others.
        total_s: their sum.
    """

    def __init__(self) -> None:
        self.counts = [0] * (len(SECONDS) + 1)
        self.total_s = 0.0

    def observe(self, seconds: float) -> None:
        """Count one."""
        self.counts[bisect_left(SECONDS, seconds)] += 1
        self.total_s += seconds

    @property
    def count(self) -> int:
        """Return how many there were."""
        return sum(self.counts)


@dataclass(kw_only=True)
class Life:
    """What every running service can say of itself.

    One thread writes; others may read at any time, each number for itself.

    Attributes:
        began_ns: Unix time.
        ready: whether it has begun to read.
        away: whether the broker does not answer.
        newest_ms: capture time (Unix ms) of the newest frame finished; 0 where there is none.
        stepped_ns: when the service last went round its loop (monotonic).
    """

    began_ns: int = field(default_factory=time.time_ns)
    ready: bool = False
    away: bool = False
    newest_ms: int = 0
    stepped_ns: int = field(default_factory=time.monotonic_ns)


@dataclass(kw_only=True)
class Status(Life):
    """What a running filter has done since it began.

    Attributes:
        partitions: those of its input that are its own.
        received, received_bytes: records read.
        published, published_bytes: records sent and acknowledged, META and dead letters included.
        finished: records by outcome (``commit.OUTCOMES``).
        waiting, held, unacknowledged: records read but not begun, held back by the filter, sent but not safe.
        lag: records of its partitions that lie between what is finished and the end of the log.
        processing: seconds in ``process`` a frame.
        age: seconds from capture to the frame's result being handed to the broker.
    """

    partitions: tuple[int, ...] = ()
    received: int = 0
    received_bytes: int = 0
    published: int = 0
    published_bytes: int = 0
    finished: Counter[str] = field(default_factory=Counter)
    waiting: int = 0
    held: int = 0
    unacknowledged: int = 0
    lag: int = 0
    processing: Histogram = field(default_factory=Histogram)
    age: Histogram = field(default_factory=Histogram)


@dataclass(kw_only=True)
class CameraStatus(Life):
    """What the publisher of a camera has done since it began.

    Attributes:
        published, published_bytes: frames that the broker acknowledged.
        dropped: pictures dropped because the queue was full.
        refused: frames that the broker would not take.
        waiting: pictures that wait to be sent.
    """

    published: int = 0
    published_bytes: int = 0
    dropped: int = 0
    refused: int = 0
    waiting: int = 0
