"""Wait until a picture of each camera has passed the whole chain, and say how far they have come."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

from imagebus import codec
from imagebus.bus import Bus, Tail
from imagebus.errors import BrokerAwayError, FrameError, ImagebusError
from imagebus.record import Record


class Chain:
    """The way of pictures through topics, seen from outside.

    Args:
        bus: where the topics are.
        topics: in the order in which a picture passes them.
        sources: the cameras that are waited for.
        since_ms: pictures taken earlier do not count, Unix time.

    Attributes:
        models: what found the objects, as the last pictures say.
    """

    def __init__(self, bus: Bus, topics: Sequence[str], sources: Sequence[str], since_ms: int) -> None:
        self._bus = bus
        self._topics = topics
        self._sources = sources
        self._since_ms = since_ms
        self._seen: dict[str, set[str]] = {topic: set() for topic in topics}
        self.models: set[str] = set()

    def wait(self, deadline_s: float, go_on: Callable[[], bool]) -> None:
        """Wait for all of them, the end of the time, or ``go_on``, asked each half second, to say no."""
        tail = self._bus.tail()
        end = time.monotonic() + deadline_s
        try:
            while self.missing() and time.monotonic() < end and go_on():
                self._step(tail)
        finally:
            tail.close()

    def _step(self, tail: Tail) -> None:
        try:
            there = self._bus.topics()
            tail.follow({(topic, p) for topic in self._topics for p in range(there.get(topic, 0))})
            until = time.monotonic() + 0.5
            while (left := until - time.monotonic()) > 0:
                for record in tail.read(left):
                    self._take(record)
        except BrokerAwayError:
            time.sleep(0.3)

    def _take(self, record: Record) -> None:
        if record.timestamp_ms < self._since_ms or not record.key:
            return
        source = record.key.decode(errors="replace")
        if record.topic == self._topics[-1]:
            try:
                frame = codec.decode(record.value or b"")
            except FrameError as error:
                raise ImagebusError(f"a record on {record.topic} cannot be read: {error}") from error
            self.models |= {hop.model.name for hop in frame.trail if hop.model}
            source = frame.source
        self._seen[record.topic].add(source)

    def missing(self) -> list[str]:
        """Return the cameras of which no picture has passed the whole chain yet."""
        return [source for source in self._sources if source not in self._seen[self._topics[-1]]]

    def reached(self) -> int:
        """Return how many topics pictures of these cameras have reached; 0 where there are none at all."""
        reached = [bool(set(self._sources) & self._seen[topic]) for topic in self._topics]
        return reached.index(False) if False in reached else len(reached)

    def progress(self) -> str:
        """Say how far the pictures have come."""
        counts = (f"{topic} {len(self._seen[topic] & set(self._sources))}" for topic in self._topics)
        return f"cameras seen on each topic, of {len(self._sources)}: {', '.join(counts)}"
