"""A stage named f between two topics: how it is started and fed, and what its group has counted."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable

from imagebus.commit import counts_of
from tests.broker import Reader, committed, frame_put, plain_frame, put

Outcome = Callable[[str], Reader]


def every_frame(topic: str, out: str, *more: object) -> tuple[object, ...]:
    """Return the flags of a stage that begins with the first frame and skips none."""
    return ("-i", topic, "-t", out, "-n", "f", "--freshness", "all", "--start", "earliest", *more)


def fill(kafka: str, topic: str, first: int, count: int, partitions: int = 1) -> None:
    """Put frames of these numbers, in turn on all partitions."""
    numbers = range(first, first + count)
    put(kafka, topic, [frame_put(plain_frame(n), n % partitions) for n in numbers])


def group(topic: str, out: str) -> str:
    """Return the group of the stage."""
    return f"imagebus.f.{topic}.{out}"


def counts(kafka: str, topic: str, out: str, partitions: int = 1) -> Counter[str]:
    """Return how many frames the group has committed of each outcome."""
    sums: Counter[str] = Counter()
    for position in committed(kafka, group(topic, out), topic, partitions).values():
        sums.update(counts_of(position))
    return sums
