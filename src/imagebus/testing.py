"""For tests of filters: a bus in memory, and a frame out of nothing.

>>> from imagebus.testing import make_frame, run_filter
>>> [frame] = run_filter(MyFilter, [make_frame()], "--some-flag")      # doctest: +SKIP
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import numpy as np

from imagebus import codec, jpeg, trace
from imagebus.connection import Acknowledged, Assigned, Listener, Position, Start
from imagebus.errors import FilterError
from imagebus.filter import Filter
from imagebus.frame import Detection, Frame, Hop
from imagebus.outgoing import frame_records
from imagebus.record import Headers, Outgoing, Record
from imagebus.runner import Runner
from imagebus.topics import dead_letters_of, meta_of


def make_frame(
    *,
    source: str = "camera",
    sequence: int = 0,
    width: int = 64,
    height: int = 48,
    image: bytes | None = None,
    detections: Iterable[Detection] = (),
    searched: Sequence[str] | None = None,
    captured_ns: int = 1_700_000_000_000_000_000,
) -> Frame:
    """Return a frame with a grey picture; with ``searched``, a detector has looked for these labels."""
    hop = Hop(source, "testing", "0", "SOURCE_FRAME", captured_ns, captured_ns)
    looked = (
        () if searched is None else (Hop("detector", "testing", "0", "D", 0, 0, None, tuple(searched), 0.5),)
    )
    header = jpeg.read_header(image) if image else None
    return Frame(
        source=source,
        epoch="test",
        sequence=sequence,
        captured_ns=captured_ns + sequence * 100_000_000,
        width=header.width if header else width,
        height=header.height if header else height,
        image=image or jpeg.encode(np.full((height, width, 3), 128, np.uint8)),
        detections=tuple(detections),
        trail=(hop, *looked),
    )


def run_filter(filter: type[Filter], frames: Iterable[Frame], *flags: str) -> list[Frame]:
    """Run a filter on frames through the real runner and a bus in memory; return what it published.

    Raises:
        FilterError: the filter failed on a frame; on the bus it would be a dead letter.
    """
    options = filter.Options.parse([*flags, "--freshness", "all", "--start", "earliest", "--quiet"])
    bus = MemoryBus()
    for frame in frames:
        bus.put(frame, options.input)
    bus.run(filter(options))
    letters = bus.log.get(dead_letters_of(options.input if filter.pixels else meta_of(options.input)), [])
    if failed := [letter for letter in letters if letter.header("imagebus.reason") == "error"]:
        raise FilterError(f"{len(failed)} frames failed, the first with {failed[0].header('imagebus.error')}")
    if not filter.pixels:
        return [codec.decode_meta(record.value or b"") for record in bus.log[meta_of(options.topic)]]
    return [codec.decode(record.value or b"") for record in bus.log[options.topic]]


class MemoryBus:
    """A bus in memory: one partition a topic, everything acknowledged at the next poll.

    Attributes:
        log: the records of each topic.
        commits: the last commit of each (group, topic).
    """

    def __init__(self) -> None:
        self.log: dict[str, list[Record]] = {}
        self.commits: dict[tuple[str, str], Position] = {}
        self.runner: Runner | None = None

    def put(self, frame: Frame, topic: str, traceparent: str | None = None) -> None:
        """Append a frame."""
        pixels = bool(frame.image)
        for record in frame_records(frame, topic, traceparent or trace.begin(), pixels=pixels):
            self.append(record.topic, record.key, record.value, record.timestamp_ms, record.headers)

    def append(
        self, topic: str, key: bytes | None, value: bytes | None, timestamp_ms: int = 0, headers: Headers = ()
    ) -> None:
        """Append any record."""
        log = self.log.setdefault(topic, [])
        log.append(Record(topic, 0, len(log), timestamp_ms, key, value, headers))

    @property
    def away(self) -> bool:
        """Return False: it is always there."""
        return False

    def run(self, filter: Filter) -> None:
        """Run a filter until it has read all that its input holds."""
        self.runner = Runner(filter, self)
        self.runner.run()

    def topics(self) -> dict[str, int]:
        """Return all topics; each has one partition."""
        return dict.fromkeys(self.log, 1)

    def ensure_topic(self, topic: str, settings: Mapping[str, str] = {}, partitions: int = -1) -> None:
        """Make the topic where it is missing."""
        self.log.setdefault(topic, [])

    def publisher(self) -> MemoryPublisher:
        """Return a publisher."""
        return MemoryPublisher(self)

    def subscriber(
        self, topic: str, group: str, start: Start, listener: Listener, *, bounded: bool = False
    ) -> MemorySubscriber:
        """Return the only member of the group."""
        return MemorySubscriber(self, topic, group, start, listener, bounded)


class MemoryPublisher:
    """Appends to the log of a ``MemoryBus``."""

    def __init__(self, bus: MemoryBus) -> None:
        self._bus = bus
        self._waiting: list[Acknowledged] = []

    def send(self, record: Outgoing, acknowledged: Acknowledged) -> None:
        """Append; the acknowledgement comes with the next poll."""
        self._bus.append(record.topic, record.key, record.value, record.timestamp_ms, record.headers)
        self._waiting.append(acknowledged)

    def poll(self, timeout_s: float = 0.0) -> None:
        """Serve acknowledgements."""
        waiting, self._waiting = self._waiting, []
        for acknowledged in waiting:
            acknowledged(None)

    def flush(self, timeout_s: float) -> int:
        """Serve all acknowledgements, and those that come of them."""
        while self._waiting:
            self.poll()
        return 0

    @property
    def pending(self) -> int:
        """Return how many acknowledgements wait to be served."""
        return len(self._waiting)


class MemorySubscriber:
    """Reads a topic of a ``MemoryBus`` and stops the runner at its end; a bounded run stops by itself."""

    def __init__(
        self, bus: MemoryBus, topic: str, group: str, start: Start, listener: Listener, bounded: bool = False
    ) -> None:
        self._bounded = bounded
        self._bus = bus
        self._topic = topic
        self._place = (group, topic)
        self._listener = listener
        committed = bus.commits.get(self._place) or start(self, 0)
        bus.commits[self._place] = committed
        self._next = committed.offset
        listener.assigned([Assigned(0, committed, 0)])

    @property
    def id(self) -> str:
        """Return the id of the log."""
        return "memory"

    def edges(self, partition: int) -> tuple[int, int]:
        """Return the ends of the log."""
        return 0, len(self._bus.log[self._topic])

    def at(self, partition: int, timestamp_ms: int) -> int:
        """Return the first offset at that time or later."""
        log = self._bus.log[self._topic]
        return next((record.offset for record in log if record.timestamp_ms >= timestamp_ms), len(log))

    def read(self, limit: int, timeout_s: float) -> list[Record]:
        """Return the next records; stop the runner when it has nothing left to do."""
        records = self._bus.log[self._topic][self._next : self._next + limit]
        self._next += len(records)
        if not records:
            self._listener.passed(0, self._next)
        if not records and timeout_s and self._bus.runner and not self._bounded:
            self._bus.runner.stop()
        return records

    def listen(self) -> list[Record]:
        """Return nothing: nobody else is in the group."""
        return []

    def commit(self, positions: Mapping[int, Position]) -> None:
        """Keep the commit."""
        self.commit_and_wait(positions)

    def commit_and_wait(self, positions: Mapping[int, Position]) -> None:
        """Keep the commit."""
        if 0 in positions:
            self._bus.commits[self._place] = positions[0]

    def positions(self) -> dict[int, Position | None]:
        """Return what was committed."""
        return {0: self._bus.commits[self._place]}

    def ends(self) -> dict[int, int]:
        """Return the end of the log."""
        return {0: self.edges(0)[1]}

    def close(self) -> None:
        """Leave; nothing to do."""


__all__ = ["MemoryBus", "make_frame", "run_filter"]
