"""Numbered sources on a topic, and what a group of workers must have made of all their frames."""

from __future__ import annotations

import threading
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable
from typing import Any

import msgpack
from confluent_kafka import Producer

from imagebus.outcomes import decode
from imagebus.record import Record
from imagebus.topics import OUTCOMES, dead_letters_of, meta_of
from tests.broker import Identity, committed, frame_put, identities, plain_frame, read_all

Place = tuple[int, int]
"""Partition and offset."""


class Sources:
    """Publish frames of several sources, each on one partition, from a thread, until it is stopped.

    Args:
        does: what a filter shall do with the frame of a number: pass, drop or fail.

    Attributes:
        acknowledged: the place of every frame that is safe.
    """

    def __init__(
        self,
        kafka: str,
        topic: str,
        *,
        count: int,
        partitions: int,
        per_s: float,
        does: Callable[[int], str] = lambda _: "pass",
    ) -> None:
        self._topic, self._count, self._partitions, self._does = topic, count, partitions, does
        self._every_s = 1 / per_s
        self._producer = Producer(
            {"bootstrap.servers": kafka, "log_level": 2, "acks": "all", "enable.idempotence": True}
        )
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run)
        self.acknowledged: dict[Identity, Place] = {}
        self._thread.start()

    def _run(self) -> None:
        began, n = time.monotonic(), 0
        while not self._over.wait(max(0.0, began + n * self._every_s - time.monotonic())):
            self._send(n)
            self._producer.poll(0)
            n += 1

    def _send(self, n: int) -> None:
        source, sequence = n % self._count, n // self._count
        attributes = {"test.do": self._does(n)}
        frame = plain_frame(sequence, f"cam{source}", captured_ns=time.time_ns(), attributes=attributes)
        one = frame_put(frame)
        self._producer.produce(
            self._topic,
            one.value,
            one.key,
            source % self._partitions,
            timestamp=one.timestamp_ms,
            on_delivery=self._keep((frame["source"], frame["epoch"], sequence)),
        )

    def _keep(self, identity: Identity) -> Any:
        def delivered(error: Any, message: Any) -> None:
            assert error is None, error
            self.acknowledged[identity] = (message.partition(), message.offset())

        return delivered

    def stop(self) -> dict[Identity, Place]:
        """Stop, wait until all is safe, and return what is."""
        self._over.set()
        self._thread.join()
        assert self._producer.flush(60) == 0
        return self.acknowledged


def places(records: Iterable[Record]) -> list[Place]:
    """Return of which record of the input each came, by its headers."""
    headers = [dict(record.headers) for record in records]
    return [(int(one["imagebus.partition"] or b""), int(one["imagebus.offset"] or b"")) for one in headers]


def noted(kafka: str, group: str) -> set[Place]:
    """Return which records a group has noted as skipped or filtered out."""
    notes = [decode(record.value or b"") for record in read_all(kafka, OUTCOMES)]
    return {
        (note.partition, offset)
        for note in notes
        if note.group == group
        for first, last, _ in note.runs
        for offset in range(first, last + 1)
    }


def jumps(records: Iterable[Record]) -> list[Identity]:
    """Return every frame that came for the first time after a later one of its source: a gap was jumped."""
    latest: dict[str, int] = defaultdict(lambda: -1)
    seen: set[Identity] = set()
    faults = []
    for identity in identities(records):
        source, _, sequence = identity
        if identity not in seen and sequence < latest[source]:
            faults.append(identity)
        seen.add(identity)
        latest[source] = max(latest[source], sequence)
    return faults


class Published:
    """One publication of a frame: of which record it came, which process published it, and when."""

    def __init__(self, record: Record) -> None:
        frame = msgpack.unpackb(record.value or b"")
        [self.place] = places([record])
        self.pid: int = frame["attributes"]["test.pid"]
        self.batch: int = frame["attributes"]["test.batch"]
        self.at_ns: int = frame["trail"][-1]["published_ns"]


class Account:
    """All that a group has made of a topic: its outputs, META, dead letters, notes and commits."""

    def __init__(self, kafka: str, group: str, topic: str, out: str, partitions: int) -> None:
        self.frames = read_all(kafka, out)
        self.metas = read_all(kafka, meta_of(out))
        self.dead = read_all(kafka, dead_letters_of(topic))
        self.noted = noted(kafka, group)
        self.positions = committed(kafka, group, topic, partitions)

    @property
    def published(self) -> list[Published]:
        """Return every publication of a frame."""
        return [Published(record) for record in self.frames]

    @property
    def repeats(self) -> int:
        """Count how often frames were published that had been before."""
        found = places(self.frames)
        return len(found) - len(set(found))

    def check(self, fed: dict[Identity, Place]) -> None:
        """Assert that every frame has one outcome, in order, with its META, and is below the commits."""
        frames, metas, dead = set(places(self.frames)), set(places(self.metas)), set(places(self.dead))
        assert frames | dead | self.noted == set(fed.values()), "every frame has an outcome"
        assert len(frames) + len(dead) + len(self.noted) == len(fed), "none has two"
        assert frames == metas, "a frame and its META are published both, or none"
        assert jumps(self.frames) == []
        ends = Counter(partition for partition, _ in fed.values())
        assert {p: position.offset for p, position in self.positions.items()} == dict(ends)
