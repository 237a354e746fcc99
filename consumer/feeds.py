"""What there is to see: the newest record of every (topic, source), and no more than a bounded lot of it."""

from __future__ import annotations

import threading
import time
from collections import OrderedDict, deque
from dataclasses import dataclass, field
from typing import NamedTuple

from imagebus import codec
from imagebus.errors import FrameError
from imagebus.outgoing import is_again
from imagebus.record import Record

MAX_FEEDS = 256
MAX_BYTES = 256 * 1024 * 1024
RATE_OVER_S = 5.0


class Feed(NamedTuple):
    """One stream of pictures: a camera as seen at one stage."""

    topic: str
    source: str


@dataclass(frozen=True, slots=True)
class Newest:
    """The newest record of a feed, as it came; nothing of its value was believed yet."""

    feed: Feed
    record: Record
    serial: int
    """Counts all records of all feeds."""
    arrived: float
    """``time.monotonic`` of its arrival; of its capture where it was there before us."""
    rate: float
    """Records a second of this feed lately; 0 where that is not known yet."""

    @property
    def value(self) -> bytes:
        """Return the record's own bytes."""
        return self.record.value or b""


@dataclass(slots=True)
class _Slot:
    newest: Newest
    arrivals: deque[float] = field(default_factory=lambda: deque(maxlen=128))


class Feeds:
    """The newest record of each feed. Safe to use from several threads.

    Attributes:
        version: changes whenever a feed, or a word about them, comes or goes.
        evicted: feeds given up, the longest silent first, because there were too many or too large ones.
        nameless: records left out, because their source can't be told.
    """

    def __init__(self, max_feeds: int = MAX_FEEDS, max_bytes: int = MAX_BYTES) -> None:
        self._slots: OrderedDict[Feed, _Slot] = OrderedDict()  # the longest silent first
        self._lock = threading.Lock()
        self._max_feeds = max_feeds
        self._max_bytes = max_bytes
        self._bytes = 0
        self._serial = 0
        self.version = 0
        self.evicted = 0
        self.nameless = 0

    def put(self, record: Record) -> Feed | None:
        """Keep the record as its feed's newest; return the feed, none where the source can't be told.

        Dead letters that were sent again, and what comes of them, are late and left out: this is live.
        """
        if record.value is None or is_again(record):
            return None
        source = source_of(record)
        with self._lock:
            if source is None or len(record.value) > codec.MAX_RECORD_BYTES:
                self.nameless += 1
                self.version += 1
                return None
            feed = Feed(record.topic, source)
            if not self._is_known(feed, record):
                self._keep(feed, record)
                self._evict()
        return feed

    def _is_known(self, feed: Feed, record: Record) -> bool:
        """Return whether it is the very record that is kept: a topic's newest one may be read twice."""
        slot = self._slots.get(feed)
        if slot is None:
            return False
        kept = slot.newest.record
        return (kept.partition, kept.offset) == (record.partition, record.offset)

    def _keep(self, feed: Feed, record: Record) -> None:
        self._serial += 1
        now = time.monotonic()
        slot = self._slots.pop(feed, None)
        if slot is None:  # it may have lain there for hours before we came
            silent_s = max(0.0, time.time() - record.timestamp_ms / 1000)
            slot = _Slot(Newest(feed, record, self._serial, now - silent_s, 0.0))
            self.version += 1
        else:
            self._bytes -= slot.newest.record.footprint
            slot.arrivals.append(now)
            slot.newest = Newest(feed, record, self._serial, now, _rate(slot.arrivals, now))
        self._slots[feed] = slot
        self._bytes += slot.newest.record.footprint

    def _evict(self) -> None:
        while len(self._slots) > self._max_feeds or (self._bytes > self._max_bytes and len(self._slots) > 1):
            _, slot = self._slots.popitem(last=False)
            self._bytes -= slot.newest.record.footprint
            self.evicted += 1
            self.version += 1

    def newest(self, feed: Feed) -> Newest | None:
        """Return the feed's newest record, none where there is no such feed."""
        with self._lock:
            slot = self._slots.get(feed)
            return slot.newest if slot else None

    def all(self) -> list[Feed]:
        """Return every feed, by name."""
        with self._lock:
            return sorted(self._slots)

    def keep_only(self, topics: set[str]) -> None:
        """Forget the feeds of topics that are no more."""
        with self._lock:
            for feed in [feed for feed in self._slots if feed.topic not in topics]:
                self._bytes -= self._slots.pop(feed).newest.record.footprint
                self.version += 1


def source_of(record: Record) -> str | None:
    """Tell the source by the record's key, or by its frame where it has no key; none where neither can."""
    if record.key is not None:
        name = _text(record.key)
        return name if name and len(record.key) <= codec.MAX_NAME_BYTES else None
    try:
        return codec.decode(record.value or b"").source
    except FrameError:
        return None


def _text(key: bytes) -> str | None:
    try:
        return key.decode()
    except UnicodeDecodeError:
        return None


def _rate(arrivals: deque[float], now: float) -> float:
    while len(arrivals) > 2 and arrivals[0] < now - RATE_OVER_S:
        arrivals.popleft()
    return (len(arrivals) - 1) / (now - arrivals[0]) if len(arrivals) > 1 and now > arrivals[0] else 0.0
